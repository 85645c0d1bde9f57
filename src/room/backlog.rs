//! How many events wait between those who publish and the sockets, and how many bytes they have. The bound of every
//! room's queue together, and of how much of it one app or tenant may fill.
//!
//! Invariant: who has few events waiting is refused none because others have many, up to what the node takes from its peers
//! and as much again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::app::usage::Waiting;

/// Which part of the limits everybody may have waiting, however much of others waits.
const SHARE: usize = 16;

/// How many times of the limits may wait of what other nodes have accepted, and how many of all together.
const FROM_PEERS: usize = 4;
const IN_ALL: usize = FROM_PEERS + 1;

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
    /// Who waits; nobody for events of other nodes.
    owner: Option<Arc<Waiting>>,
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

    /// A permit for so many events with so many bytes together, of one app or tenant.
    pub fn reserve(self: &Arc<Self>, owner: &Arc<Waiting>, events: usize, bytes: usize) -> Result<Permit, Full> {
        let is_within_share = self.is_within_share(owner, events, bytes);
        self.take(events, bytes, if is_within_share { IN_ALL } else { 1 })?;
        owner.events.fetch_add(events, Relaxed);
        owner.bytes.fetch_add(bytes, Relaxed);
        Ok(Permit { backlog: self.clone(), owner: Some(owner.clone()), events, bytes })
    }

    /// Takes a place for an event that another node has accepted, also beyond the limits, up to four times of them.
    pub fn admit(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.take(1, bytes, FROM_PEERS)?;
        Ok(Permit { backlog: self.clone(), owner: None, events: 1, bytes })
    }

    /// Whether somebody's events would be no more than everybody may have waiting.
    fn is_within_share(&self, owner: &Waiting, events: usize, bytes: usize) -> bool {
        let is_few = |waiting: &AtomicUsize, more: usize, limit: usize| waiting.load(Relaxed) + more <= limit / SHARE;
        is_few(&owner.events, events, self.limits.events) && is_few(&owner.bytes, bytes, self.limits.bytes)
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
        Self { backlog: self.backlog.clone(), owner: self.owner.clone(), events: 1, bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.backlog.events.fetch_sub(self.events, Relaxed);
        self.backlog.bytes.fetch_sub(self.bytes, Relaxed);
        if let Some(owner) = &self.owner {
            owner.events.fetch_sub(self.events, Relaxed);
            owner.bytes.fetch_sub(self.bytes, Relaxed);
        }
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
        let mut two = backlog.reserve(&Arc::default(), 2, 2).unwrap();
        assert_eq!(backlog.reserve(&Arc::default(), 2, 2).unwrap_err(), Full::Events(3));
        let one = backlog.reserve(&Arc::default(), 1, 1).unwrap();
        drop(two.split(1));
        assert_eq!(backlog.waiting(), 2);
        drop((two, one));
        assert_eq!(backlog.waiting(), 0);
        assert!(backlog.reserve(&Arc::default(), 3, 3).is_ok());
    }

    #[test]
    fn bytes_count_as_well_as_events() {
        let backlog = backlog(100, 1_000);
        let most = backlog.reserve(&Arc::default(), 2, 900).unwrap();
        assert_eq!(backlog.reserve(&Arc::default(), 2, 120).unwrap_err(), Full::Bytes(1_000));
        assert_eq!(backlog.waiting(), 2);
        assert!(backlog.reserve(&Arc::default(), 2, 100).is_ok());
        drop(most);
        assert!(backlog.reserve(&Arc::default(), 2, 1_000).is_ok());
    }

    #[test]
    fn a_request_that_is_larger_than_the_limit_passes_while_nothing_waits() {
        let backlog = backlog(100, 1_000);
        let large = backlog.reserve(&Arc::default(), 1, 5_000).unwrap();
        assert_eq!(backlog.reserve(&Arc::default(), 1, 1).unwrap_err(), Full::Bytes(1_000));
        drop(large);
        assert!(backlog.reserve(&Arc::default(), 1, 1).is_ok());
    }

    #[test]
    fn who_has_filled_it_is_refused_and_who_has_little_in_it_is_not() {
        let backlog = backlog(160, usize::MAX);
        let (flood, others): (Arc<Waiting>, [Arc<Waiting>; 3]) = Default::default();
        let flooded: Vec<_> = (0..1_000).map_while(|_| backlog.reserve(&flood, 1, 1).ok()).collect();
        assert_eq!(flooded.len(), 160);
        let taken = others.each_ref().map(|owner| {
            let permits: Vec<_> = (0..1_000).map_while(|_| backlog.reserve(owner, 1, 1).ok()).collect();
            (permits.len(), permits)
        });
        assert_eq!(taken.each_ref().map(|(count, _)| *count), [10, 10, 10]);
        drop(taken);
        assert!(backlog.reserve(&flood, 1, 1).is_err());
        assert!(backlog.reserve(&others[0], 1, 1).is_ok());
        drop(flooded);
        assert_eq!((backlog.waiting(), flood.events.load(Relaxed), flood.bytes.load(Relaxed)), (0, 0, 0));
    }

    #[test]
    fn what_was_accepted_elsewhere_may_go_beyond_the_limits_and_holds_up_what_is_new_here() {
        let many = backlog(2, 1_000);
        let permits: Vec<_> = (0..8).map_while(|_| many.admit(1).ok()).collect();
        assert_eq!(permits.len(), 8);
        assert_eq!(many.admit(1).unwrap_err(), Full::Events(2));
        assert!(many.reserve(&Arc::default(), 1, 1).is_err());
        let large = backlog(100, 1_000);
        let permits: Vec<_> = (0..5).map_while(|_| large.admit(800).ok()).collect();
        assert_eq!(permits.len(), 5);
        assert_eq!(large.admit(1).unwrap_err(), Full::Bytes(1_000));
    }
}
