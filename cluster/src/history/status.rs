//! How the stream fares.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::jetstream::{Health, HealthTexts};

/// The state of the stream. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Events that the stream has stored.
    pub stored: u64,
    /// Events that it will never have, because too much waited.
    pub dropped: u64,
    /// Events that wait to be stored.
    pub waiting: usize,
    /// Rooms that were read.
    pub reads: u64,
    /// Whether the stream worked when it was last used.
    pub works: bool,
    /// What is wrong with it; `None` while all is well.
    pub error: Option<String>,
}

/// The same, while it is written.
#[derive(Debug, Clone)]
pub(super) struct Gauges {
    pub health: Health,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicUsize,
    reads: AtomicU64,
}

impl Default for Gauges {
    fn default() -> Self {
        let texts = HealthTexts {
            fails: "the history stream cannot be used; events wait in memory, and what no node has is not replayed",
            works: "the history stream works again",
        };
        Self { health: Health::new(texts), counts: Arc::default() }
    }
}

impl Gauges {
    pub(super) fn stored(&self) {
        self.counts.stored.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self, events: usize) {
        self.counts.dropped.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn set_waiting(&self, events: usize) {
        self.counts.waiting.store(events, Relaxed);
    }

    pub(super) fn read(&self) {
        self.counts.reads.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self) -> Status {
        let Counts { stored, dropped, waiting, reads } = &*self.counts;
        Status {
            stored: stored.load(Relaxed),
            dropped: dropped.load(Relaxed),
            waiting: waiting.load(Relaxed),
            reads: reads.load(Relaxed),
            works: self.health.is_healthy(),
            error: self.health.error(),
        }
    }
}
