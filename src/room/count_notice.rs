//! When subscribers hear `pusher_internal:subscription_count` (protocol.md §1.13). Pure.

use std::time::{Duration, Instant};

/// Above this many subscribers the count is told at most once per [`PAUSE`].
const BUSY: usize = 100;

/// The pause between two counts in a busy channel.
const PAUSE: Duration = Duration::from_secs(5);

/// Remembers when the count was told last.
#[derive(Debug, Default)]
pub struct CountNotice {
    last: Option<Instant>,
    waiting: bool,
}

/// What to do about a changed count.
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// Tell it now.
    Now,
    /// Tell the count of then after this time.
    After(Duration),
    /// It will be told by an earlier `After`.
    Waiting,
}

impl CountNotice {
    /// The count has become `count`.
    pub fn changed(&mut self, count: usize, now: Instant) -> Notice {
        if self.waiting {
            return Notice::Waiting;
        }
        let rest = self.last.map_or(Duration::ZERO, |last| (last + PAUSE).saturating_duration_since(now));
        if count <= BUSY || rest.is_zero() {
            self.last = Some(now);
            return Notice::Now;
        }
        self.waiting = true;
        Notice::After(rest)
    }

    /// The time of an `After` has come.
    pub fn told(&mut self, now: Instant) {
        self.waiting = false;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_channels_hear_every_change() {
        let mut notice = CountNotice::default();
        let now = Instant::now();
        assert_eq!(notice.changed(99, now), Notice::Now);
        assert_eq!(notice.changed(100, now), Notice::Now);
    }

    #[test]
    fn busy_channels_hear_one_count_in_five_seconds() {
        let mut notice = CountNotice::default();
        let start = Instant::now();
        assert_eq!(notice.changed(101, start), Notice::Now);
        assert_eq!(notice.changed(102, start + Duration::from_secs(1)), Notice::After(Duration::from_secs(4)));
        assert_eq!(notice.changed(103, start + Duration::from_secs(2)), Notice::Waiting);
        notice.told(start + PAUSE);
        assert_eq!(notice.changed(104, start + Duration::from_secs(11)), Notice::Now);
    }
}
