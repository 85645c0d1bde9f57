//! What this node's own rooms and sessions publish to the cluster.

use std::{ops::Bound, time::Duration};

use super::{Core, Output};
use crate::{
    coalescer::{Decision, Visits},
    codec::{ENVELOPE, MAX_FRAME, fact_size, publication_size, record_size},
    fact::{CachedEvent, Fact, FactKey, Record, RecordKey},
    frame::{
        Numbered, Numbering, Publication, Readiness, RecordPage, Rest, RoomEvent, SnapshotPage, Stream, Unnumbered,
    },
    room::Room,
    subject::Subject,
    trace::TraceContext,
};

/// Bytes of facts in one frame: some 250, which a node that knows a million takes in a few milliseconds.
pub(super) const FACTS_FRAME: usize = 8 << 10;

/// How often a node marks how far it has put out what is to be stored.
const MARK_EVERY: Duration = Duration::from_secs(10);

/// Bytes of one payload, fact or record at most.
pub(super) const MAX_ITEM: usize = MAX_FRAME - ENVELOPE;

impl Core {
    /// While this node leaves, its sockets close and reconnect to other nodes; their users are not to be seen leaving.
    /// The sockets themselves are counted where they are.
    pub(super) fn take_own_fact(&mut self, fact: Fact) {
        let node = self.settings.node;
        let key = fact.key();
        let known = self.view.fact(node, &key).map_or(0, Fact::sockets);
        if self.readiness == Readiness::Leaving && fact.sockets() < known && is_held(&fact) {
            return;
        }
        if fact_size(&fact) > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        let differences = self.view.set(node, fact.clone());
        self.report(differences);
        let visits = self.visits_of(&key);
        match self.coalescer.change(known, fact, visits, self.now.up) {
            Decision::SendNow(fact) => {
                self.publish_numbered(Stream::STATE, Subject::State, Numbered::Facts(vec![fact]));
            }
            Decision::Later => {}
        }
        if self.coalescer.is_full() {
            self.flush();
        }
    }

    /// Webhooks also report visits that were over before any other node knew of them.
    fn visits_of(&self, key: &FactKey) -> Visits {
        match key {
            FactKey::Count(room) | FactKey::Member(room, _) if self.webhooks.contains(room.app()) => Visits::Report,
            FactKey::Count(_)
            | FactKey::Member(..)
            | FactKey::Connections(_)
            | FactKey::User(..)
            | FactKey::Tenant(..) => Visits::Skip,
        }
    }

    /// Publishes what was coalesced.
    pub(super) fn flush(&mut self) {
        self.flush_claims();
        let mut facts = self.coalescer.take().peekable();
        while facts.peek().is_some() {
            let facts = chunk(&mut facts, fact_size, self.settings.page.min(FACTS_FRAME));
            self.publish_numbered(Stream::STATE, Subject::State, Numbered::Facts(facts));
        }
    }

    pub(super) fn publish_event(&mut self, event: RoomEvent) -> Option<Numbering> {
        if event.payload.len() > MAX_ITEM {
            self.counters.oversized += 1;
            return None;
        }
        let subject = Subject::Room(event.room.clone());
        Some(self.publish_numbered(Stream::of(&event.room), subject, Numbered::Event(event)))
    }

    /// The room hears its node's own events in the order of their numbers, as the other nodes do.
    pub(super) fn publish_and_deliver(&mut self, event: RoomEvent) {
        if let Some(numbering) = self.publish_event(event.clone()) {
            self.store(&event.room, numbering);
            self.deliver(self.settings.node, event, numbering);
        }
    }

    fn store(&mut self, room: &Room, Numbering { number, .. }: Numbering) {
        if let Some(bytes) = self.outgoing.frame(number).filter(|_| self.settings.stores_events) {
            self.outputs.push(Output::Store(room.clone(), number, bytes));
        }
    }

