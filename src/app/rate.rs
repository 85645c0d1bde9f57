//! Token buckets that hold their state in one number (GCRA). Pure: the caller brings the clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What is charged is paid after so long at the latest.
const LONGEST_DEBT: u64 = 60 * SECOND;

/// Allows `per_second` tokens a second with a burst of one second's worth. A caller that asks for more than that at once is
/// served when the bucket is full, and everybody pays for it afterwards: no request is refused for ever.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// When the bucket will be full again, in nanoseconds of the caller's clock.
    full_at: AtomicU64,
    taken: AtomicU64,
}

impl RateLimit {
    /// Takes `tokens` at `now` (time since any fixed moment). Refused calls take nothing and say how long to wait.
    pub fn take(&self, tokens: u32, per_second: u32, now: Duration) -> Result<(), Duration> {
        let now = now.as_nanos() as u64;
        let cost = time_of(tokens, per_second);
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = taken(full_at, now, cost, SECOND)?;
            match self.full_at.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.taken.fetch_add(tokens.into(), Ordering::Relaxed);
                    return Ok(());
                }
                Err(actual) => full_at = actual,
            }
        }
    }

    /// Takes one of as many tokens as come in `room`, and says how far ahead of its time the bucket is with it: a caller who
    /// can wait goes on when its token would have come.
    pub fn reserve(&self, per_second: u32, room: Duration, now: Duration) -> Result<Duration, Duration> {
        let now = now.as_nanos() as u64;
        let cost = time_of(1, per_second);
        let mut next = Ok(0);
        let update = |full_at| {
            next = taken(full_at, now, cost, room.as_nanos() as u64);
            next.ok()
        };
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        next.map(|next| Duration::from_nanos(next - now))
    }

    /// Takes as many tokens as it must, also more than there are: everybody pays for it afterwards.
    pub fn charge(&self, tokens: u64, per_second: u32, now: Duration) {
        let now = now.as_nanos() as u64;
        let cost = (SECOND / u64::from(per_second.max(1))).saturating_mul(tokens);
        let charged = |full_at: u64| Some(full_at.max(now).saturating_add(cost).min(now.saturating_add(LONGEST_DEBT)));
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
        self.taken.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Whether it owes nothing; else for how long it does.
    pub fn check(&self, now: Duration) -> Result<(), Duration> {
        let ahead = self.full_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos() as u64);
        match ahead.saturating_sub(SECOND) {
            0 => Ok(()),
            over => Err(Duration::from_nanos(over)),
        }
    }

    /// Whether it holds all of its tokens.
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now.as_nanos() as u64
    }

    /// Counts tokens of which there are as many as anybody wants.
    pub fn count(&self, tokens: u32) {
        self.taken.fetch_add(tokens.into(), Ordering::Relaxed);
    }

    /// Tokens taken since the start.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The same with one owner and a size of its own, for callers that can wait.
#[derive(Debug, Default)]
pub struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes one of at most `size` tokens, of which `per_second` come back in a second, or says how long to wait for it.
    pub fn take(&mut self, size: u32, per_second: u32, now: Duration) -> Result<(), Duration> {
        let (cost, room) = (time_of(1, per_second), time_of(size, per_second));
        self.full_at = taken(self.full_at, now.as_nanos() as u64, cost, room)?;
        Ok(())
    }

    /// Whether it holds all of its tokens.
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now.as_nanos() as u64
    }

    /// Which part of its tokens such a bucket holds, from 0 to 1.
    pub fn spare(&self, size: u32, per_second: u32, now: Duration) -> f64 {
        let missing = self.full_at.saturating_sub(now.as_nanos() as u64);
        (1.0 - missing as f64 / time_of(size, per_second).max(1) as f64).max(0.0)
    }
}

/// Counts in windows of a fixed length, the first of which begins with the first count.
#[derive(Debug, Default)]
pub struct Window {
    ends_at: Duration,
    count: u32,
}

impl Window {
    /// Counts one more if fewer than `limit` were counted in this window of so long.
    pub fn count(&mut self, limit: u32, length: Duration, now: Duration) -> bool {
        if now >= self.ends_at {
            *self = Self { ends_at: now + length, count: 0 };
        }
        let counts = self.count < limit;
        self.count += u32::from(counts);
        counts
    }
}

/// In how many nanoseconds so many tokens come.
fn time_of(tokens: u32, per_second: u32) -> u64 {
    SECOND / u64::from(per_second.max(1)) * u64::from(tokens)
}

/// When a bucket with `room` that would be full at `full_at` will be so after `cost` is taken, or for how long that is
/// more than it holds.
fn taken(full_at: u64, now: u64, cost: u64, room: u64) -> Result<u64, Duration> {
    let next = full_at.max(now) + cost;
    match next.saturating_sub(now + cost.max(room)) {
        0 => Ok(next),
        over => Err(Duration::from_nanos(over)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_up_to_its_limit_and_the_next_begins_when_something_comes() {
        let mut window = Window::default();
        let mut counted = |seconds| {
            let now = Duration::from_secs(seconds);
            (0..5).filter(|_| window.count(3, Duration::from_secs(60), now)).count()
        };
        assert_eq!((counted(10), counted(69), counted(70), counted(129), counted(500)), (3, 0, 3, 0, 3));
    }

    #[test]
    fn a_bucket_gives_its_size_at_once_and_then_one_token_at_a_time() {
        let mut bucket = Bucket::default();
        let mut taken = |now| (0..5_000).take_while(|_| bucket.take(1_100, 50, now).is_ok()).count();
        let start = Duration::from_secs(100);
        assert_eq!(taken(start), 1_100);
        assert_eq!(taken(start + Duration::from_millis(20)), 1);
        assert_eq!(taken(start + Duration::from_millis(1_020)), 50);
        assert_eq!(taken(start + Duration::from_secs(1_000)), 1_100);
        assert_eq!(bucket.take(1_100, 50, start + Duration::from_secs(1_000)), Err(Duration::from_millis(20)));
    }

    #[test]
    fn a_bucket_says_which_part_it_has_left() {
        let mut bucket = Bucket::default();
        let spare = |bucket: &Bucket, seconds| bucket.spare(100, 10, Duration::from_secs(seconds));
        assert_eq!(spare(&bucket, 1), 1.0);
        for _ in 0..100 {
            bucket.take(100, 10, Duration::from_secs(1)).unwrap();
        }
        assert_eq!([1, 6, 11, 50].map(|seconds| spare(&bucket, seconds)), [0.0, 0.5, 1.0, 1.0]);
        // A size that has shrunk meanwhile.
        assert_eq!(bucket.spare(10, 10, Duration::from_secs(1)), 0.0);
    }

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
    fn what_is_refused_does_not_count_as_taken() {
        let limit = RateLimit::default();
        assert!(limit.take(7, 10, Duration::ZERO).is_ok());
        assert!(limit.take(7, 10, Duration::ZERO).is_err());
        assert_eq!(limit.taken(), 7);
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let limit = RateLimit::default();
        assert_eq!(limit.take(10, 10, Duration::ZERO), Ok(()));
        assert_eq!(limit.take(2, 10, Duration::ZERO), Err(Duration::from_millis(200)));
        assert_eq!(limit.take(2, 10, Duration::from_millis(200)), Ok(()));
    }
}
