//! What can come as often as anybody likes is logged at once, and then once in a while with the number of all since: a log
//! must not grow at a stranger's pace. That it is over is logged as often: after each line that it happens, at most once.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Counts one kind of event of the whole node, and says when it is to be logged: at most once in so many seconds. Locked
/// only where the event happens, not where it is asked whether it is over.
#[derive(Debug, Default)]
pub struct Seldom<const SECONDS: u64 = 60> {
    counted: Mutex<Counted>,
    /// Whether the log's last word is that it happens.
    is_told: AtomicBool,
}

#[derive(Debug, Default)]
struct Counted {
    logged: Option<Instant>,
    /// When it happened last.
    last: Option<Instant>,
    unlogged: u64,
}

impl<const SECONDS: u64> Seldom<SECONDS> {
    const PAUSE: Duration = Duration::from_secs(SECONDS);

    /// It happened. How often since the last line, if a line is due now.
    pub fn count(&self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&self, now: Instant) -> Option<u64> {
        let mut counted = self.lock();
        counted.unlogged += 1;
        counted.last = Some(now);
        if counted.logged.is_some_and(|logged| now < logged + Self::PAUSE) {
            return None;
        }
        counted.logged = Some(now);
        self.is_told.store(true, Relaxed);
        Some(std::mem::take(&mut counted.unlogged))
    }

    /// It is over: the next is logged at once. Whether the log is to say so, because its last word is that it happens.
    pub(crate) fn reset(&self) -> bool {
        *self.lock() = Counted::default();
        self.settle()
    }

    /// It is over. Whether the log is to say so. The next is logged as if it were not over, so that what comes and goes does
    /// not fill the log.
    pub fn settle(&self) -> bool {
        self.is_told.load(Relaxed) && self.is_told.swap(false, Relaxed)
    }

    /// The same for what has no end that anybody sees: it is over when it has not happened for as long as lines lie apart.
    pub(crate) fn faded(&self) -> bool {
        self.faded_at(Instant::now())
    }

    fn faded_at(&self, now: Instant) -> bool {
        let is_over = self.lock().last.is_none_or(|last| now >= last + Self::PAUSE);
        is_over && self.settle()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_then_one_a_minute_with_the_number_of_all_since() {
        let (seldom, start) = (Seldom::<60>::default(), Instant::now());
        let logged = [5, 6, 30, 64, 65, 66, 125].map(|second| seldom.count_at(start + Duration::from_secs(second)));
        assert_eq!(logged, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }

    #[test]
    fn what_is_over_is_logged_at_once_when_it_comes_again() {
        let seldom = Seldom::<60>::default();
        assert_eq!([seldom.count(), seldom.count()], [Some(1), None]);
        assert!(seldom.reset());
        assert!(!seldom.reset());
        assert_eq!(seldom.count(), Some(1));
    }

    #[test]
    fn an_end_is_worth_a_line_after_each_that_told_of_it_and_no_other() {
        let (seldom, start) = (Seldom::<60>::default(), Instant::now());
        assert!(!seldom.settle());
        seldom.count_at(start);
        assert!(seldom.settle() && !seldom.settle());
        assert_eq!(seldom.count_at(start + Duration::from_secs(59)), None);
        assert!(!seldom.settle());
        assert_eq!(seldom.count_at(start + Duration::from_secs(60)), Some(2));
        assert!(seldom.settle());
    }

    #[test]
    fn what_has_no_end_is_over_when_it_has_not_come_for_a_while() {
        let (seldom, start) = (Seldom::<60>::default(), Instant::now());
        let second = |second| start + Duration::from_secs(second);
        assert!(!seldom.faded_at(start));
        assert_eq!([seldom.count_at(start), seldom.count_at(second(30))], [Some(1), None]);
        assert!(!seldom.faded_at(second(89)));
        assert!(seldom.faded_at(second(90)) && !seldom.faded_at(second(91)));
    }
}
