//! How many events wait between those who publish and the sockets, and how many bytes they have. The bound of every
//! room's queue together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Bytes of their frames. One request may have more while nothing else waits, so that none is refused for ever.
    pub bytes: usize,
}

/// Counts accepted events until they are written. Over a limit a trigger is refused whole, at once.
#[derive(Debug)]
pub struct Backlog {
    events: AtomicUsize,
    bytes: AtomicUsize,
    limits: Limits,
}

/// The place of an event; given back when it is written or dropped.
#[derive(Debug)]
pub struct Permit {
    backlog: Arc<Backlog>,
    bytes: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// So many events wait already.
    Events(usize),
    /// So many bytes wait already.
    Bytes(usize),
}

impl Backlog {
    /// Room for what the limits say.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { events: AtomicUsize::new(0), bytes: AtomicUsize::new(0), limits })
    }

    /// How many events wait now.
    pub fn waiting(&self) -> usize {
        self.events.load(Relaxed)
    }

    /// Takes places for events of these sizes, or none.
    pub fn reserve(self: &Arc<Self>, sizes: &[usize]) -> Result<Vec<Permit>, Full> {
        self.take(sizes.len(), sizes.iter().sum(), 1)?;
        Ok(sizes.iter().map(|bytes| Permit { backlog: self.clone(), bytes: *bytes }).collect())
    }

    /// Takes a place for one event.
    pub fn reserve_one(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.take(1, bytes, 1)?;
        Ok(Permit { backlog: self.clone(), bytes })
    }

    /// Takes a place for an event that was accepted elsewhere, also beyond the limits, up to four times of them.
    pub fn admit(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.take(1, bytes, 4)?;
        Ok(Permit { backlog: self.clone(), bytes })
    }

    fn take(&self, events: usize, bytes: usize, times: usize) -> Result<(), Full> {
        let limit = self.limits.events.saturating_mul(times);
        let more = |waiting: usize| Some(waiting + events).filter(|total| *total <= limit);
        self.events.fetch_update(Relaxed, Relaxed, more).map_err(|_| Full::Events(self.limits.events))?;
        let limit = self.limits.bytes.saturating_mul(times);
        let more = |waiting: usize| Some(waiting + bytes).filter(|total| waiting == 0 || *total <= limit);
        self.bytes.fetch_update(Relaxed, Relaxed, more).map_err(|_| {
            self.events.fetch_sub(events, Relaxed);
            Full::Bytes(self.limits.bytes)
        })?;
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.backlog.events.fetch_sub(1, Relaxed);
        self.backlog.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(events: usize, bytes: usize) -> Arc<Backlog> {
        Backlog::new(Limits { events, bytes })
    }

    #[test]
    fn places_are_taken_together_or_not_at_all_and_come_back() {
        let backlog = backlog(3, 1_000);
        let two = backlog.reserve(&[1, 1]).unwrap();
        assert_eq!(backlog.reserve(&[1, 1]).unwrap_err(), Full::Events(3));
        let one = backlog.reserve(&[1]).unwrap();
        drop((two, one));
        assert!(backlog.reserve(&[1, 1, 1]).is_ok());
    }

    #[test]
    fn bytes_count_as_well_as_events() {
        let backlog = backlog(100, 1_000);
        let most = backlog.reserve(&[300, 600]).unwrap();
        assert_eq!(backlog.reserve(&[60, 60]).unwrap_err(), Full::Bytes(1_000));
        assert_eq!(backlog.waiting(), 2);
        assert!(backlog.reserve(&[50, 50]).is_ok());
        drop(most);
        assert!(backlog.reserve(&[500, 500]).is_ok());
    }

    #[test]
    fn a_request_that_is_larger_than_the_limit_passes_while_nothing_waits() {
        let backlog = backlog(100, 1_000);
        let large = backlog.reserve(&[5_000]).unwrap();
        assert_eq!(backlog.reserve(&[1]).unwrap_err(), Full::Bytes(1_000));
        drop(large);
        assert!(backlog.reserve(&[1]).is_ok());
    }

    #[test]
    fn what_was_accepted_elsewhere_may_go_beyond_the_limits_and_holds_up_what_is_new_here() {
        let many = backlog(2, 1_000);
        let permits: Vec<_> = (0..8).map_while(|_| many.admit(1).ok()).collect();
        assert_eq!(permits.len(), 8);
        assert_eq!(many.admit(1).unwrap_err(), Full::Events(2));
        assert!(many.reserve(&[1]).is_err());
        let large = backlog(100, 1_000);
        let permits: Vec<_> = (0..5).map_while(|_| large.admit(800).ok()).collect();
        assert_eq!(permits.len(), 5);
        assert_eq!(large.admit(1).unwrap_err(), Full::Bytes(1_000));
    }
}
