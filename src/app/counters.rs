//! What an app's traffic adds up to. Counters only grow; the number of open sockets is held by permits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    rate::RateLimit,
    usage::{Resource, Usage},
};
use crate::metrics::Outcomes;

/// So many sockets over a quota are told so at once.
const REFUSALS_PER_SECOND: u32 = 20;

/// How far refusals are spread at most.
const REFUSAL_DELAY: Duration = Duration::from_secs(6);

/// Shared by all threads; every field may be read at any time.
#[derive(Debug, Default)]
pub struct AppCounters {
    /// What the app has and does that may be limited.
    pub usage: Usage,
    /// Sockets opened since the start.
    pub connections_opened: AtomicU64,
    /// Sockets closed since the start.
    pub connections_closed: AtomicU64,
    /// Events accepted from back ends, counted once per channel.
    pub events_in: AtomicU64,
    /// Client events accepted.
    pub client_events_in: AtomicU64,
    /// WebSocket payload bytes read from sockets.
    pub bytes_in: AtomicU64,
    /// Bytes of the events that the channels keep now.
    pub history_bytes: Arc<AtomicUsize>,
    /// What became of its sockets, requests, events and webhooks.
    pub outcomes: Outcomes,
    pub read_rate: RateLimit,
    quota_refusals: RateLimit,
    has_refused_an_origin: AtomicBool,
}

impl AppCounters {
    /// For how long the refusal of a socket for which there is no place is kept back. Some a second are told at once; whose
    /// clients come again and again wait.
    pub fn refusal_delay(&self, now: Duration) -> Duration {
        let ahead = self.quota_refusals.reserve(REFUSALS_PER_SECOND, REFUSAL_DELAY, now).unwrap_or(REFUSAL_DELAY);
        ahead.saturating_sub(Duration::from_secs(1))
    }

    /// Whether this refusal of an origin is the app's first.
    pub fn refuse_origin(&self) -> bool {
        !self.has_refused_an_origin.swap(true, Ordering::Relaxed)
    }

    /// Sockets open now on this node.
    pub fn connections(&self) -> usize {
        self.usage.local(Resource::Connections)
    }

    /// Sockets open on all other nodes, as far as it is known here.
    pub fn remote_connections(&self) -> usize {
        self.usage.remote(Resource::Connections)
    }

    /// Says how many sockets the other nodes have.
    pub fn set_remote_connections(&self, sockets: usize) {
        self.usage.set_remote(Resource::Connections, sockets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_at_once_until_there_are_many() {
        let counters = AppCounters::default();
        let delays: Vec<Duration> = (0..200).map(|_| counters.refusal_delay(Duration::from_secs(9))).collect();
        assert!(delays[..20].iter().all(Duration::is_zero));
        assert!(delays[20..100].is_sorted() && !delays[20].is_zero());
        assert_eq!(delays[150], REFUSAL_DELAY - Duration::from_secs(1));
        assert!(counters.refusal_delay(Duration::from_secs(60)).is_zero());
    }
}
