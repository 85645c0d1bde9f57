//! How long things took, counted by size for each app. It has few buckets, because there is one for each app, and an
//! observation costs two additions.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Up to how many seconds each bucket counts. Whatever takes longer is in the last one, which has no bound.
pub const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Times by size. Their number is the sum of all buckets, so that it agrees with them at any moment.
#[derive(Debug, Default)]
pub struct TimeHistogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl TimeHistogram {
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many took no longer than each bound, and at last how many there are.
    pub fn cumulative(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|bucket| {
            sum += self.buckets[bucket].load(Relaxed);
            sum
        })
    }

    /// Seconds that all took together.
    pub fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_reaches_it_and_in_all_behind() {
        let times = TimeHistogram::default();
        for millis in [1, 2, 250, 251, 9_000] {
            times.observe(Duration::from_millis(millis));
        }
        assert_eq!(times.cumulative(), [1, 2, 2, 2, 2, 2, 3, 4, 4, 4, 5]);
        assert_eq!(times.seconds(), 9.504);
    }
}
