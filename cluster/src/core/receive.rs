//! What comes from the bus. Every message is untrusted until it has passed the decoder and belongs to its subject.

use std::time::Duration;

use bytes::Bytes;

use super::{Core, Output};
use crate::{
    cache::Cache,
    codec::decode,
    fact::{Fact, Record},
    frame::{Beat, Body, Frame, Gap, Head, Numbered, Readiness, RecordPage, SnapshotPage, Stream, Unnumbered},
    heads::PAGE,
    peer::{CATCH_UP_AFTER, Stage},
    ring::Gone,
    room::NodeId,
    sequencer::NumberedFrame,
    snapshot::Progress,
    subject::Subject,
    view::Replaced,
};

impl Core {
    pub(super) fn receive(&mut self, subject: &Subject, bytes: Bytes) {
        let size = bytes.len();
        self.counters.bytes_in += size as u64;
        let frame = match decode(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                *self.counters.refused.entry(error).or_default() += 1;
                return;
            }
        };
        if !self.belongs(&frame.body, subject) {
            self.counters.misdirected += 1;
        } else if frame.origin == self.settings.node {
            self.receive_echo(&frame.body);
        } else if self.ensure_peer(&frame) {
            self.receive_peer(frame, subject, size);
        } else {
            self.counters.crowded += 1;
        }
    }

    /// Our own frames only prove that the bus has taken them.
    fn receive_echo(&mut self, body: &Body) {
        if let Body::Unnumbered(Unnumbered::Beat(beat)) = body {
            self.echo = Some(self.now.up);
            self.round_trip = self.outgoing.echo(beat.count, self.now.up).or(self.round_trip);
        }
        if let Body::Unnumbered(Unnumbered::Barrier { token }) = body {
            self.pass_barrier(*token);
        }
    }

    fn receive_peer(&mut self, frame: Frame, subject: &Subject, size: usize) {
        let Frame { origin, number, body } = frame;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        peer.spoke = self.now.up;
        peer.frames += 1;
        if matches!(body, Body::Unnumbered(Unnumbered::Bye { .. })) {
            peer.left_at = peer.left_at.max(Some(number));
        }
        match body {
            Body::Numbered { predecessor, content } => {
                self.receive_numbered(origin, NumberedFrame { number, predecessor, content, size }, subject);
            }
            Body::Unnumbered(body) => {
                peer.sequencer.note(number);
                self.receive_unnumbered(origin, body, subject);
            }
        }
    }

    fn receive_unnumbered(&mut self, origin: NodeId, body: Unnumbered, subject: &Subject) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let now = self.now.up;
        let answer = Subject::Node(origin);
        match body {
            Unnumbered::Beat(beat) => self.receive_beat(origin, &beat),
            Unnumbered::Bye { hold } => peer.liveness.hold(hold),
            Unnumbered::Heads(heads) => self.receive_heads(origin, &heads, subject),
            Unnumbered::AskHeads => {
                let pages = self.outgoing.heads().into_iter();
                pages.for_each(|heads| self.send(answer.clone(), Unnumbered::Heads(heads)));
            }
            Unnumbered::AskResend(gaps) => self.resend(&answer, &gaps),
            Unnumbered::Gone { gap, events } => {
                peer.sequencer.note_answer(now);
                self.mark_lost(origin, gap, events);
            }
            Unnumbered::Unsent(gaps) => {
                peer.sequencer.ask_at_once(&gaps, now);
                self.ask_one(origin);
            }
            Unnumbered::AskSnapshot { after } => self.send_snapshot(answer, after),
            Unnumbered::Snapshot(page) => self.receive_snapshot(origin, page),
            Unnumbered::AskClaims { after } => self.send_claims(answer, after),
            Unnumbered::Claims(part) => self.receive_claims(origin, part),
            Unnumbered::AskLostClaims { after } => self.send_lost_claims(answer, after),
            Unnumbered::LostClaims(part) => self.receive_lost_claims(origin, &part),
            Unnumbered::AskRecords { after } => self.send_records(answer, after),
            Unnumbered::RecordPage(page) => self.receive_record_page(origin, page),
            Unnumbered::Question { number, question } => {
                self.outputs.push(Output::Asked { from: origin, number, question });
            }
            Unnumbered::Answer { number, answer } => {
                self.outputs.push(Output::Answered { from: origin, number, answer });
            }
            Unnumbered::Delivered { number, held } => self.take_acknowledgement(number, held),
            Unnumbered::Unknown { .. } => self.counters.unknown += 1,
            // Only this node's own barriers mean anything to it.
            Unnumbered::Barrier { .. } => {}
        }
    }

    /// Records that a peer knows, from any node and any time.
    fn repair(&mut self, records: Vec<Record>) {
        for record in records {
            self.merge_generation(&record);
            let Record::Cached { room, event } = record else { continue };
            let event = event.detached();
            let merged = self.cache.merge(&room, event.clone(), self.wall());
            if merged.is_kept && self.rooms.contains_key(&room) {
                self.outputs.push(Output::CacheRepaired(room, event));
            }
            self.evict(merged.evicted);
        }
    }

    fn receive_beat(&mut self, origin: NodeId, beat: &Beat) {
        let now = self.now.up;
        let ours = [self.cache.hash(beat.bucket), self.announcements.hash()];
        let unread_for = self.unread_for();
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if !peer.take_beat(beat) {
            return;
        }
        let silence = peer.liveness.beat(now);
        peer.note_sign(now.saturating_sub(unread_for), silence.saturating_sub(unread_for), now);
        if silence > CATCH_UP_AFTER {
            peer.sequencer.resume(now);
            peer.ask_heads = Some(now);
            peer.want_records(now);
            if peer.has_claims() {
                peer.claims.want_lost(now);
            }
            self.announcements.disturb(now);
        }
        if peer.stage == Stage::Dead {
            peer.stage = Stage::Returning;
        }
        let difference = [beat.cached ^ ours[0], beat.generations.wrapping_sub(ours[1])];
        if peer.disagrees(difference) && peer.records.is_none() && peer.may_fetch_records(now) {
            peer.want_records(now);
        }
        peer.sequencer.learn_head(Stream::STATE, beat.state, now);
        self.compare_facts(origin, beat);
        self.compare_claims(origin, beat);
    }

    fn compare_facts(&mut self, origin: NodeId, beat: &Beat) {
        let ours = self.view.hash(origin);
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if peer.facts_at() != Some(beat.state) {
            return;
        }
        if ours != beat.facts {
            self.counters.mismatches += 1;
            peer.want_snapshot(beat.state, self.now.up);
        } else if peer.stage == Stage::Returning {
            self.show(origin);
        }
    }

    pub(super) fn show(&mut self, origin: NodeId) {
        if let Some(peer) = self.peers.get_mut(&origin) {
            peer.stage = Stage::Live;
        }
        let differences = self.view.show(origin);
        self.report(differences);
    }

    fn receive_heads(&mut self, origin: NodeId, heads: &[Head], subject: &Subject) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        // A full page of an answer is followed by another.
        if matches!(subject, Subject::Node(_)) && heads.len() != PAGE {
            peer.ask_heads = None;
        }
        for head in heads {
            if self.streams.contains_key(&head.stream) {
                peer.sequencer.follow_from_start(head.stream);
            }
            peer.sequencer.learn_head(head.stream, head.number, self.now.up);
        }
    }

    /// What does not fit into one answer is listed at its end, and requested again.
    fn resend(&mut self, answer: &Subject, gaps: &[Gap]) {
        let (mut room, mut unsent) = (self.settings.bounds.answer, Vec::new());
        for gap in gaps {
            if !self.is_connected() {
                return;
            }
            if room == 0 {
                unsent.push(*gap);
                continue;
            }
            let resend = self.outgoing.resend(*gap, room);
            if let Some(Gone { through, events }) = resend.gone {
                let gap = Gap { through, ..*gap };
                self.send(answer.clone(), Unnumbered::Gone { gap, events: Some(events) });
            }
            unsent.extend(resend.unsent);
            for bytes in resend.frames {
                self.counters.resent += 1;
                room = room.saturating_sub(bytes.len());
                self.publish((answer.clone(), bytes));
            }
        }
        if !unsent.is_empty() {
            self.send(answer.clone(), Unnumbered::Unsent(unsent));
        }
    }

    fn receive_snapshot(&mut self, origin: NodeId, page: SnapshotPage<Fact>) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some(fetch) = &mut peer.snapshot else { return };
        fetch.take(page);
        self.place_page(origin);
    }

    pub(super) fn place_page(&mut self, origin: NodeId) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some(fetch) = peer.placeable(now) else { return };
        let Some(page) = fetch.page() else { return };
        let (differences, progress) = match self.view.replace(origin, page, fetch.newer()) {
            Replaced::Part(differences) => {
                self.behind.insert(origin);
                (differences, Progress::Part)
            }
            Replaced::Whole(differences) => (differences, peer.finish_page(now)),
        };
        let stage = peer.stage;
        self.report(differences);
        match progress {
            Progress::Part => self.ask_one(origin),
            Progress::Whole(_) => {
                self.counters.snapshots += 1;
                if stage != Stage::Dead {
                    self.show(origin);
                }
            }
        }
    }

    fn receive_record_page(&mut self, origin: NodeId, page: RecordPage) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        peer.take_records(&page, self.now.up);
        self.repair(page.records);
        self.ask_one(origin);
    }

    /// Requests all records again, where a node died and may have reached only some of its peers.
    pub(super) fn ask_all_for_records(&mut self) {
        let at = self.now.up + Duration::from_secs(1);
        self.peers.values_mut().for_each(|peer| peer.want_records(at));
    }

    pub(super) fn cached_hash(&self) -> (u64, u64) {
        let bucket = Cache::first_bucket(self.wall());
        (bucket, self.cache.hash(bucket))
    }

    pub(super) fn is_learning(&self) -> bool {
        self.readiness == Readiness::Learning
    }

    /// Whether a frame may come on a subject: state on that of state, a room's stream on the room's. What is numbered
    /// may also come to the one node that asked for it again.
    fn belongs(&self, body: &Body, subject: &Subject) -> bool {
        match subject {
            Subject::State => match body {
                Body::Numbered { content, .. } => content.stream() == Stream::STATE,
                Body::Unnumbered(body) => is_for_all(body) || matches!(body, Unnumbered::Unknown { .. }),
            },
            Subject::Room(room) => match body {
                Body::Numbered { content: Numbered::Event(event), .. } => event.room == *room,
                Body::Numbered { content, .. } => content.stream() == Stream::of(room),
                Body::Unnumbered(_) => false,
            },
            Subject::Node(node) => {
                let is_bye_or_beat = matches!(body, Body::Unnumbered(Unnumbered::Beat(_) | Unnumbered::Bye { .. }));
                *node == self.settings.node && !is_bye_or_beat
            }
        }
    }
}

/// Whether nodes send it to all others.
fn is_for_all(body: &Unnumbered) -> bool {
    matches!(body, Unnumbered::Beat(_) | Unnumbered::Bye { .. } | Unnumbered::Heads(_))
}
