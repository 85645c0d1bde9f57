//! Whether the webhook stream worked when it was last used.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tracing::{error, info};

use super::setup::QueueError;

/// The shortest time between two log lines about an error.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

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
    last_use: Mutex<LastUse>,
    stored: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct LastUse {
    state: State,
    /// When an error was last logged; `None` since recovery was logged.
    logged: Option<Instant>,
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
        let mut last_use = self.last_use();
        if last_use.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            error!(%error, "the webhook stream cannot be used; events wait in memory");
            last_use.logged = Some(Instant::now());
        }
        last_use.state = State::Fails(error);
    }

    /// An operation succeeded.
    pub(super) fn worked(&self) {
        let mut last_use = self.last_use();
        last_use.state = State::Works;
        if last_use.logged.take_if(|logged| logged.elapsed() >= LOG_INTERVAL).is_some() {
            info!("the webhook stream works again");
        }
    }

    /// Whether the last operation succeeded.
    pub(super) fn is_healthy(&self) -> bool {
        matches!(self.last_use().state, State::Works)
    }

    pub(super) fn stored(&self) {
        self.0.stored.fetch_add(1, Relaxed);
        self.worked();
    }

    pub(super) fn dropped(&self, events: usize) {
        self.0.dropped.fetch_add(events as u64, Relaxed);
    }

    pub(super) fn status(&self) -> Status {
        let error = match &self.last_use().state {
            State::Unknown | State::Works => None,
            State::Fails(error) => Some(error.to_string()),
        };
        Status { stored: self.0.stored.load(Relaxed), dropped: self.0.dropped.load(Relaxed), error }
    }

    fn last_use(&self) -> MutexGuard<'_, LastUse> {
        self.0.last_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
