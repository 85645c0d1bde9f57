//! When subscribers hear `pusher_internal:subscription_count` (protocol.md §1.13). Pure.

use std::time::{Duration, Instant};

/// Above this many subscribers a channel is busy.
const BUSY: usize = 100;

/// The pause between two counts in a busy channel.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// The pause in all others, so that one who joins and leaves all the time costs the others ten frames a second.
const PAUSE: Duration = Duration::from_millis(100);

/// Remembers when the count was told last.
#[derive(Debug, Default)]
pub(super) struct CountNotice {
    last: Option<Instant>,
    waiting: bool,
}

/// What to do about a changed count.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Tell it now.
    Now,
    /// Tell the count of then after this time.
    After(Duration),
    /// It will be told by an earlier `After`.
    Waiting,
}

impl CountNotice {
    /// The count has become `count`.
    pub(super) fn changed(&mut self, count: usize, now: Instant) -> Notice {
        if self.waiting {
            return Notice::Waiting;
        }
        let pause = if count > BUSY { BUSY_PAUSE } else { PAUSE };
        let rest = self.last.map_or(Duration::ZERO, |last| (last + pause).saturating_duration_since(now));
        if rest.is_zero() {
            self.last = Some(now);
            return Notice::Now;
        }
        self.waiting = true;
        Notice::After(rest)
    }

    /// The time of an `After` has come.
    pub(super) fn told(&mut self, now: Instant) {
        self.waiting = false;
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_channels_hear_a_change_at_once_and_those_within_a_moment_together() {
        let mut notice = CountNotice::default();
        let start = Instant::now();
        assert_eq!(notice.changed(99, start), Notice::Now);
        assert_eq!(notice.changed(100, start + PAUSE), Notice::Now);
        assert_eq!(notice.changed(99, start + PAUSE), Notice::After(PAUSE));
        assert_eq!(notice.changed(100, start + PAUSE), Notice::Waiting);
        notice.told(start + PAUSE * 2);
        assert_eq!(notice.changed(99, start + PAUSE * 3), Notice::Now);
    }

    #[test]
    fn busy_channels_hear_one_count_in_five_seconds() {
        let mut notice = CountNotice::default();
        let start = Instant::now();
        assert_eq!(notice.changed(101, start), Notice::Now);
        assert_eq!(notice.changed(102, start + Duration::from_secs(1)), Notice::After(Duration::from_secs(4)));
        assert_eq!(notice.changed(103, start + Duration::from_secs(2)), Notice::Waiting);
        notice.told(start + BUSY_PAUSE);
        assert_eq!(notice.changed(104, start + Duration::from_secs(11)), Notice::Now);
    }
}
