//! How the queue fares.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::jetstream::{Health, HealthTexts};

/// The state of the queue. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Events that the stream has stored.
    pub stored: u64,
    pub dropped: u64,
    /// What is wrong with the stream; `None` while all is well.
    pub error: Option<String>,
}

/// The same, while it is written. Shared by everything that uses the stream.
#[derive(Debug, Clone)]
pub(super) struct Gauges {
    pub health: Health,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    dropped: AtomicU64,
}

impl Gauges {
    pub(super) fn new() -> Self {
        let texts = HealthTexts {
            fails: "the webhook stream cannot be used; events wait in memory",
            works: "the webhook stream works again",
        };
        Self { health: Health::new(texts), counts: Arc::default() }
    }

    pub(super) fn stored(&self) {
        self.counts.stored.fetch_add(1, Relaxed);
        self.health.worked();
    }

    pub(super) fn dropped(&self, events: usize) {
        self.counts.dropped.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn status(&self) -> Status {
        let Counts { stored, dropped } = &*self.counts;
        Status { stored: stored.load(Relaxed), dropped: dropped.load(Relaxed), error: self.health.error() }
    }
}
