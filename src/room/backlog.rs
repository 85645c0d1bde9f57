//! How many events wait between the trigger API and the sockets. The bound of every room's queue together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts accepted events until they are written. Over the limit a trigger is refused whole, at once.
#[derive(Debug)]
pub struct Backlog {
    waiting: AtomicUsize,
    limit: usize,
}

/// Places for some events; each is given back when its event is written or dropped.
#[derive(Debug)]
pub struct Permit(Arc<Backlog>);

impl Backlog {
    /// Room for `limit` events.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { waiting: AtomicUsize::new(0), limit })
    }

    /// The limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many events wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes `count` places or none.
    pub fn reserve(self: &Arc<Self>, count: usize) -> Option<Vec<Permit>> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                Some(waiting + count).filter(|total| *total <= self.limit)
            })
            .ok()?;
        Some((0..count).map(|_| Permit(self.clone())).collect())
    }

    /// Takes a place for an event that was accepted elsewhere, also beyond the limit, up to four times of it.
    pub fn admit(self: &Arc<Self>) -> Option<Permit> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                Some(waiting + 1).filter(|total| *total <= self.limit.saturating_mul(4))
            })
            .ok()?;
        Some(Permit(self.clone()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_together_or_not_at_all_and_come_back() {
        let backlog = Backlog::new(3);
        let two = backlog.reserve(2).expect("three are free");
        assert!(backlog.reserve(2).is_none());
        let one = backlog.reserve(1).expect("one is free");
        drop((two, one));
        assert!(backlog.reserve(3).is_some());
    }

    #[test]
    fn what_was_accepted_elsewhere_may_go_beyond_the_limit_and_holds_up_what_is_new_here() {
        let backlog = Backlog::new(2);
        let permits: Vec<_> = (0..8).filter_map(|_| backlog.admit()).collect();
        assert_eq!(permits.len(), 8);
        assert!(backlog.admit().is_none());
        assert!(backlog.reserve(1).is_none());
    }
}
