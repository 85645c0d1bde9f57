//! Does what the processes want done.

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Subject,
    codec::decode,
    core::{Input, Output},
    fact::Record,
    frame::{Body, Gap, Numbered},
};

use crate::{drain::is_mover, replica::Notified, world::World};

impl World {
    /// Gives a process an input, and does what it wants.
    pub fn step(&mut self, slot: usize, input: Input) {
        let moment = self.net.moment();
        let Some(process) = &mut self.net.slots[slot].process else { return };
        let outputs = process.core.step(input, moment);
        for output in outputs {
            self.carry_out(slot, output);
        }
    }

    fn carry_out(&mut self, slot: usize, output: Output) {
        let (now, wall) = (self.net.now, self.net.wall());
        let Some(process) = &mut self.net.slots[slot].process else { return };
        let id = process.id;
        match output {
            Output::Publish(subject, bytes) => self.publish(slot, &subject, &bytes),
            Output::Subscribe(room) => _ = process.subscribed.insert(room),
            Output::Unsubscribe(room) => _ = process.subscribed.remove(&room),
            Output::Serving(state) => {
                let opened = process.open(state);
                self.note(slot, opened.map(|()| Notified::Nothing));
            }
            Output::Deliver(origin, event, _) => {
                self.judge.delivered(id, origin, &event.room, number(&event.payload));
            }
            Output::Remote(remote) => {
                let notified = process.receive(remote);
                self.note(slot, notified);
            }
            Output::Cached(origin, room, event, _) => {
                process.keep(&room, &event, wall);
                if process.serves(&room) {
                    self.judge.delivered(id, origin, &room, number(&event.payload));
                }
            }
            Output::CacheRepaired(room, event) => process.keep(&room, &event, wall),
            // What is known of a key is lost with the part of the stream that carried it: nothing to judge.
            Output::Published(_) => {}
            Output::PageTaken(page) => self.page_goes(slot, page),
            // Nobody asks, and nothing is stored.
            Output::Store(..) | Output::Mark(_) | Output::ReadStored(..) => {}
            Output::Asked { .. } | Output::Answered { .. } | Output::Acknowledged(_) => {}
            Output::CacheEvicted(room, at) => process.evict(&room, at),
            Output::Post(generation) => {
                process.posting.push((now + self.net.random.between(20, 200), generation.clone()));
                self.judge.posted(&generation);
            }
            Output::Lost { origin, gap, events, .. } => self.lose((id, origin), gap, events),
        }
    }

    /// What a living publisher remembers is never lost.
    fn lose(&mut self, (receiver, origin): (NodeId, NodeId), gap: Gap, events: u64) {
        if self.net.processes().any(|process| process.id == origin && process.core.remembers(gap)) {
            let fault = format!("{receiver} gave up {gap:?} of {origin}, who remembers it, at {}", self.net.now);
            self.judge.faults.push(fault);
        }
        self.judge.lost(receiver, origin, gap.stream, events);
    }

    /// Notes what clients were notified of. Those who never leave are not seen to go on nodes that stay.
    pub fn note(&mut self, slot: usize, notified: Result<Notified, String>) {
        let stays = self.drains[slot].is_none();
        match notified {
            Err(fault) => self.judge.faults.push(fault),
            Ok(Notified::Removed(user)) if stays && is_mover(&user) => {
                self.judge.faults.push(format!("{user} was seen to leave at {}", self.net.now));
            }
            Ok(Notified::Removed(_) | Notified::Added(_) | Notified::Nothing) => {}
        }
    }

    fn publish(&mut self, from: usize, subject: &Subject, bytes: &Bytes) {
        self.note_announcements(from, bytes);
        if self.net.is_away(from) {
            self.judge.faults.push("something was published while the bus was away".to_owned());
        }
        self.net.publish(from, subject, bytes);
    }

    /// What a node announces, it announces to others who may know better.
    fn note_announcements(&mut self, from: usize, bytes: &Bytes) {
        let Ok(frame) = decode(bytes.clone()) else { return };
        let Body::Numbered { content: Numbered::Records(records, _), .. } = frame.body else { return };
        for record in records {
            if let Record::Generation(generation) = record {
                let known = self.known_to_others(from, &generation.occupancy);
                self.judge.announced(&generation, known);
            }
        }
    }
}

fn number(payload: &Bytes) -> u64 {
    payload.first_chunk().copied().map(u64::from_be_bytes).expect("a payload begins with a number")
}
