//! Who signs the tokens of plain sockets beside the application, and with which keys: those of `GAUNG_TENANT_PUBLIC_KEY`, and
//! those that are read from `GAUNG_TENANT_JWKS_URL`. One task of the node reads them; all HTTP threads see what it has read.
//! A client waits for it only where its token names a key that nobody knows yet.

mod asks;
mod attempts;
mod reader;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use self::{
    asks::Asks,
    attempts::{Attempts, Pace},
    reader::Reader,
};
use crate::{
    config::IssuerConfig,
    outgoing::Trust,
    tenant::{KeySet, TokenRules},
};

/// How long a reading may take, from its connection to its last byte.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client waits for newer keys. It comes again if a reading takes longer, and finds them then.
const PATIENCE: Duration = Duration::from_secs(3);

/// What tokens are verified with. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    rules: Arc<TokenRules>,
    state: watch::Receiver<State>,
    /// `None` where all keys are known beforehand.
    reading: Option<Reading>,
}

/// How others have keys read.
#[derive(Clone)]
struct Reading {
    asks: Arc<Asks>,
    pace: Pace,
}

/// What is known of the keys.
struct State {
    fixed: Arc<KeySet>,
    /// The fixed ones and those that were read last, and when these end.
    read: Option<(Arc<KeySet>, Instant)>,
    attempts: Attempts,
}

/// What comes of the wish for newer keys.
pub enum Newer {
    /// Those that were read just now.
    Keys(Arc<KeySet>),
    /// They cannot be read now, or were read a moment ago: another try may succeed later.
    NotNow,
    /// There are no others.
    Never,
}

/// What an operator is shown of the keys at `GAUNG_TENANT_JWKS_URL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// All that are in force, fixed ones among them.
    pub keys: usize,
    /// Since they were read, or since the start if they never were.
    pub age: Duration,
    /// Readings that succeeded.
    pub reads: u64,
    pub failures: u64,
}

impl Issuer {
    /// With the work that reads keys, which must be polled for as long as the node runs, if any are to be read. The error
    /// says what is wrong with the keys that are configured.
    pub fn new(
        config: &IssuerConfig,
        trust: &Trust,
    ) -> Result<(Self, Option<impl Future<Output = ()> + use<>>), String> {
        let (rules, fixed) = (Arc::new(config.rules()), Arc::new(config.keys()?));
        let (sender, state) = watch::channel(State { fixed, read: None, attempts: Attempts::new(Instant::now()) });
        let pace = Pace { interval: config.jwks_interval, pause: config.jwks_pause };
        let asks = Arc::<Asks>::default();
        let work = config.jwks_url.as_ref().map(|url| {
            let client = trust.client(READ_TIMEOUT, 1);
            Reader::new(url, client, rules.algorithms.clone(), config.jwks_keep).run(sender, pace, asks.clone())
        });
        let reading = work.is_some().then_some(Reading { asks, pace });
        Ok((Self { rules, state, reading }, work))
    }

    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// The keys that are in force.
    pub fn keys(&self) -> Arc<KeySet> {
        self.state.borrow().keys(Instant::now())
    }

    /// Has the keys read again, for a token whose key is none of them, and waits for them. At most once in
    /// `GAUNG_TENANT_JWKS_PAUSE_SECONDS`, whatever strangers write into their tokens, and for at most 3 s.
    pub async fn newer(&self) -> Newer {
        let Some(Reading { asks, pace }) = &self.reading else { return Newer::Never };
        let mut state = self.state.clone();
        let ended = {
            let attempts = &state.borrow().attempts;
            if !pace.permits(attempts, Instant::now()) {
                return Newer::NotNow;
            }
            attempts.ended()
        };
        asks.ask(ended + 1);
        let has_ended = state.wait_for(|state| state.attempts.ended() > ended);
        match timeout(PATIENCE, has_ended).await {
            Ok(Ok(state)) if state.attempts.has_succeeded() => Newer::Keys(state.keys(Instant::now())),
            Ok(Ok(_) | Err(_)) | Err(_) => Newer::NotNow,
        }
    }

    /// `None` where no keys are read.
    pub fn status(&self) -> Option<Status> {
        self.reading.as_ref()?;
        let (state, now) = (self.state.borrow(), Instant::now());
        let Attempts { reads, failures, .. } = state.attempts;
        Some(Status { keys: state.keys(now).len(), age: state.attempts.age(now), reads, failures })
    }
}

impl State {
    fn keys(&self, now: Instant) -> Arc<KeySet> {
        match &self.read {
            Some((keys, until)) if now < *until => keys.clone(),
            Some(_) | None => self.fixed.clone(),
        }
    }
}
