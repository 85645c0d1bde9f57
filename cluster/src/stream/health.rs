//! Whether the stream works, as the last word of whoever used it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tracing::{error, info};

use super::{Status, setup::Trouble};

/// The distance of lines about trouble.
const QUIET: Duration = Duration::from_secs(30);

/// Shared by all that use the stream.
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
    /// When trouble was last logged; none since it was said to be over.
    logged: Option<Instant>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    Works,
    Fails(Trouble),
}

impl Health {
    /// Something did not work.
    pub fn failed(&self, trouble: Trouble) {
        let mut verdict = self.verdict();
        if verdict.logged.is_none_or(|logged| logged.elapsed() >= QUIET) {
            error!(%trouble, "the webhook stream cannot be used; events wait in memory");
            verdict.logged = Some(Instant::now());
        }
        verdict.state = State::Fails(trouble);
    }

    /// Something worked.
    pub fn worked(&self) {
        let mut verdict = self.verdict();
        verdict.state = State::Works;
        if verdict.logged.take_if(|logged| logged.elapsed() >= QUIET).is_some() {
            info!("the webhook stream works again");
        }
    }

    /// Whether the stream is as it must be, as far as anybody knows.
    pub fn is_well(&self) -> bool {
        matches!(self.verdict().state, State::Works)
    }

    /// An event was stored.
    pub fn stored(&self) {
        self.0.stored.fetch_add(1, Relaxed);
        self.worked();
    }

    /// Events were dropped.
    pub fn dropped(&self, events: usize) {
        self.0.dropped.fetch_add(events as u64, Relaxed);
    }

    /// How it is now.
    pub fn status(&self) -> Status {
        let trouble = match &self.verdict().state {
            State::Unknown | State::Works => None,
            State::Fails(trouble) => Some(trouble.to_string()),
        };
        Status { stored: self.0.stored.load(Relaxed), dropped: self.0.dropped.load(Relaxed), trouble }
    }

    fn verdict(&self) -> MutexGuard<'_, Verdict> {
        self.0.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