    /// Says now and then up to which number everything was put out that is to be stored.
    pub(super) fn mark_stored(&mut self) {
        if self.settings.stores_events && self.now.up >= self.next_mark {
            self.next_mark = self.now.up + MARK_EVERY;
            self.outputs.push(Output::Mark(self.outgoing.last()));
        }
    }

    /// Sent to all nodes, because a repeat may reach any of them, and not kept here: the code that answers repeats
    /// decides how long it is known.
    pub(super) fn announce_publication(&mut self, publication: Publication) {
        if publication_size(&publication) > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        self.publish_numbered(Stream::STATE, Subject::State, Numbered::Published(publication));
    }

    /// An event of a cache channel is also a live one: it goes out whether or not it is the newest.
    pub(super) fn publish_cached(&mut self, room: Room, event: CachedEvent, trace: Option<TraceContext>) {
        let record = Record::Cached { room: room.clone(), event: event.clone() };
        if record_size(&record) > MAX_ITEM {
            self.counters.oversized += 1;
            return;
        }
        let merged = self.cache.merge(&room, event, self.wall());
        self.evict(merged.evicted);
        self.publish_numbered(Stream::STATE, Subject::State, Numbered::Records(vec![record], trace));
    }

    pub(super) fn send_bye(&mut self, hold: Duration) {
        self.flush();
        self.readiness = Readiness::Leaving;
        self.hold = hold;
        self.beat();
    }

    /// Answers a peer that asks for our facts.
    pub(super) fn send_snapshot(&mut self, subject: Subject, after: Option<FactKey>) {
        self.flush();
        let facts = self.view.facts_after(self.settings.node, after.as_ref()).cloned();
        let (facts, rest) = page(facts, fact_size, self.settings.page);
        let page = SnapshotPage { state: self.outgoing.state(), after, rest, facts };
        self.send(subject, Unnumbered::Snapshot(page));
    }

    /// Answers a peer that asks for our records.
    pub(super) fn send_records(&mut self, subject: Subject, after: Option<RecordKey>) {
        let (records, rest) = page(self.records_after(after.as_ref()), record_size, self.settings.page);
        self.send(subject, Unnumbered::RecordPage(RecordPage { after, rest, records }));
    }

    /// The records after a key, in order.
    pub(super) fn records_after(&self, after: Option<&RecordKey>) -> impl Iterator<Item = Record> {
        use Bound::{Excluded, Unbounded};
        let (cached, generations, floors) = match after {
            None => (Some(Unbounded), Some(Unbounded), Unbounded),
            Some(RecordKey::Cached(room)) => (Some(Excluded(room)), Some(Unbounded), Unbounded),
            Some(RecordKey::Generation(occupancy)) => (None, Some(Excluded(occupancy)), Unbounded),
            Some(RecordKey::Floor(slot)) => (None, None, Excluded(*slot)),
        };
        let cached = cached.into_iter().flat_map(|after| self.cache.records_after(after));
        let generations = generations.into_iter().flat_map(|after| self.announcements.generations_after(after));
        cached.chain(generations).chain(self.announcements.floors_after(floors))
    }
}

/// Whether a fact is about users, and stands until the peers forget this node.
fn is_held(fact: &Fact) -> bool {
    match fact {
        Fact::Member { .. } | Fact::User { .. } => true,
        Fact::Connections { .. } | Fact::Count { .. } | Fact::Tenant { .. } => false,
    }
}

/// Takes the first items, of about `most` bytes.
pub(super) fn chunk<T>(items: &mut impl Iterator<Item = T>, size: impl Fn(&T) -> usize, most: usize) -> Vec<T> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while bytes < most
        && let Some(item) = items.next()
    {
        bytes += size(&item);
        chunk.push(item);
    }
    chunk
}

/// The first items, of `most` bytes but one item at least, and whether more follow.
pub(super) fn page<T>(items: impl Iterator<Item = T>, size: impl Fn(&T) -> usize, most: usize) -> (Vec<T>, Rest) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += size(&item);
        if bytes > most && !page.is_empty() {
            return (page, Rest::More);
        }
        page.push(item);
    }
    (page, Rest::Nothing)
}
