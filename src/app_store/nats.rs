//! The apps in NATS: every node follows them, puts them into force, and may change them.
//!
//! The way of a record: heard → opened with the key → `known` says what is in force → the registry → the sockets of apps that
//! are gone or disabled are closed → the cache.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use gaung_cluster::records::{Heard, PutError, RecordStream};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};

use super::{
    Change, ChangeError, Changed, Decided, Expected, Kept, Listed, Record,
    cache::{self, Cache, Unread},
    decide,
    known::{Known, Opened, Trouble},
    sealed::Seal,
};
use crate::{
    app::{AppChange, Registry},
    config::Problems,
    metrics::Metrics,
    protocol::AppKey,
};

/// How long a change may take to be heard before its caller is answered anyway.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// How often a change that asks for no certain state is tried again after others that were faster.
const TRIES: usize = 4;

/// The apps in NATS. Cheap to clone.
#[derive(Clone)]
pub struct NatsStore(Arc<Shared>);

struct Shared {
    stream: RecordStream,
    seal: Arc<Seal>,
    known: Mutex<State>,
    /// How far it is known, for who waits.
    progress: watch::Sender<Progress>,
    cache: Option<Cache>,
    registry: Registry,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    known: Known,
    told: Vec<Trouble>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The apps are known: all of NATS were heard once, or the cache told the last ones.
    knows: bool,
    /// All records of NATS were heard once.
    heard_all: bool,
    /// The place of the newest record that was heard.
    heard: u64,
    /// The place of the newest record that is in force, if it is sound.
    settled: u64,
}

/// How the apps in NATS fare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// Whether they can be followed.
    pub works: bool,
    /// Apps whose newest record is not in force.
    pub broken: usize,
}

impl NatsStore {
    /// Puts the last known apps of the cache into force.
    pub fn open(
        stream: RecordStream,
        seal: Seal,
        cache: Option<PathBuf>,
        registry: Registry,
        metrics: Metrics,
    ) -> Self {
        let seal = Arc::new(seal);
        let known = cache.as_deref().and_then(|path| match cache::read(path, &seal) {
            Ok(known) => Some(known),
            Err(Unread::None) => None,
            Err(why) => {
                tracing::error!(file = %path.display(), %why, "the last known apps cannot be used (GAUNG_APPS_CACHE)");
                None
            }
        });
        let cache = cache.and_then(|path| {
            let started = Cache::start(path, seal.clone());
            started.inspect_err(|error| tracing::error!(%error, "the last known apps cannot be kept")).ok()
        });
        let progress = Progress { knows: known.is_some(), ..Progress::default() };
        let mut state = State { known: known.unwrap_or_default(), told: Vec::new() };
        let (apps, _) = state.known.settle();
        if progress.knows {
            tracing::info!(apps = apps.len(), "started with the last known apps; NATS tells whether they have changed");
        } else {
            tracing::info!("the apps are not known before NATS tells them; the node is not ready until then");
        }
        registry.apply(apps);
        let known = Mutex::new(state);
        Self(Arc::new(Shared { stream, seal, known, progress: watch::Sender::new(progress), cache, registry, metrics }))
    }

    /// Takes in what is heard of NATS, and hands on what became of each app.
    pub fn hear(&self, heard: Heard, on_change: &impl Fn(AppChange)) {
        match heard {
            Heard::Stream { made } => {
                self.0.state().known.stream(made);
                self.0.progress.send_modify(|progress| progress.heard = 0);
            }
            Heard::Record { app, place, record } => {
                let opened = self.0.open(&app, &record);
                self.0.state().known.hear(&app, place, opened);
                self.0.progress.send_modify(|progress| progress.heard = place);
            }
            Heard::All => self.0.settle(on_change),
        }
    }

    /// Waits until the apps are known, from NATS or from the cache.
    pub async fn known(&self) {
        // The sender lives as long as this.
        let _ = self.0.progress.subscribe().wait_for(|progress| progress.knows).await;
    }

    pub fn status(&self) -> StoreStatus {
        StoreStatus { works: self.0.stream.works(), broken: self.0.state().told.len() }
    }

    pub(super) fn list(&self) -> Result<Vec<Kept>, ChangeError> {
        if !self.0.progress.borrow().knows {
            return Err(self.unknown());
        }
        Ok(self.0.state().known.kept())
    }

