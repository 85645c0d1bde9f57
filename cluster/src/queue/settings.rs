//! Settings of the queue, and their defaults.

use std::time::Duration;

use crate::bus::BusSettings;

/// Settings of the queue.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// Servers and login. The queue has a connection of its own.
    pub bus: BusSettings,
    /// The stream's name: `GAUNG_WEBHOOK_STREAM`.
    pub name: String,
    /// Replicas of the stream, where the queue creates it: `GAUNG_WEBHOOK_STREAM_REPLICAS`.
    pub replicas: usize,
    pub timing: QueueTiming,
    /// Bytes that may wait in memory while the stream accepts nothing (16 MiB); beyond it the oldest events are
    /// dropped.
    pub max_waiting_bytes: usize,
}

/// Timeouts. Tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct QueueTiming {
    /// The consumers' `ack_wait`: without an ack of any kind for so long, the stream redelivers an event to another
    /// node (15 s). The same on all nodes of a cluster.
    pub ack_wait: Duration,
    /// How long one pull request waits for events (2 s).
    pub request: Duration,
    /// How long current posts may take to end when a node gives a slot away (2 s).
    pub drain: Duration,
}

impl QueueSettings {
    /// Settings for the stream of this name, with the defaults.
    pub fn new(bus: BusSettings, name: &str, replicas: usize) -> Self {
        let timing = QueueTiming::default();
        Self { bus, name: name.to_owned(), replicas, timing, max_waiting_bytes: 16 * 1024 * 1024 }
    }
}

impl Default for QueueTiming {
    fn default() -> Self {
        Self { ack_wait: Duration::from_secs(15), request: Duration::from_secs(2), drain: Duration::from_secs(2) }
    }
}
