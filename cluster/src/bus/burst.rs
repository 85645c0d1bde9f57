//! When the bus thread coalesces commands. A single event goes out at once; of a burst, each would cost a wake-up and a
//! system call of its own on every node, and together they cost hardly more than one. What is received was coalesced
//! where it was published.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long to coalesce. The system adds about 50 µs of its own.
const COALESCE: Duration = Duration::from_micros(200);

/// The window in which commands are counted.
const WINDOW: Duration = Duration::from_millis(1);

/// So many within a window are a burst.
const BUSY: usize = 3;

/// Detects bursts of commands.
#[derive(Debug)]
pub(super) struct Burst {
    since: Instant,
    count: usize,
}

impl Burst {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// Counts commands that were taken; returns whether to coalesce the next ones.
    pub(super) fn is_busy(&mut self, taken: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) > WINDOW {
            let was_busy = self.count >= BUSY && now.saturating_duration_since(self.since) <= WINDOW * 3;
            *self = Self { since: now, count: taken };
            return was_busy && taken > 0;
        }
        self.count += taken;
        self.count >= BUSY && taken > 0
    }
}

/// Lets commands accumulate. Blocks the whole thread, which runs nothing but the bus: the runtime's timers cannot wait
/// for less than a millisecond.
pub(super) fn coalesce() {
    thread::sleep(COALESCE);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at each of these times, in microseconds; returns after which of them commands are coalesced.
    fn check(times: &[u64], expected: &[bool]) {
        let start = Instant::now();
        let mut burst = Burst::new(start);
        let busy: Vec<bool> = times.iter().map(|time| burst.is_busy(1, start + Duration::from_micros(*time))).collect();
        assert_eq!(busy, expected);
    }

    #[test]
    fn what_comes_alone_or_one_after_the_other_goes_at_once() {
        check(&[0, 5_000, 10_000], &[false; 3]);
        check(&[0, 900, 1_800, 2_700, 3_600], &[false; 5]);
    }

    #[test]
    fn many_within_a_millisecond_are_coalesced_until_they_get_fewer() {
        check(&[0, 100, 200, 700, 1_400, 9_000], &[false, false, true, true, true, false]);
    }

    #[test]
    fn a_turn_that_took_nothing_waits_for_nothing() {
        let now = Instant::now();
        let mut burst = Burst::new(now);
        assert!(burst.is_busy(9, now));
        assert!(!burst.is_busy(0, now));
    }
}
