//! How full the node is: its sockets and its memory, against what it may have of them.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{config::LimitsConfig, descriptors::Shares, process};

/// How old a reading of the memory may be: probes come from many sides, and the system's answer costs some 50 µs.
const FRESH: Duration = Duration::from_secs(1);

const MIB: u64 = 1_048_576;

/// The limits of a node and what it has used of them. Cheap to clone; clones count together. The default has no limits.
#[derive(Debug, Clone, Default)]
pub struct Capacity(Arc<Limits>);

#[derive(Debug, Default)]
struct Limits {
    /// Their limit, and the permits that are left.
    sockets: Option<(Mark, Arc<Semaphore>)>,
    bound: Bound,
    memory: Option<Mark>,
    resident: Mutex<Option<(Instant, u64)>>,
}

/// What bounds the sockets, where anything does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bound {
    /// `GAUNG_MAX_CONNECTIONS`
    #[default]
    Setting,
    /// So many file descriptors.
    Descriptors(u64),
}

/// One socket's permit on the node; given back when dropped.
pub type SocketPermit = OwnedSemaphorePermit;

/// The node has all the sockets that it may have.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeFull;

/// One look at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    pub used: u64,
    pub limit: u64,
    /// Below this the node wants new sockets again.
    pub low: u64,
    pub is_full: bool,
}

/// A limit with its two marks: what lies between them changes nothing, so that a load balancer does not hear yes and no in
/// turn.
#[derive(Debug)]
struct Mark {
    limit: u64,
    high: u64,
    low: u64,
    is_full: AtomicBool,
}

impl Capacity {
    /// Full from 90 % of the sockets until below 85 %, and over the memory until below 95 %.
    pub fn new(config: &LimitsConfig) -> Self {
        Self::within(config, None)
    }

    /// The same, and no more sockets than there are descriptors for.
    pub fn within(config: &LimitsConfig, descriptors: Option<Shares>) -> Self {
        let set = config.max_connections.map(|limit| limit as u64);
        let derived = descriptors.filter(|shares| set.is_none_or(|set| shares.sockets < set));
        let (sockets, bound) = match derived {
            Some(shares) => (Some(shares.sockets), Bound::Descriptors(shares.limit)),
            None => (set, Bound::Setting),
        };
        let memory = config.max_memory_mb.map(|limit| limit * MIB);
        Self(Arc::new(Limits {
            sockets: sockets.map(|limit| {
                let limit = limit.min(Semaphore::MAX_PERMITS as u64);
                let mark = Mark::new(limit, percent(limit, 90), percent(limit, 85));
                (mark, Arc::new(Semaphore::new(limit as usize)))
            }),
            bound,
            memory: memory.map(|limit| Mark::new(limit, limit + 1, percent(limit, 95))),
            ..Limits::default()
        }))
    }

    /// Takes a permit for a socket; `Ok(None)` where there is no limit.
    pub fn take(&self) -> Result<Option<SocketPermit>, NodeFull> {
        let Some((_, free)) = &self.0.sockets else { return Ok(None) };
        free.clone().try_acquire_owned().map(Some).map_err(|_| NodeFull)
    }

    /// The sockets against their limit; `None` where there is none.
    pub fn sockets(&self) -> Option<Fill> {
        let (mark, free) = self.0.sockets.as_ref()?;
        Some(mark.look(mark.limit - free.available_permits() as u64))
    }

    /// What sets the limit of the sockets.
    pub fn bound(&self) -> Bound {
        self.0.bound
    }

    /// The resident memory, as it was up to a second ago, against `GAUNG_MAX_MEMORY_MB`; `None` where there is no limit.
    pub fn memory(&self) -> Option<Fill> {
        let mark = self.0.memory.as_ref()?;
        Some(mark.look(self.resident()?))
    }

    /// Whether the node has enough of anything.
    pub fn is_full(&self) -> bool {
        [self.sockets(), self.memory()].into_iter().flatten().any(|fill| fill.is_full)
    }

    fn resident(&self) -> Option<u64> {
        let mut reading = self.0.resident.lock().unwrap_or_else(PoisonError::into_inner);
        match *reading {
            Some((at, bytes)) if at.elapsed() < FRESH => Some(bytes),
            Some(_) | None => {
                let bytes = process::resident_bytes()?;
                *reading = Some((Instant::now(), bytes));
                Some(bytes)
            }
        }
    }
}

