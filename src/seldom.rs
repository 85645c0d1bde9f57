//! What anybody can cause as often as they like is logged at once, and then once a minute at most with the number of all
//! since: a log must not grow at a stranger's pace.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The log has one line in this time.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts one kind of event of the whole node, and says when it is to be logged. Locked only where the event happens.
#[derive(Debug)]
pub struct Seldom {
    started: Instant,
    counted: Mutex<Counted>,
}

/// Times count from any moment, always the same.
#[derive(Debug, Default)]
struct Counted {
    logged_at: Option<Duration>,
    unlogged: u64,
}

impl Seldom {
    pub fn new() -> Self {
        Self { started: Instant::now(), counted: Mutex::default() }
    }

    /// It happened. How often since the last line, if a line is due now.
    pub fn count(&self) -> Option<u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.count(self.started.elapsed())
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self::new()
    }
}

impl Counted {
    fn count(&mut self, now: Duration) -> Option<u64> {
        self.unlogged += 1;
        if self.logged_at.is_some_and(|logged_at| now < logged_at + PAUSE) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_at_once_and_then_one_a_minute_with_the_number_of_all_since() {
        let mut counted = Counted::default();
        let logged = [5, 6, 30, 64, 65, 66, 125].map(|second| counted.count(Duration::from_secs(second)));
        assert_eq!(logged, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }
}
