//! The last event of a cache channel (protocol.md §1.10). Pure but for asking whether its time is over.

use std::time::{Duration, Instant};

use gaung_cluster::fact::CachedEvent;

use super::event::EncodedEvent;

/// An event that later subscribers are shown.
#[derive(Debug, Clone)]
pub struct Cached {
    /// The event, ready for sockets.
    pub event: EncodedEvent,
    /// The same event as nodes compare it: the newest is kept, on every node the same one.
    pub record: CachedEvent,
    /// When it is over, on this node's clock.
    pub expires: Instant,
}

/// What a room keeps.
#[derive(Debug, Default)]
pub struct Cache(Option<Cached>);

impl Cache {
    /// When an event that is published here now is to be dated, in microseconds of the Unix epoch: it is newer than what
    /// is known here, whatever the clocks of others say.
    pub fn date(&self, now: Duration) -> u64 {
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.0.as_ref().map_or(now, |kept| now.max(kept.record.at.saturating_add(1)))
    }

    /// Keeps an event unless a newer one is kept. Returns whether the end of what is kept must be watched from now on:
    /// nothing was kept before.
    pub fn keep(&mut self, cached: Cached) -> bool {
        if self.0.as_ref().is_some_and(|kept| kept.record >= cached.record) {
            return false;
        }
        self.0.replace(cached).is_none()
    }

    /// The event, if its time is not over.
    pub fn fresh(&self, now: Instant) -> Option<&Cached> {
        self.0.as_ref().filter(|kept| kept.expires > now)
    }

    /// What is left of its time; `None` if nothing is kept.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        self.0.as_ref().map(|kept| kept.expires.saturating_duration_since(now))
    }

    /// Forgets the event.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::ChannelName, room::Event};

    fn cached(at: u64, expires: Instant) -> Cached {
        let channel = ChannelName::parse("cache-a", 200).unwrap();
        let moment = (expires, Duration::ZERO);
        let event = Event::from_back_end(channel, "e".to_owned(), String::new(), None, moment).encode();
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
