//! What this node's own rooms and sessions tell the cluster.

use std::time::Duration;

use super::{Core, Output, Service};
use crate::{
    codec::{HEADER, MAX_FRAME, fact_size, record_size},
    elsewhere::Opening,
    fact::{CachedEvent, Fact, Key, Record},
    frame::{Body, Readiness, RoomEvent, SnapshotPart, Stream},
    peer::ASK_AGAIN,
    room::{MAX_APP, MAX_CHANNEL, Room},
    subject::Subject,
};

/// How long counts are collected before they are told; joins, leaves and edges are told at once.
const MERGE: Duration = Duration::from_millis(250);

/// How long a room that nobody wants is still listened to.
const LINGER: Duration = Duration::from_secs(30);

/// Bytes of facts or records in one frame, exceeded by one at most.
const PART: usize = 64 << 10;

/// Bytes of one payload, fact or record at most.
const MAX_ITEM: usize = MAX_FRAME - HEADER - MAX_APP - MAX_CHANNEL - 64;

impl Core {
    /// While this node leaves, its sockets close and come back elsewhere; nobody is to see them go.
    pub(super) fn take_own_fact(&mut self, fact: Fact) {
        let node = self.settings.node;
        let key = fact.key();
        let known = self.view.fact(node, &key).map_or(0, Fact::sockets);
        if self.readiness == Readiness::Leaving && fact.sockets() < known {
            return;
        }
        if fact_size(&fact) > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        let is_edge = (known == 0) != (fact.sockets() == 0);
        let differences = self.view.set(node, fact.clone());
        self.tell(differences);
        if is_edge {
            self.pending.remove(&key);
            self.say_numbered(Stream::STATE, Subject::State, Body::Facts(vec![fact]));
        } else {
            self.pending.insert(key, fact);
            self.flush_at.get_or_insert(self.now.up + MERGE);
        }
    }

    /// Tells the counts that were collected.
    pub(super) fn flush(&mut self) {
        self.flush_at = None;
        if self.pending.is_empty() {
            return;
        }
        for facts in parts(std::mem::take(&mut self.pending).into_values(), fact_size) {
            self.say_numbered(Stream::STATE, Subject::State, Body::Facts(facts));
        }
    }

    pub(super) fn publish_event(&mut self, event: RoomEvent) {
        if event.payload.len() > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        let subject = Subject::Room(event.room.clone());
        self.say_numbered(Stream::of(&event.room), subject, Body::Event(event));
    }

    /// An event of a cache channel is also a live one: it goes out whether or not it is the newest.
    pub(super) fn publish_cached(&mut self, room: Room, event: CachedEvent) {
        let record = Record::Cached { room: room.clone(), event: event.clone() };
        if record_size(&record) > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        self.cache.merge(&room, event, self.wall());
        self.say_numbered(Stream::STATE, Subject::State, Body::Records(vec![record]));
    }

    pub(super) fn serve(&mut self, room: Room) {
        if let Some(service) = self.rooms.get_mut(&room) {
            service.ends = None;
            if service.barrier.is_none() {
                self.open(room);
            }
            return;
        }
        let stream = Stream::of(&room);
        self.peers.values_mut().for_each(|peer| peer.lane.follow(stream));
        self.outputs.push(Output::Subscribe(room.clone()));
        self.rooms.insert(room.clone(), Service { barrier: None, ends: None });
        if self.is_connected() {
            self.raise_barrier(&room);
        } else {
            // Nothing can come from elsewhere, so nothing can be missed.
            self.open(room);
        }
    }

    pub(super) fn open(&mut self, room: Room) {
        let opening = Opening {
            sockets: self.view.sockets_elsewhere(&Key::Count(room.clone())),
            members: self.view.members_elsewhere(&room).cloned().collect(),
            cached: self.cached(&room).cloned(),
            room,
        };
        self.outputs.push(Output::Serving(opening));
    }

    /// Sends a message to ourselves behind the subscription: once it is back, the bus knows of both.
    pub(super) fn raise_barrier(&mut self, room: &Room) {
        self.last_barrier += 1;
        let token = self.last_barrier;
        let Some(service) = self.rooms.get_mut(room) else { return };
        service.barrier = Some(token);
        self.barriers.insert(token, (room.clone(), self.now.up + ASK_AGAIN));
        self.say(Subject::Node(self.settings.node), Body::Barrier { token });
    }

    pub(super) fn leave(&mut self, room: &Room) {
        if let Some(service) = self.rooms.get_mut(room) {
            service.ends = Some(self.now.up + LINGER);
        }
    }

    pub(super) fn say_bye(&mut self, hold: Duration) {
        self.flush();
        self.readiness = Readiness::Leaving;
        self.hold = hold;
        self.beat();
    }

    /// Answers a peer that asks for everything.
    pub(super) fn say_snapshot(&mut self, subject: Subject) {
        self.flush();
        let state = self.outgoing.state();
        let chunks = parts(self.view.facts(self.settings.node).cloned(), fact_size);
        let count = u32::try_from(chunks.len()).expect("a node has fewer facts than four billion parts hold");
        for (index, facts) in (0..).zip(chunks) {
            let part = SnapshotPart { state, index, parts: count, facts };
            self.say(subject.clone(), Body::Snapshot(part));
        }
    }

    /// Answers a peer that asks for what belongs to nobody.
    pub(super) fn say_records(&mut self, subject: &Subject) {
        let chunks = parts(self.records(), record_size);
        for records in chunks {
            self.say(subject.clone(), Body::Ledger(records));
        }
    }
}

/// Items in parts of about `PART` bytes; one empty part if there are none, since an answer must come.
fn parts<T>(items: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let (mut parts, mut room) = (Vec::new(), 0);
    for item in items {
        let bytes = size(&item);
        match parts.last_mut() {
            Some(part) if bytes <= room => {
                room -= bytes;
                Vec::push(part, item);
            }
            Some(_) | None => {
                room = PART.saturating_sub(bytes);
                parts.push(vec![item]);
            }
        }
    }
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    parts
}
