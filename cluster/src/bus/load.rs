//! When the bus thread lets things gather. One event that comes alone goes out at once; of many, each would cost a wake-up
//! and a system call of its own on every node, and together they cost hardly more than one. What is heard has gathered
//! where it was published.

use std::{
    thread,
    time::{Duration, Instant},
};

/// For how long things gather. The system adds about 50 µs of its own.
const GATHER: Duration = Duration::from_micros(200);

/// Over how long they are counted.
const WINDOW: Duration = Duration::from_millis(1);

/// So many within that time are worth waiting for more.
const BUSY: usize = 3;

/// What was done lately.
#[derive(Debug)]
pub(super) struct Load {
    since: Instant,
    count: usize,
}

impl Load {
    /// Nothing so far.
    pub fn new(now: Instant) -> Self {
        Self { since: now, count: 0 }
    }

    /// Notes that so many orders were taken; returns whether the next ones are to gather first.
    pub fn is_busy(&mut self, taken: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) > WINDOW {
            let was_busy = self.count >= BUSY && now.saturating_duration_since(self.since) <= WINDOW * 3;
            *self = Self { since: now, count: taken };
            return was_busy && taken > 0;
        }
        self.count += taken;
        self.count >= BUSY && taken > 0
    }
}

/// Lets things gather. Holds up the whole thread, which has nothing but the bus on it: the runtime's own timers cannot
/// wait for less than a millisecond.
pub(super) fn gather() {
    thread::sleep(GATHER);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one at each of these times, in microseconds; returns after which of them things gather.
    fn check(times: &[u64], expected: &[bool]) {
        let start = Instant::now();
        let mut load = Load::new(start);
        let busy: Vec<bool> = times.iter().map(|time| load.is_busy(1, start + Duration::from_micros(*time))).collect();
        assert_eq!(busy, expected);
    }

    #[test]
    fn what_comes_alone_or_one_after_the_other_goes_at_once() {
        check(&[0, 5_000, 10_000], &[false; 3]);
        check(&[0, 900, 1_800, 2_700, 3_600], &[false; 5]);
    }

    #[test]
    fn many_within_a_millisecond_gather_until_they_get_fewer() {
        check(&[0, 100, 200, 700, 1_400, 9_000], &[false, false, true, true, true, false]);
    }

    #[test]
    fn a_turn_that_took_nothing_waits_for_nothing() {
        let now = Instant::now();
        let mut load = Load::new(now);
        assert!(load.is_busy(9, now));
        assert!(!load.is_busy(0, now));
    }
}
