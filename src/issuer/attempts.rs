//! When an issuer's keys are read: again and again, sooner after a failure, and for a key that is not known, but never more
//! often than once in a pause. Pure.

use std::time::{Duration, Instant};

/// How often keys are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// After a reading that succeeded.
    pub(super) interval: Duration,
    /// At the soonest, and after the first failure. Each further failure in a row doubles it, up to the interval.
    pub(super) pause: Duration,
}

/// The readings so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempts {
    /// When the last one began.
    began: Option<Instant>,
    is_under_way: bool,
    /// When the last one succeeded, or since when there was none.
    fresh: Instant,
    failed_in_a_row: u32,
    pub(super) reads: u64,
    pub(super) failures: u64,
}

impl Pace {
    /// When the next one begins, whether anybody asks or not.
    pub(super) fn next(&self, attempts: &Attempts, now: Instant) -> Instant {
        let Some(began) = attempts.began else { return now };
        let wait = match attempts.failed_in_a_row {
            0 => self.interval,
            failures => self.pause.saturating_mul(2_u32.saturating_pow(failures - 1)).min(self.interval),
        };
        began + wait.max(self.pause)
    }

    /// Whether one may begin now because somebody asks.
    pub(super) fn may_begin(&self, attempts: &Attempts, now: Instant) -> bool {
        attempts.began.is_none_or(|began| now >= began + self.pause)
    }

    /// Whether somebody who asks now hears of one: it may begin, or is under way.
    pub(super) fn permits(&self, attempts: &Attempts, now: Instant) -> bool {
        attempts.is_under_way || self.may_begin(attempts, now)
    }
}

impl Attempts {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: None, is_under_way: false, fresh: now, failed_in_a_row: 0, reads: 0, failures: 0 }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        (self.began, self.is_under_way) = (Some(now), true);
    }

    pub(super) fn succeed(&mut self, now: Instant) {
        (self.is_under_way, self.fresh, self.failed_in_a_row) = (false, now, 0);
        self.reads += 1;
    }

    pub(super) fn fail(&mut self) {
        self.is_under_way = false;
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        self.failures += 1;
    }

    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        self.reads + self.failures
    }

    /// Whether the last that ended did.
    pub(super) fn has_succeeded(&self) -> bool {
        self.reads > 0 && self.failed_in_a_row == 0
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { interval: Duration::from_secs(300), pause: Duration::from_secs(10) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_is_due_at_once_and_the_next_after_the_interval() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        assert_eq!(PACE.next(&attempts, start), start);
        attempts.begin(start);
        attempts.succeed(start + seconds(2));
        assert_eq!(PACE.next(&attempts, start), start + seconds(300));
        assert_eq!(attempts.age(start + seconds(5)), seconds(3));
    }

    #[test]
    fn after_failures_the_next_comes_soon_and_then_ever_later_up_to_the_interval() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        let waits = [10, 20, 40, 80, 160, 300, 300].map(|wait| {
            attempts.begin(start);
            attempts.fail();
            (PACE.next(&attempts, start), start + seconds(wait))
        });
        assert!(waits.iter().all(|(next, expected)| next == expected), "{waits:?}");
        attempts.begin(start);
        attempts.succeed(start);
        assert_eq!(PACE.next(&attempts, start), start + seconds(300));
        assert_eq!((attempts.reads, attempts.failures, attempts.ended()), (1, 7, 8));
    }

    #[test]
    fn who_asks_hears_of_one_under_way_and_has_another_begin_once_in_a_pause() {
        let start = Instant::now();
        let mut attempts = Attempts::new(start);
        assert!(PACE.may_begin(&attempts, start));
        attempts.begin(start);
        assert!(!PACE.may_begin(&attempts, start + seconds(9)));
        assert!(PACE.permits(&attempts, start + seconds(9)));
        attempts.succeed(start);
        assert!(!PACE.permits(&attempts, start + seconds(9)));
        assert!(PACE.permits(&attempts, start + seconds(10)));
        attempts.begin(start + seconds(10));
        attempts.fail();
        assert!(!PACE.permits(&attempts, start + seconds(19)));
    }

    #[test]
    fn only_the_last_that_ended_counts_as_success() {
        let mut attempts = Attempts::new(Instant::now());
        assert!(!attempts.has_succeeded());
        attempts.succeed(Instant::now());
        assert!(attempts.has_succeeded());
        attempts.fail();
        assert!(!attempts.has_succeeded());
    }
}
