//! Reads the keys that an issuer publishes, for as long as the node runs. Keys that were read stay in force until they are
//! read again or have come to their end, whatever the issuer answers meanwhile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::http::{StatusCode, header};
use awc::error::{PayloadError, SendRequestError};
use gaung_cluster::seldom::Seldom;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};

use super::{READ_TIMEOUT, State, asks::Asks, attempts::Pace};
use crate::tenant::{InvalidKeySet, KeySet, TokenAlgorithms};

/// The most bytes of a set of keys. Those of large issuers, with their certificates, have some 20,000.
const MAX_BYTES: usize = 262_144;

pub(super) struct Reader {
    url: String,
    client: awc::Client,
    algorithms: TokenAlgorithms,
    /// For how long keys hold that cannot be read again.
    keep: Duration,
    log: Log,
}

/// What the log has been told.
#[derive(Default)]
struct Log {
    unreadable: Seldom,
    without_keys: Seldom,
}

/// Why keys were not read. Texts repeat nothing of the answer.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    Request(SendRequestError),
    #[error("the answer has status {0}, not 200")]
    Status(StatusCode),
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the answer takes longer than {} s", READ_TIMEOUT.as_secs())]
    TimedOut,
    #[error("the answer ends early: {0}")]
    Body(PayloadError),
    #[error("the answer cannot be used: {0}")]
    Keys(InvalidKeySet),
}

impl Reader {
    pub(super) fn new(url: &str, client: awc::Client, algorithms: TokenAlgorithms, keep: Duration) -> Self {
        Self { url: url.to_owned(), client, algorithms, keep, log: Log::default() }
    }

    /// Reads until nobody can see it any more.
    pub(super) async fn run(self, state: watch::Sender<State>, pace: Pace, asks: Arc<Asks>) {
        while !state.is_closed() {
            let next = pace.next(&state.borrow().attempts, Instant::now());
            tokio::select! {
                () = sleep_until(next.into()) => {}
                () = asks.heard() => {
                    let attempts = state.borrow().attempts;
                    // Who asked while one was under way has been served by it.
                    if !asks.any_beyond(attempts.ended()) || !pace.may_begin(&attempts, Instant::now()) {
                        continue;
                    }
                }
            }
            state.send_modify(|state| state.attempts.begin(Instant::now()));
            // The client's own time limit does not hold for a body that stops in the middle.
            let read = timeout(READ_TIMEOUT, self.read()).await;
            match read.unwrap_or(Err(ReadError::TimedOut)) {
                Ok(keys) => self.take(&keys, &state),
                Err(error) => self.bear(&error, &state),
            }
        }
    }

    async fn read(&self) -> Result<KeySet, ReadError> {
        let question =
            self.client.get(&self.url).insert_header((header::ACCEPT, "application/jwk-set+json, application/json"));
        let mut answer = question.send().await.map_err(ReadError::Request)?;
        if answer.status() != StatusCode::OK {
            return Err(ReadError::Status(answer.status()));
        }
        let body = answer.body().limit(MAX_BYTES).await.map_err(|error| match error {
            PayloadError::Overflow => ReadError::TooLarge,
            error => ReadError::Body(error),
        })?;
        KeySet::from_jwks(&body, &self.algorithms).map_err(ReadError::Keys)
    }

    fn take(&self, keys: &KeySet, state: &watch::Sender<State>) {
        let now = Instant::now();
        state.send_modify(|state| {
            let keys = Arc::new(state.fixed.and(keys));
            let known = state.read.as_ref().is_some_and(|(known, _)| known.ids() == keys.ids());
            if !known {
                tracing::info!(keys = keys.len(), "keys of GAUNG_TENANT_JWKS_URL taken");
            }
            state.read = Some((keys, now + self.keep));
            state.attempts.succeed(now);
        });
        self.log.tell_read();
    }

    fn bear(&self, error: &ReadError, state: &watch::Sender<State>) {
        let now = Instant::now();
        state.send_modify(|state| state.attempts.fail());
        let left =
            state.borrow().read.as_ref().map_or(Duration::ZERO, |(_, until)| until.saturating_duration_since(now));
        self.log.count_failure(error, left);
    }
}

impl Log {
    fn count_failure(&self, error: &ReadError, left: Duration) {
        if left.is_zero() {
            if let Some(times) = self.without_keys.count() {
                tracing::error!(
                    times,
                    %error,
                    "no keys of GAUNG_TENANT_JWKS_URL are in force; tokens that they would verify are refused for now"
                );
            }
        } else if let Some(times) = self.unreadable.count() {
            let hold_seconds = left.as_secs();
            tracing::warn!(times, %error, hold_seconds, "GAUNG_TENANT_JWKS_URL cannot be read; the keys in force stay");
        }
    }

    fn tell_read(&self) {
        let (was_unreadable, was_without) = (self.unreadable.settle(), self.without_keys.settle());
        if was_unreadable || was_without {
            tracing::info!("GAUNG_TENANT_JWKS_URL can be read again");
        }
    }
}
