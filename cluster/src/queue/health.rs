//! Whether the stream works, according to its last use.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tracing::{error, info};

use super::{Status, setup::QueueError};

/// The shortest time between two log lines about an error.
const QUIET: Duration = Duration::from_secs(30);

/// Shared by everything that uses the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    verdict: Mutex<Verdict>,
    stored: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Verdict {
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
    pub fn failed(&self, error: QueueError) {
        let mut verdict = self.verdict();
        if verdict.logged.is_none_or(|logged| logged.elapsed() >= QUIET) {
            error!(trouble = %error, "the webhook stream cannot be used; events wait in memory");
            verdict.logged = Some(Instant::now());
        }
        verdict.state = State::Fails(error);
    }

    /// An operation succeeded.
    pub fn worked(&self) {
        let mut verdict = self.verdict();
        verdict.state = State::Works;
        if verdict.logged.take_if(|logged| logged.elapsed() >= QUIET).is_some() {
            info!("the webhook stream works again");
        }
    }

    /// Whether the last operation succeeded.
    pub fn is_healthy(&self) -> bool {
        matches!(self.verdict().state, State::Works)
    }

    pub fn stored(&self) {
        self.0.stored.fetch_add(1, Relaxed);
        self.worked();
    }

    pub fn dropped(&self, events: usize) {
        self.0.dropped.fetch_add(events as u64, Relaxed);
    }

    pub fn status(&self) -> Status {
        let error = match &self.verdict().state {
            State::Unknown | State::Works => None,
            State::Fails(error) => Some(error.to_string()),
        };
        Status { stored: self.0.stored.load(Relaxed), dropped: self.0.dropped.load(Relaxed), error }
    }

    fn verdict(&self) -> MutexGuard<'_, Verdict> {
        self.0.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
