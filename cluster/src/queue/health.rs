//! Whether the webhook stream worked when it was last used.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tracing::{error, info};

use super::setup::QueueError;
use crate::seldom::Seldom;

/// The state of the queue. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Events that the stream has stored.
    pub stored: u64,
    pub dropped: u64,
    /// What is wrong with the stream; `None` while all is well.
    pub error: Option<String>,
}

/// Shared by everything that uses the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last_use: Mutex<State>,
    failures: Seldom<30>,
    stored: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Works,
    Fails(QueueError),
}

impl Health {
    /// An operation failed.
    pub(super) fn failed(&self, error: QueueError) {
        if self.0.failures.count().is_some() {
            error!(%error, "the webhook stream cannot be used; events wait in memory");
        }
        *self.last_use() = State::Fails(error);
    }

    /// An operation succeeded.
    pub(super) fn worked(&self) {
        *self.last_use() = State::Works;
        if self.0.failures.settle() {
            info!("the webhook stream works again");
        }
    }

    /// Whether the last operation succeeded.
    pub(super) fn is_healthy(&self) -> bool {
        matches!(*self.last_use(), State::Works)
    }

    pub(super) fn stored(&self) {
        self.0.stored.fetch_add(1, Relaxed);
        self.worked();
    }

    pub(super) fn dropped(&self, events: usize) {
        self.0.dropped.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn status(&self) -> Status {
        let error = match &*self.last_use() {
            State::Unknown | State::Works => None,
            State::Fails(error) => Some(error.to_string()),
        };
        Status { stored: self.0.stored.load(Relaxed), dropped: self.0.dropped.load(Relaxed), error }
    }

    fn last_use(&self) -> MutexGuard<'_, State> {
        self.0.last_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
