//! What can come as often as anybody likes is logged at once, and then once in a while with the number of all since: a log
//! must not grow at a stranger's pace.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Counts one kind of event of the whole node, and says when it is to be logged: at most once in so many seconds. Locked
/// only where the event happens.
#[derive(Debug, Default)]
pub struct Seldom<const SECONDS: u64 = 60>(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    logged: Option<Instant>,
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
        if counted.logged.is_some_and(|logged| now < logged + Self::PAUSE) {
            return None;
        }
        counted.logged = Some(now);
        Some(std::mem::take(&mut counted.unlogged))
    }

    /// It is over: the next is logged at once.
    pub(crate) fn reset(&self) {
        *self.lock() = Counted::default();
    }

    /// It is over. Whether that is worth a line, because it was logged and not just now; only then the next is logged at
    /// once, so that what comes and goes does not fill the log.
    pub(crate) fn settle(&self) -> bool {
        self.lock().logged.take_if(|logged| logged.elapsed() >= Self::PAUSE).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        seldom.reset();
        assert_eq!(seldom.count(), Some(1));
    }

    #[test]
    fn an_end_soon_after_a_line_is_worth_none() {
        let seldom = Seldom::<60>::default();
        assert!(!seldom.settle());
        seldom.count();
        assert!(!seldom.settle());
        let long_ago = Seldom::<0>::default();
        long_ago.count();
        assert!(long_ago.settle());
        assert!(!long_ago.settle());
    }
}
