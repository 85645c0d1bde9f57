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

/// Lets events wait; given back when they are written or dropped.
#[derive(Debug)]
pub struct Permit {
    backlog: Arc<Backlog>,
    events: usize,
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

    /// A permit for so many events with so many bytes together.
    pub fn reserve(self: &Arc<Self>, events: usize, bytes: usize) -> Result<Permit, Full> {
        self.take(events, bytes, 1)?;
        Ok(Permit { backlog: self.clone(), events, bytes })
    }

    /// Takes a place for an event that another node has accepted, also beyond the limits, up to four times of them.
    pub fn admit(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.take(1, bytes, 4)?;
        Ok(Permit { backlog: self.clone(), events: 1, bytes })
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

impl Permit {
    /// Takes the permit of one event out of one for several.
    pub fn split(&mut self, bytes: usize) -> Self {
        self.events -= 1;
        self.bytes -= bytes;
        Self { backlog: self.backlog.clone(), events: 1, bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.backlog.events.fetch_sub(self.events, Relaxed);
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
        let mut two = backlog.reserve(2, 2).unwrap();
        assert_eq!(backlog.reserve(2, 2).unwrap_err(), Full::Events(3));
        let one = backlog.reserve(1, 1).unwrap();
        drop(two.split(1));
        assert_eq!(backlog.waiting(), 2);
        drop((two, one));
        assert_eq!(backlog.waiting(), 0);
        assert!(backlog.reserve(3, 3).is_ok());
    }

    #[test]
    fn bytes_count_as_well_as_events() {
        let backlog = backlog(100, 1_000);
        let most = backlog.reserve(2, 900).unwrap();
        assert_eq!(backlog.reserve(2, 120).unwrap_err(), Full::Bytes(1_000));
        assert_eq!(backlog.waiting(), 2);
        assert!(backlog.reserve(2, 100).is_ok());
        drop(most);
        assert!(backlog.reserve(2, 1_000).is_ok());
    }

    #[test]
    fn a_request_that_is_larger_than_the_limit_passes_while_nothing_waits() {
        let backlog = backlog(100, 1_000);
        let large = backlog.reserve(1, 5_000).unwrap();
        assert_eq!(backlog.reserve(1, 1).unwrap_err(), Full::Bytes(1_000));
        drop(large);
        assert!(backlog.reserve(1, 1).is_ok());
    }

    #[test]
    fn what_was_accepted_elsewhere_may_go_beyond_the_limits_and_holds_up_what_is_new_here() {
        let many = backlog(2, 1_000);
        let permits: Vec<_> = (0..8).map_while(|_| many.admit(1).ok()).collect();
        assert_eq!(permits.len(), 8);
        assert_eq!(many.admit(1).unwrap_err(), Full::Events(2));
        assert!(many.reserve(1, 1).is_err());
        let large = backlog(100, 1_000);
        let permits: Vec<_> = (0..5).map_while(|_| large.admit(800).ok()).collect();
        assert_eq!(permits.len(), 5);
        assert_eq!(large.admit(1).unwrap_err(), Full::Bytes(1_000));
    }
}
