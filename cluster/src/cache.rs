//! The last events of cache channels. They belong to no node: everyone keeps the newest of each room until its time is
//! over, so that the death of a publisher loses none.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use crate::{
    codec::record_hash,
    fact::{CachedEvent, Record},
    room::Room,
};

/// Microseconds of one bucket. Hashes cover whole buckets that end in the future, so that nodes whose clocks differ a
/// little still agree while events end.
const BUCKET: u64 = 10_000_000;

/// Events that are forgotten in one step at most.
const PACE: usize = 4096;

/// The events, found by room and by end.
#[derive(Debug, Default)]
pub struct Cache {
    events: BTreeMap<Room, CachedEvent>,
    ends: BTreeSet<(u64, Room)>,
    buckets: BTreeMap<u64, u64>,
}

impl Cache {
    /// Keeps an event if it is the newest of those of its room that are not over; returns whether it is kept. `wall` is the time in
    /// microseconds of the Unix epoch, here and below.
    pub fn merge(&mut self, room: &Room, event: CachedEvent, wall: u64) -> bool {
        if event.ends() <= wall || self.get(room, wall).is_some_and(|known| *known >= event) {
            return false;
        }
        self.remove(room);
        self.ends.insert((event.ends(), room.clone()));
        self.toggle(room, &event);
        self.events.insert(room.clone(), event);
        true
    }

    /// The last event of a room.
    pub fn get(&self, room: &Room, wall: u64) -> Option<&CachedEvent> {
        self.events.get(room).filter(|event| event.ends() > wall)
    }

    /// Forgets some of what is over. What is left counts for nobody: neither [`Cache::get`] nor a hash has it.
    pub fn expire(&mut self, wall: u64) {
        for _ in 0..PACE {
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

    fn event(at: u64, ttl: u64, payload: &'static str) -> CachedEvent {
        CachedEvent { at, ttl, payload: payload.into() }
    }

    #[test]
    fn the_newest_wins_in_whatever_order_they_come() {
        let mut cache = Cache::default();
        assert!(cache.merge(&room(), event(5, 100, "new"), 10));
        assert!(!cache.merge(&room(), event(4, 900, "old"), 10));
        assert!(!cache.merge(&room(), event(5, 100, "new"), 10));
        assert!(cache.merge(&room(), event(6, 100, "newest"), 10));
        assert_eq!(cache.get(&room(), 10), Some(&event(6, 100, "newest")));
    }

    #[test]
    fn an_event_ends_with_its_time() {
        let mut cache = Cache::default();
        cache.merge(&room(), event(5, 100, "x"), 10);
        assert_eq!((cache.get(&room(), 104).is_some(), cache.get(&room(), 105)), (true, None));
        assert!(cache.merge(&room(), event(4, 900, "older, and for longer"), 105));
        cache.expire(904);
        assert_eq!((cache.records_after(Bound::Unbounded).count(), cache.hash(0)), (0, 0));
        assert!(!cache.merge(&room(), event(5, 100, "x"), 105));
    }

    #[test]
    fn nodes_that_expired_more_or_less_agree_about_what_ends_later() {
        let (mut slow, mut fast) = (Cache::default(), Cache::default());
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