    pub(super) async fn change(
        &self,
        id: &str,
        (change, expected): (Change, Expected),
        pair: AppKey,
    ) -> Result<Changed, ChangeError> {
        if !self.0.progress.borrow().heard_all {
            return Err(self.unknown());
        }
        for _ in 0..TRIES {
            let (decided, before, after) = self.decide(id, (change.clone(), &expected), pair.clone())?;
            match self.0.stream.put(id, self.0.close(id, after, decided.record.as_ref()), after).await {
                Ok(place) => return Ok(self.changed(decided, before.is_none(), place).await),
                Err(PutError::Conflict) => self.hear_of(after, id).await,
                Err(error) => return Err(ChangeError::Failed(error.to_string())),
            }
        }
        Err(ChangeError::Failed(format!("app {id:?} is changed by others all the time; try again")))
    }

    /// What the change makes of the app, what it was, and the place of the record that the new one follows.
    fn decide(
        &self,
        id: &str,
        change: (Change, &Expected),
        pair: AppKey,
    ) -> Result<(Decided, Option<Kept>, u64), ChangeError> {
        let state = self.0.state();
        if let Some(why) = state.known.unusable(id) {
            return Err(ChangeError::Refused(format!(
                "the record of app {id:?} in NATS cannot be used on this node: {why}"
            )));
        }
        let (before, after) = state.known.app(id);
        let decided = decide(id, before.as_ref(), change, pair)?;
        let invalid = |problems: Problems| ChangeError::Invalid(problems.lines().to_vec());
        state.known.check(id, decided.record.as_ref()).map_err(invalid)?;
        Ok((decided, before, after))
    }

    async fn changed(&self, decided: Decided, is_new: bool, place: u64) -> Changed {
        let mut progress = self.0.progress.subscribe();
        // Where it takes longer, it is kept all the same.
        let _ = timeout(HEARD_WITHIN, progress.wait_for(|progress| progress.settled >= place)).await;
        let app = decided.record.map(|record| Listed::from(Kept { record, revision: place.to_string() }));
        Changed { app, is_new, drawn: decided.drawn }
    }

    /// Waits until the app is another one than that at this place.
    async fn hear_of(&self, place: u64, id: &str) {
        let mut progress = self.0.progress.subscribe();
        let is_newer = |_: &Progress| self.0.state().known.app(id).1 > place;
        let _ = timeout(HEARD_WITHIN, progress.wait_for(is_newer)).await;
    }

    fn unknown(&self) -> ChangeError {
        let error = self.0.stream.error().unwrap_or_else(|| "NATS was not reached yet".to_owned());
        ChangeError::Failed(format!("the apps in NATS cannot be changed before they were read: {error}"))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, app: &str, record: &[u8]) -> Opened {
        let (after, text) = self.seal.open(app, record)?;
        match serde_json::from_slice(&text) {
            Ok(Value::Object(members)) => Ok((after, Some(members))),
            Ok(Value::Null) => Ok((after, None)),
            Ok(_) | Err(_) => Err(super::sealed::Unsealed::Form),
        }
    }

    fn close(&self, app: &str, after: u64, record: Option<&Record>) -> Bytes {
        let text = serde_json::to_vec(&record.map(|record| &record.members)).expect("members are JSON");
        self.seal.close(app, after, &text, rand::random()).into()
    }

    fn settle(&self, on_change: &impl Fn(AppChange)) {
        let mut state = self.state();
        state.known.heard_all();
        let (apps, troubles) = state.known.settle();
        let changes = self.registry.apply(apps);
        let new: Vec<_> = troubles.iter().filter(|trouble| !state.told.contains(trouble)).cloned().collect();
        state.told = troubles;
        if let Some(cache) = &self.cache {
            cache.keep(&state.known);
        }
        drop(state);
        self.tell(&changes, &new);
        changes.into_iter().for_each(on_change);
        self.progress.send_modify(|progress| {
            *progress = Progress { knows: true, heard_all: true, settled: progress.heard, ..*progress };
        });
    }

    fn tell(&self, changes: &[AppChange], troubles: &[Trouble]) {
        for change in changes {
            tracing::info!(app = %change.app().id(), change = change.name(), "app reloaded from NATS");
        }
        if !changes.is_empty() {
            self.metrics.reloads.with_label_values(&["applied"]).inc();
        }
        for Trouble { app, why } in troubles {
            self.metrics.reloads.with_label_values(&["refused"]).inc();
            tracing::error!(app, why, "the record of an app in NATS is broken; the app stays as it is");
        }
    }
}
