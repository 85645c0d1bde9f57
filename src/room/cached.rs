//! The last event of a cache channel (protocol.md §1.10). Pure but for asking whether its time is over.

use std::time::{Duration, Instant};

use gaung_cluster::fact::CachedEvent;

use super::shelf::ShelfPlace;
use crate::event::{Cached, EncodedEvent, wire};

/// What a room keeps.
#[derive(Debug, Default)]
pub struct Cache {
    /// Boxed: most rooms keep none.
    kept: Option<Box<Kept>>,
    /// Whether somebody waits for its end: one timer is enough, however often events come and go.
    is_watched: bool,
}

#[derive(Debug)]
struct Kept {
    cached: Cached,
    /// Given back when the event goes.
    _place: Option<ShelfPlace>,
}

/// The event as a record that all nodes keep, dated `at`.
pub(super) fn record(event: &EncodedEvent, at: u64, ttl: Duration) -> CachedEvent {
    let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
    CachedEvent { at, ttl, payload: wire::event(event) }
}

/// The record of an event of a cache channel that nobody is subscribed to on this node.
pub fn unserved_record(event: &EncodedEvent, ttl: Duration) -> CachedEvent {
    record(event, Cache::default().date(event.accepted_at), ttl)
}

impl Cache {
    /// When an event that is published here now is to be dated, in microseconds of the Unix epoch: it is newer than what
    /// is known here, whatever the clocks of others say.
    pub fn date(&self, now: Duration) -> u64 {
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.kept.as_ref().map_or(now, |kept| now.max(kept.cached.record.at.saturating_add(1)))
    }

    /// Whether an event is newer than what is kept.
    pub fn is_behind(&self, record: &CachedEvent) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.cached.record < *record)
    }

    /// Keeps an event unless a newer one is kept. Returns whether the end of what is kept must be watched from now on:
    /// nobody does.
    pub fn keep(&mut self, cached: Cached) -> bool {
        if !self.is_behind(&cached.record) {
            return false;
        }
        self.kept = Some(Box::new(Kept { cached, _place: None }));
        !std::mem::replace(&mut self.is_watched, true)
    }

    /// The event that was published `at` has a place among all that a node keeps which is alone.
    pub fn set_place(&mut self, at: u64, place: ShelfPlace) {
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.cached.record.at == at) {
            kept._place = Some(place);
        }
    }

    /// Nobody watches any longer.
    pub fn unwatch(&mut self) {
        self.is_watched = false;
    }

    /// Forgets the event if it is the one that was published `at`.
    pub fn evict(&mut self, at: u64) {
        self.kept.take_if(|kept| kept.cached.record.at == at);
    }

    /// The event, if its time is not over.
    pub fn fresh(&self, now: Instant) -> Option<&Cached> {
        self.kept.as_ref().map(|kept| &kept.cached).filter(|cached| cached.expires > now)
    }

    /// What is left of its time; `None` if nothing is kept.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.kept.as_ref().map(|kept| kept.cached.expires.saturating_duration_since(now))
    }

    /// Forgets the event.
    pub fn clear(&mut self) {
        self.kept = None;
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Words},
        protocol::ChannelName,
    };

    fn cached(at: u64, expires: Instant) -> Cached {
        let channel = ChannelName::parse("cache-a", 200).unwrap();
        let moment = (expires, Duration::ZERO);
        let event = Event::from_back_end(channel, Words::new("e", ""), None, moment).encode();
        Cached { event, record: CachedEvent { at, ttl: 1, payload: Default::default() }, expires }
    }

    #[test]
    fn the_newest_event_is_kept_in_whatever_order_they_come() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        assert!(cache.keep(cached(5, later)));
        assert!(!cache.keep(cached(4, later)));
        assert_eq!(cache.fresh(now).map(|kept| kept.record.at), Some(5));
        assert!(!cache.keep(cached(6, later)));
        assert_eq!(cache.fresh(now).map(|kept| kept.record.at), Some(6));
    }

    #[test]
    fn one_timer_watches_however_often_events_are_evicted_and_come() {
        let (mut cache, later) = (Cache::default(), Instant::now() + Duration::from_secs(1));
        assert!(cache.keep(cached(5, later)));
        cache.evict(4);
        assert!(!cache.is_empty());
        cache.evict(5);
        assert!(cache.is_empty());
        assert!(!cache.keep(cached(6, later)));
        cache.unwatch();
        assert!(cache.keep(cached(7, later)));
    }

    #[test]
    fn an_event_published_here_is_newer_than_the_known_one_whatever_the_clock_says() {
        let mut cache = Cache::default();
        assert_eq!(cache.date(Duration::from_micros(7)), 7);
        cache.keep(cached(9, Instant::now()));
        assert_eq!(cache.date(Duration::from_micros(7)), 10);
    }

    #[test]
    fn an_event_is_shown_until_its_time_is_over() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.keep(cached(5, now + Duration::from_secs(1)));
        assert!(cache.fresh(now).is_some());
        assert!(cache.fresh(now + Duration::from_secs(1)).is_none());
        assert_eq!(cache.rest(now + Duration::from_secs(2)), Some(Duration::ZERO));
    }
}
