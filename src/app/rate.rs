//! A token bucket that holds its state in one number (GCRA). Pure: the caller brings the clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Allows `per_second` tokens a second with a burst of one second's worth. Whoever asks for more than that at once is
/// served when the bucket is full, and everybody pays for it afterwards: no request is refused for ever.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// When the bucket will be full again, in nanoseconds of the caller's clock.
    full_at: AtomicU64,
}

impl RateLimit {
    /// Takes `tokens` at `now` (time since any fixed moment). Refused calls take nothing and say how long to wait.
    pub fn take(&self, tokens: u32, per_second: u32, now: Duration) -> Result<(), Duration> {
        let now = now.as_nanos() as u64;
        let cost = SECOND / u64::from(per_second.max(1)) * u64::from(tokens);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now) + cost;
            let over = next.saturating_sub(now + cost.max(SECOND));
            if over > 0 {
                return Err(Duration::from_nanos(over));
            }
            match self.full_at.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(actual) => full_at = actual,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limit: &RateLimit, attempts: u32, now: Duration) -> usize {
        (0..attempts).filter(|_| limit.take(1, 10, now).is_ok()).count()
    }

    #[test]
    fn a_burst_of_one_second_is_allowed_and_then_the_rate() {
        let limit = RateLimit::default();
        let start = Duration::from_secs(100);
        assert_eq!(taken(&limit, 50, start), 10);
        assert_eq!(taken(&limit, 50, start + Duration::from_millis(300)), 3);
        assert_eq!(taken(&limit, 50, start + Duration::from_secs(60)), 10);
    }

    #[test]
    fn more_than_a_second_holds_is_served_when_the_bucket_is_full() {
        let limit = RateLimit::default();
        assert_eq!(limit.take(30, 10, Duration::ZERO), Ok(()));
        assert_eq!(limit.take(30, 10, Duration::from_secs(1)), Err(Duration::from_secs(2)));
        assert_eq!(limit.take(1, 10, Duration::from_secs(1)), Err(Duration::from_millis(1_100)));
        assert_eq!(limit.take(30, 10, Duration::from_secs(3)), Ok(()));
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let limit = RateLimit::default();
        assert_eq!(limit.take(10, 10, Duration::ZERO), Ok(()));
        assert_eq!(limit.take(2, 10, Duration::ZERO), Err(Duration::from_millis(200)));
        assert_eq!(limit.take(2, 10, Duration::from_millis(200)), Ok(()));
    }
}
