//! The last events of cache channels. They belong to no node: every node keeps the newest of each room until its time
//! is over or newer ones of other rooms evict it, so that the death of a publisher loses none.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::{
    codec::record_hash,
    fact::{CachedEvent, Record},
    newest::{CacheBounds, Newest},
    room::Room,
};

/// Microseconds of one bucket. Hashes cover whole buckets that end in the future, so that nodes whose clocks differ a
/// little still agree while events end.
const BUCKET: u64 = 10_000_000;

/// Events that are forgotten in one step at most.
const MAX_PER_STEP: usize = 4096;

/// What an event takes beside its payload and the name of its channel.
const OVERHEAD: usize = 512;

/// The events, found by room and by end.
#[derive(Debug)]
pub struct Cache {
    newest: Newest<Room>,
    events: BTreeMap<Room, CachedEvent>,
    ends: BTreeSet<(u64, Room)>,
    buckets: BTreeMap<u64, u64>,
}

/// What became of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Whether it is kept.
    pub is_kept: bool,
    /// The rooms whose events had to go, with the times of those events; its own may be among them.
    pub evicted: Vec<(Room, u64)>,
}

impl Cache {
    /// Nothing is kept yet.
    pub fn new(bounds: CacheBounds) -> Self {
        let newest = Newest::new(bounds);
        Self { newest, events: BTreeMap::new(), ends: BTreeSet::new(), buckets: BTreeMap::new() }
    }

    /// Keeps an event if it is the newest of those of its room that are not over, and new enough for the bounds. `wall`
    /// is the time in microseconds of the Unix epoch, here and below.
    pub fn merge(&mut self, room: &Room, event: CachedEvent, wall: u64) -> Merged {
        if event.ends() <= wall || self.get(room, wall).is_some_and(|known| *known >= event) {
            return Merged::default();
        }
        self.remove(room);
        let evicted = self.newest.put(room, event.at, event.payload.len() + room.channel().len() + OVERHEAD);
        self.ends.insert((event.ends(), room.clone()));
        self.toggle(room, &event);
        self.events.insert(room.clone(), event);
        evicted.iter().for_each(|(room, _)| self.remove(room));
        Merged { is_kept: self.events.contains_key(room), evicted }
    }

    /// The bytes of all events that are kept.
    pub fn bytes(&self) -> usize {
        self.newest.bytes()
    }

    /// The last event of a room.
    pub fn get(&self, room: &Room, wall: u64) -> Option<&CachedEvent> {
        self.events.get(room).filter(|event| event.ends() > wall)
    }

    /// Drops some expired events. Those that are left are not used: neither [`Cache::get`] nor a hash has them.
    pub fn expire(&mut self, wall: u64) {
        for _ in 0..MAX_PER_STEP {
            let Some((_, room)) = self.ends.first().filter(|(ends, _)| *ends <= wall).cloned() else { return };
            self.remove(&room);
        }
    }

    /// The first bucket that a hash made now covers.
    pub fn first_bucket(wall: u64) -> u64 {
        wall / BUCKET + 2
    }

    /// The hash of all events that end in `bucket` or later.
    pub fn hash(&self, bucket: u64) -> u64 {
        self.buckets.range(bucket..).fold(0, |sum, (_, hash)| sum ^ hash)
    }

    /// All events of the rooms after one, ordered by room.
    pub fn records_after(&self, after: Bound<&Room>) -> impl Iterator<Item = Record> {
        let events = self.events.range::<Room, _>((after, Bound::Unbounded));
        events.map(|(room, event)| Record::Cached { room: room.clone(), event: event.clone() })
    }

    fn remove(&mut self, room: &Room) {
        let Some(event) = self.events.remove(room) else { return };
        self.newest.remove(room);
        self.ends.remove(&(event.ends(), room.clone()));
        self.toggle(room, &event);
    }

    /// Adds an event to its bucket's hash, or takes it out again.
    fn toggle(&mut self, room: &Room, event: &CachedEvent) {
        let bucket = event.ends() / BUCKET;
        let hash = self.buckets.entry(bucket).or_default();
        *hash ^= record_hash(&Record::Cached { room: room.clone(), event: event.clone() });
        if *hash == 0 {
            self.buckets.remove(&bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        Room::new("shop", "cache-news").unwrap()
    }

    /// Room for one event of a short name and payload, but not for two.
    const SMALL: usize = 2 * OVERHEAD;

    fn cache() -> Cache {
        Cache::new(CacheBounds { app: 1 << 20, node: 1 << 20 })
    }

    fn event(at: u64, ttl: u64, payload: &'static str) -> CachedEvent {
        CachedEvent { at, ttl, payload: payload.into() }
    }

    #[test]
    fn the_newest_wins_in_whatever_order_they_come() {
        let mut cache = cache();
        assert!(cache.merge(&room(), event(5, 100, "new"), 10).is_kept);
        assert!(!cache.merge(&room(), event(4, 900, "old"), 10).is_kept);
        assert!(!cache.merge(&room(), event(5, 100, "new"), 10).is_kept);
        assert!(cache.merge(&room(), event(6, 100, "newest"), 10).is_kept);
        assert_eq!(cache.get(&room(), 10), Some(&event(6, 100, "newest")));
    }

    #[test]
    fn an_event_ends_with_its_time() {
        let mut cache = cache();
        cache.merge(&room(), event(5, 100, "x"), 10);
        assert_eq!((cache.get(&room(), 104).is_some(), cache.get(&room(), 105)), (true, None));
        assert!(cache.merge(&room(), event(4, 900, "older, and for longer"), 105).is_kept);
        cache.expire(904);
        assert_eq!((cache.records_after(Bound::Unbounded).count(), cache.hash(0)), (0, 0));
        assert!(!cache.merge(&room(), event(5, 100, "x"), 105).is_kept);
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn over_the_bound_the_oldest_goes_and_every_trace_of_it() {
        let small = || Cache::new(CacheBounds { app: SMALL, node: SMALL });
        let (mut all, mut without) = (small(), small());
        let rooms = ["a", "b"].map(|channel| Room::new("shop", channel).unwrap());
        assert!(all.merge(&rooms[0], event(1, 100, "x"), 1).is_kept);
        let evicted = vec![(rooms[0].clone(), 1)];
        assert_eq!(all.merge(&rooms[1], event(2, 100, "x"), 1), Merged { is_kept: true, evicted });
        without.merge(&rooms[1], event(2, 100, "x"), 1);
        assert_eq!((all.get(&rooms[0], 1), all.hash(0), all.bytes()), (None, without.hash(0), without.bytes()));
        let evicted = vec![(rooms[0].clone(), 1)];
        assert_eq!(all.merge(&rooms[0], event(1, 100, "x"), 1), Merged { is_kept: false, evicted });
        assert_eq!((all.hash(0), all.ends.len(), all.bytes()), (without.hash(0), 1, without.bytes()));
    }

    #[test]
    fn nodes_that_expired_more_or_less_agree_about_what_ends_later() {
        let (mut slow, mut fast) = (cache(), cache());
        for cache in [&mut slow, &mut fast] {
            cache.merge(&room(), event(0, 5_000_000, "short"), 0);
            cache.merge(&Room::new("shop", "cache-b").unwrap(), event(0, 60_000_000, "long"), 0);
        }
        fast.expire(6_000_000);
        assert_ne!(slow.hash(0), fast.hash(0));
        let bucket = Cache::first_bucket(4_000_000);
        assert_eq!(slow.hash(bucket), fast.hash(bucket));
    }
}
