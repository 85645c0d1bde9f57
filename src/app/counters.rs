//! What an app's traffic adds up to. Counters only grow; the number of open sockets is held by permits.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use super::rate::RateLimit;
use crate::metrics::Outcomes;

/// Shared by all threads; every field may be read at any time.
#[derive(Debug, Default)]
pub struct AppCounters {
    /// Sockets open now; changed by permits alone.
    pub(super) connections: AtomicUsize,
    remote_connections: AtomicUsize,
    /// Sockets opened since the start.
    pub connections_opened: AtomicU64,
    /// Sockets closed since the start.
    pub connections_closed: AtomicU64,
    /// Events accepted from back ends, counted once per channel.
    pub events_in: AtomicU64,
    /// Client events accepted.
    pub client_events_in: AtomicU64,
    /// Events handed to sockets: one per event and subscriber.
    pub deliveries: AtomicU64,
    /// WebSocket bytes handed to sockets by events.
    pub bytes_out: AtomicU64,
    /// WebSocket payload bytes read from sockets.
    pub bytes_in: AtomicU64,
    /// Bytes of the events that the channels keep now.
    pub history_bytes: Arc<AtomicUsize>,
    /// What became of its sockets, requests, events and webhooks.
    pub outcomes: Outcomes,
    pub event_rate: RateLimit,
    pub read_rate: RateLimit,
    has_refused_an_origin: AtomicBool,
}

impl AppCounters {
    /// Whether this refusal of an origin is the app's first.
    pub fn refuse_origin(&self) -> bool {
        !self.has_refused_an_origin.swap(true, Ordering::Relaxed)
    }

    /// Sockets open now on this node.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Sockets open on all other nodes, as far as it is known here.
    pub fn remote_connections(&self) -> usize {
        self.remote_connections.load(Ordering::Relaxed)
    }

    /// Says how many sockets the other nodes have.
    pub fn set_remote_connections(&self, sockets: usize) {
        self.remote_connections.store(sockets, Ordering::Relaxed);
    }
}
