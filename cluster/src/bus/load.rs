//! When the bus thread lets things gather. One event that comes alone goes out at once; of many, each would cost a wake-up
//! and a system call of its own on every node, and together they cost hardly more than one.

use std::time::{Duration, Instant};

/// For how long things gather, and over how long they are counted: the shortest time that the runtime can wait.
pub(super) const GATHER: Duration = Duration::from_millis(1);

/// So many within that time are worth waiting for more.
const BUSY: usize = 8;

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

    /// Notes that so many orders or messages were taken; returns whether the next ones are to gather first.
    pub fn is_busy(&mut self, taken: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) > GATHER {
            let was_busy = self.count >= BUSY && now.saturating_duration_since(self.since) <= GATHER * 3;
            *self = Self { since: now, count: taken };
            return was_busy && taken > 0;
        }
        self.count += taken;
        self.count >= BUSY && taken > 0
    }
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
        check(&[0, 200, 400, 600, 800, 1_100, 1_300, 1_500, 1_700], &[false; 9]);
    }

    #[test]
    fn many_within_a_millisecond_gather_until_they_get_fewer() {
        let burst = [0, 100, 200, 300, 400, 500, 600];
        check(&[&burst[..], &[700, 1_400, 9_000]].concat(), &[&[false; 7][..], &[true, true, false]].concat());
    }

    #[test]
    fn a_turn_that_took_nothing_waits_for_nothing() {
        let now = Instant::now();
        let mut load = Load::new(now);
        assert!(load.is_busy(9, now));
        assert!(!load.is_busy(0, now));
    }
}
