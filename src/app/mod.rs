//! An app: a set of credentials with limits. Sessions and rooms hold the `App`; a reload replaces its settings in place,
//! so that a changed limit holds at once for everybody.

pub mod counters;
pub mod permit;
pub mod rate;
pub mod registry;

use std::{fmt, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use crate::{
    activity::{Activity, ActivityEvent, ActivityKind, Refusal},
    config::AppSettings,
    metrics::MessageRefusal,
};

pub use counters::AppCounters;
pub use registry::{AppChange, Registry};

/// One app. Its identity and its counters live as long as anybody uses them; its settings may change.
pub struct App {
    id: Arc<str>,
    settings: ArcSwap<AppSettings>,
    /// What happened so far, for metrics, quotas and rates.
    pub counters: AppCounters,
}

impl App {
    /// A new app without any traffic.
    pub fn new(id: &str, settings: AppSettings) -> Arc<Self> {
        Arc::new(Self { id: id.into(), settings: ArcSwap::from_pointee(settings), counters: AppCounters::default() })
    }

    /// The id by which back ends name the app. Shared, so that rooms can be keyed by it.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The settings now. Not to be held across an await.
    pub fn settings(&self) -> Guard<Arc<AppSettings>> {
        self.settings.load()
    }

    pub fn replace_settings(&self, settings: AppSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// Counts a message of a socket that is refused, and tells consoles what the client is told.
    pub fn refuse(&self, reason: MessageRefusal, activity: &Activity, refusal: impl FnOnce() -> Refusal) {
        let reason = reason.label();
        self.counters.outcomes.refusals.count(reason);
        activity.report(|| ActivityEvent::of(self.id.clone(), ActivityKind::Refused(refusal())));
        tracing::debug!(app = %self.id, reason, "message refused");
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({})", self.id)
    }
}
