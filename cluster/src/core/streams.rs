//! What peers publish in their streams: put in order, and taken once it is.

use bytes::Bytes;

use super::{Core, Output};
use crate::{
    codec::decode,
    fact::{Fact, Record},
    frame::{Body, Frame, Gap, Numbered, Numbering, RoomEvent, Stream},
    room::NodeId,
    sequencer::{NumberedFrame, Released, Sequenced},
    subject::Subject,
    trace::TraceContext,
};

impl Core {
    pub(super) fn receive_numbered(&mut self, origin: NodeId, frame: NumberedFrame, subject: &Subject) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if matches!(subject, Subject::Node(_)) {
            peer.sequencer.note_answer(now);
        }
        let stream = frame.content.stream();
        if self.streams.contains_key(&stream) {
            peer.sequencer.follow_from_start(stream);
        }
        let sequenced = peer.sequencer.receive(stream, frame, now);
        self.take_sequenced(origin, sequenced);
    }

    /// What a peer that died published last may have reached the stream that keeps it, and nobody else.
    pub(super) fn want_stored(&mut self, node: NodeId) {
        let Some(peer) = self.peers.get(&node).filter(|peer| self.settings.stores_events && !peer.has_left()) else {
            return;
        };
        let unheard_for = self.now.up.saturating_sub(peer.steady_sign);
        self.outputs.push(Output::ReadStored(node, unheard_for));
    }

    /// It comes in the order of its numbers as what came over the bus, and once.
    pub(super) fn receive_stored(&mut self, bytes: Bytes) {
        let size = bytes.len();
        let Ok(Frame { origin, number, body: Body::Numbered { predecessor, content } }) = decode(bytes) else { return };
        let Numbered::Event(event) = &content else { return };
        let subject = Subject::Room(event.room.clone());
        let before = self.outputs.len();
        self.receive_numbered(origin, NumberedFrame { number, predecessor, content, size }, &subject);
        let delivered = self.outputs[before..].iter().filter(|output| matches!(output, Output::Deliver(..)));
        self.counters.events_recovered += delivered.count() as u64;
    }

    fn take_sequenced(&mut self, origin: NodeId, sequenced: Sequenced) {
        match sequenced {
            Sequenced::InOrder(released) => self.take_released(origin, released),
            Sequenced::Duplicate => self.counters.duplicates += 1,
            Sequenced::Held | Sequenced::NotFollowed => {}
        }
    }

    /// Takes what a sequencer released, and the page that waited for it. What was too much for one step continues in
    /// another.
    pub(super) fn take_released(&mut self, origin: NodeId, released: Vec<Released>) {
        self.take(origin, released);
        self.place_page(origin);
        self.place_claims(origin);
        if self.peers.get(&origin).is_some_and(|peer| peer.sequencer.is_behind()) {
            self.behind.insert(origin);
        }
    }

    fn take(&mut self, origin: NodeId, released: Vec<Released>) {
        for Released { number, predecessor, content } in released {
            match content {
                Numbered::Facts(facts) => self.take_facts(origin, facts),
                Numbered::Records(records, trace) => {
                    records.into_iter().for_each(|record| self.receive_record(origin, record, trace));
                }
                Numbered::Event(event) => self.deliver(origin, event, Numbering { number, predecessor }),
                Numbered::Published(publication) => self.outputs.push(Output::Published(publication)),
                Numbered::Claims(claims) => self.take_claims(origin, claims),
                Numbered::Unknown { .. } => self.counters.unknown += 1,
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

    pub(super) fn deliver(&mut self, origin: NodeId, event: RoomEvent, numbering: Numbering) {
        if self.rooms.contains_key(&event.room) {
            self.outputs.push(Output::Deliver(origin, event, numbering));
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

    /// A part of a stream can no longer be resent. Facts and records are requested anew. `events` is how many events
    /// are lost, if that is known.
    pub(super) fn mark_lost(&mut self, origin: NodeId, gap: Gap, events: Option<u64>) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some(lost) = peer.sequencer.mark_lost(gap, now) else { return };
        if gap.stream == Stream::STATE {
            peer.want_snapshot(lost.gap.through, now);
            if peer.has_claims() {
                peer.claims.want(lost.gap.through, now);
            }
            peer.want_records(now);
        }
        // A gap in a room's stream is one lost event at least. Most of the state can be requested anew.
        let events = events.unwrap_or_else(|| u64::from(gap.stream != Stream::STATE));
        self.counters.gaps_lost += 1;
        self.counters.events_lost += events;
        let room = self.streams.get(&gap.stream).cloned();
        self.outputs.push(Output::Lost { origin, gap: lost.gap, room, events });
        self.take_released(origin, lost.released);
    }
}
