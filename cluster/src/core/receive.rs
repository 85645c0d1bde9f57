//! What comes from the bus. Every message is untrusted until it has passed the decoder and belongs to its subject.

use std::time::Duration;

use bytes::Bytes;

use super::{Core, Output};
use crate::{
    cache::Cache,
    codec::decode,
    fact::{Fact, Record},
    frame::{Beat, Body, Frame, Gap, Head, Readiness, RecordPage, RoomEvent, SnapshotPage, Stream},
    heads::PAGE,
    peer::{CATCH_UP_AFTER, Stage},
    ring::Gone,
    room::NodeId,
    sequencer::Sequenced,
    snapshot::Progress,
    subject::Subject,
    trace::TraceContext,
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
        match body {
            Body::Beat(beat) => {
                self.echo = Some(self.now.up);
                self.round_trip = self.outgoing.echo(beat.count, self.now.up).or(self.round_trip);
            }
            Body::Barrier { token } => self.pass_barrier(*token),
            Body::Facts(_)
            | Body::Records(..)
            | Body::Event(_)
            | Body::Published(_)
            | Body::Bye { .. }
            | Body::Heads(_)
            | Body::AskHeads
            | Body::AskResend(_)
            | Body::Gone { .. }
            | Body::Unsent(_)
            | Body::AskSnapshot { .. }
            | Body::Snapshot(_)
            | Body::AskRecords { .. }
            | Body::RecordPage(_)
            | Body::Unknown { .. } => {}
        }
    }

    fn receive_peer(&mut self, frame: Frame, subject: &Subject, size: usize) {
        let origin = frame.origin;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let now = self.now.up;
        let answer = Subject::Node(origin);
        peer.spoke = now;
        peer.frames += 1;
        if let Some(stream) = frame.body.stream() {
            if matches!(subject, Subject::Node(_)) {
                peer.sequencer.note_answer(now);
            }
            if self.streams.contains(&stream) {
                peer.sequencer.follow_from_start(stream);
            }
            let sequenced = peer.sequencer.receive(stream, frame, size, now);
            return self.take_sequenced(origin, sequenced);
        }
        peer.sequencer.note(frame.number);
        match frame.body {
            Body::Beat(beat) => self.receive_beat(origin, &beat),
            Body::Bye { hold } => peer.liveness.hold(hold),
            Body::Heads(heads) => self.receive_heads(origin, &heads, subject),
            Body::AskHeads => {
                self.outgoing.heads().into_iter().for_each(|heads| self.send(answer.clone(), Body::Heads(heads)));
            }
            Body::AskResend(gaps) => self.resend(&answer, &gaps),
            Body::Gone { gap, events } => {
                peer.sequencer.note_answer(now);
                self.mark_lost(origin, gap, events);
            }
            Body::Unsent(gaps) => {
                peer.sequencer.ask_at_once(&gaps, now);
                self.ask_one(origin);
            }
            Body::AskSnapshot { after } => self.send_snapshot(answer, after),
            Body::Snapshot(page) => self.receive_snapshot(origin, page),
            Body::AskRecords { after } => self.send_records(answer, after),
            Body::RecordPage(page) => self.receive_record_page(origin, page),
            Body::Unknown { .. } => self.counters.unknown += 1,
            // Numbered frames have been taken above; only this node raises its barriers.
            Body::Facts(_) | Body::Records(..) | Body::Event(_) | Body::Published(_) | Body::Barrier { .. } => {}
        }
    }

    fn take_sequenced(&mut self, origin: NodeId, sequenced: Sequenced) {
        match sequenced {
            Sequenced::InOrder(bodies) => {
                self.take_released(origin, bodies);
            }
            Sequenced::Duplicate => self.counters.duplicates += 1,
            Sequenced::Held | Sequenced::NotFollowed => {}
        }
    }

    /// Takes what a sequencer released, and the page that waited for it. What was too much for one step continues in
    /// another.
    pub(super) fn take_released(&mut self, origin: NodeId, bodies: Vec<Body>) {
        self.take(origin, bodies);
        self.place_page(origin);
        if self.peers.get(&origin).is_some_and(|peer| peer.sequencer.is_behind()) {
            self.behind.insert(origin);
        }
    }

    fn take(&mut self, origin: NodeId, bodies: Vec<Body>) {
        for body in bodies {
            match body {
                Body::Facts(facts) => self.take_facts(origin, facts),
                Body::Records(records, trace) => {
                    records.into_iter().for_each(|record| self.receive_record(origin, record, trace));
                }
                Body::Event(event) => self.deliver(origin, event),
                Body::Published(publication) => self.outputs.push(Output::Published(publication)),
                Body::Unknown { .. } => self.counters.unknown += 1,
                Body::Beat(_)
                | Body::Bye { .. }
                | Body::Heads(_)
                | Body::AskHeads
                | Body::AskResend(_)
                | Body::Gone { .. }
                | Body::Unsent(_)
                | Body::AskSnapshot { .. }
                | Body::Snapshot(_)
                | Body::AskRecords { .. }
                | Body::RecordPage(_)
                | Body::Barrier { .. } => {}
            }
        }
    }

    fn take_facts(&mut self, origin: NodeId, facts: Vec<Fact>) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if let Some(fetch) = &mut peer.snapshot {
            fetch.note(&facts, peer.sequencer.last_released(Stream::STATE), self.now.up);
        }
        for fact in facts {
            let differences = self.view.set(origin, fact);
            self.report(differences);
        }
    }

    fn deliver(&mut self, origin: NodeId, event: RoomEvent) {
        if self.rooms.contains_key(&event.room) {
            self.outputs.push(Output::Deliver(origin, event));
        }
    }

    /// A record in the order of its origin's sequencer: an event of a cache channel is also a live one, whether or not
    /// it is the newest.
    fn receive_record(&mut self, origin: NodeId, record: Record, trace: Option<TraceContext>) {
        self.merge_generation(&record);
        let Record::Cached { room, event } = record else { return };
        let event = event.detached();
        let merged = self.cache.merge(&room, event.clone(), self.wall());
        if self.rooms.contains_key(&room) {
            self.outputs.push(Output::Cached(origin, room, event, trace));
        }
        self.evict(merged.evicted);
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
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if !peer.take_beat(beat) {
            return;
        }
        if peer.liveness.beat(now) > CATCH_UP_AFTER {
            peer.sequencer.resume(now);
            peer.ask_heads = Some(now);
            peer.want_records(now);
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
            if self.streams.contains(&head.stream) {
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
                self.send(answer.clone(), Body::Gone { gap, events: Some(events) });
            }
            unsent.extend(resend.unsent);
            for bytes in resend.frames {
                self.counters.resent += 1;
                room = room.saturating_sub(bytes.len());
                self.publish((answer.clone(), bytes));
            }
        }
        if !unsent.is_empty() {
            self.send(answer.clone(), Body::Unsent(unsent));
        }
    }

    /// A part of a stream can no longer be resent. Facts and records are requested anew. `events` is how many events
    /// are lost, if that is known.
    pub(super) fn mark_lost(&mut self, origin: NodeId, gap: Gap, events: Option<u64>) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some(lost) = peer.sequencer.mark_lost(gap, now) else { return };
        if gap.stream == Stream::STATE {
            peer.want_snapshot(lost.gap.through, now);
            peer.want_records(now);
        }
        // A gap in a room's stream is one lost event at least. Most of the state can be requested anew.
        let events = events.unwrap_or_else(|| u64::from(gap.stream != Stream::STATE));
        self.counters.gaps_lost += 1;
        self.counters.events_lost += events;
        self.outputs.push(Output::Lost { origin, gap: lost.gap, events });
        self.take_released(origin, lost.released);
    }

    fn receive_snapshot(&mut self, origin: NodeId, page: SnapshotPage) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some(fetch) = &mut peer.snapshot else { return };
        fetch.take(page);
        self.place_page(origin);
    }

    fn place_page(&mut self, origin: NodeId) {
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
        let stream = body.stream();
        match subject {
            Subject::State => {
                let is_sent_to_all = matches!(body, Body::Beat(_) | Body::Bye { .. } | Body::Heads(_));
                let is_unknown = matches!(body, Body::Unknown { stream: None, .. });
                is_sent_to_all || is_unknown || stream == Some(Stream::STATE)
            }
            Subject::Room(room) => {
                let is_of_another = matches!(body, Body::Event(event) if event.room != *room);
                !is_of_another && stream == Some(Stream::of(room))
            }
            Subject::Node(node) => *node == self.settings.node && !matches!(body, Body::Beat(_) | Body::Bye { .. }),
        }
    }
}
