//! Whether a stream worked when it was last used, and what is logged of that.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{error, info};

use crate::seldom::Seldom;

/// Shared by everything that uses the stream.
#[derive(Debug, Clone)]
pub(crate) struct Health(Arc<Shared>);

/// What is logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HealthTexts {
    /// An operation failed.
    pub fails: &'static str,
    /// One succeeded again.
    pub works: &'static str,
}

#[derive(Debug)]
struct Shared {
    texts: HealthTexts,
    last_use: Mutex<State>,
    failures: Seldom<30>,
}

#[derive(Debug)]
enum State {
    Unknown,
    Works,
    Fails(String),
}

impl Health {
    /// Of a stream that was not used yet.
    pub(crate) fn new(texts: HealthTexts) -> Self {
        Self(Arc::new(Shared { texts, last_use: Mutex::new(State::Unknown), failures: Seldom::default() }))
    }

    /// An operation failed.
    pub(crate) fn failed(&self, error: &impl Display) {
        if self.0.failures.count().is_some() {
            error!(%error, "{}", self.0.texts.fails);
        }
        *self.last_use() = State::Fails(error.to_string());
    }

    /// An operation succeeded.
    pub(crate) fn worked(&self) {
        *self.last_use() = State::Works;
        if self.0.failures.settle() {
            info!("{}", self.0.texts.works);
        }
    }

    /// Whether the last operation succeeded.
    pub(crate) fn is_healthy(&self) -> bool {
        matches!(*self.last_use(), State::Works)
    }

    /// What is wrong with the stream; `None` while all is well.
    pub(crate) fn error(&self) -> Option<String> {
        match &*self.last_use() {
            State::Unknown | State::Works => None,
            State::Fails(error) => Some(error.clone()),
        }
    }

    fn last_use(&self) -> MutexGuard<'_, State> {
        self.0.last_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