impl Mark {
    fn new(limit: u64, high: u64, low: u64) -> Self {
        Self { limit, high, low, is_full: AtomicBool::new(false) }
    }

    fn look(&self, used: u64) -> Fill {
        if used >= self.high {
            self.is_full.store(true, Ordering::Relaxed);
        } else if used < self.low {
            self.is_full.store(false, Ordering::Relaxed);
        }
        Fill { used, limit: self.limit, low: self.low, is_full: self.is_full.load(Ordering::Relaxed) }
    }
}

/// So many hundredths of it, rounded up.
fn percent(whole: u64, hundredths: u64) -> u64 {
    whole.saturating_mul(hundredths).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(sockets: usize) -> Capacity {
        Capacity::new(&LimitsConfig { max_connections: Some(sockets), ..LimitsConfig::default() })
    }

    fn permits(capacity: &Capacity, count: usize) -> Vec<Option<SocketPermit>> {
        (0..count).map(|_| capacity.take().expect("there is room")).collect()
    }

    fn is_full(capacity: &Capacity) -> bool {
        capacity.sockets().expect("there is a limit").is_full
    }

    #[test]
    fn a_node_has_no_permit_beyond_its_limit_and_a_closed_socket_makes_one() {
        let capacity = capacity(2);
        let mut taken = permits(&capacity, 2);
        assert_eq!(capacity.take().err(), Some(NodeFull));
        taken.pop();
        assert!(capacity.take().is_ok());
    }

    #[test]
    fn a_node_is_full_from_90_percent_until_below_85_percent() {
        let capacity = capacity(100);
        let mut taken = permits(&capacity, 89);
        assert!(!is_full(&capacity));
        taken.extend(permits(&capacity, 1));
        assert!(is_full(&capacity));
        taken.truncate(85);
        let fill = capacity.sockets().unwrap();
        assert_eq!(fill, Fill { used: 85, limit: 100, low: 85, is_full: true });
        taken.truncate(84);
        assert!(!is_full(&capacity));
        taken.extend(permits(&capacity, 5));
        assert!(!is_full(&capacity), "89 sockets are full only where 90 were there before");
    }

    #[test]
    fn the_lower_of_setting_and_descriptors_bounds_the_sockets() {
        let shares = Some(Shares { limit: 256, sockets: 107, requests: 32 });
        let bound = |max_connections, shares| {
            let capacity = Capacity::within(&LimitsConfig { max_connections, ..LimitsConfig::default() }, shares);
            (capacity.sockets().map(|fill| fill.limit), capacity.bound())
        };
        assert_eq!(bound(None, shares), (Some(107), Bound::Descriptors(256)));
        assert_eq!(bound(Some(200), shares), (Some(107), Bound::Descriptors(256)));
        assert_eq!(bound(Some(107), shares), (Some(107), Bound::Setting));
        assert_eq!(bound(None, None), (None, Bound::Setting));
        let endless = Shares { limit: u64::MAX, sockets: u64::MAX, requests: 32 };
        assert_eq!(bound(None, Some(endless)), (Some(Semaphore::MAX_PERMITS as u64), Bound::Descriptors(u64::MAX)));
    }

    #[test]
    fn the_smallest_limits_have_marks_too() {
        for limit in [1, 2, 3] {
            let capacity = capacity(limit);
            let taken = permits(&capacity, limit);
            assert!(is_full(&capacity), "{limit}");
            drop(taken);
            assert!(!is_full(&capacity), "{limit}");
        }
    }

    #[test]
    fn memory_is_full_above_its_limit_until_below_95_percent() {
        let mark = Mark::new(1_000, 1_001, percent(1_000, 95));
        let full = [1_000, 1_001, 1_000, 950, 949, 1_000].map(|used| mark.look(used).is_full);
        assert_eq!(full, [false, true, true, true, false, false]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_that_of_this_process() {
        let limited = |mib| Capacity::new(&LimitsConfig { max_memory_mb: Some(mib), ..LimitsConfig::default() });
        assert!(limited(1).is_full(), "no process of ours does with a mebibyte");
        assert!(!limited(1 << 30).is_full());
    }

    #[test]
    fn without_limits_nothing_is_counted_and_nothing_is_full() {
        let capacity = Capacity::default();
        assert!(capacity.take().unwrap().is_none());
        assert_eq!((capacity.sockets(), capacity.memory(), capacity.is_full()), (None, None, false));
    }
}
