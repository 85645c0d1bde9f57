//! An app: a set of credentials with limits. Sessions and rooms hold the `App`; a reload replaces its settings in place,
//! so that a changed limit holds at once for everybody.

pub mod counters;
mod limits;
pub mod permit;
pub mod rate;
pub mod registry;
pub mod tenants;
pub mod usage;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use arc_swap::{ArcSwap, Guard};

use crate::{
    activity::{Activity, ActivityEvent, ActivityKind, Refusal},
    config::AppSettings,
    metrics::MessageRefusal,
    tenant::TenantChannels,
};

pub use counters::AppCounters;
use tenants::Tenants;

pub use registry::{AppChange, Registry};

/// One app. Its identity and its counters live as long as anybody uses them; its settings may change.
pub struct App {
    id: Arc<str>,
    settings: ArcSwap<AppSettings>,
    tenants: Tenants,
    /// How many nodes share its rates.
    nodes: AtomicU32,
    /// What happened so far, for metrics, quotas and rates.
    pub counters: AppCounters,
}

impl App {
    /// A new app without any traffic.
    pub fn new(id: &str, settings: AppSettings) -> Arc<Self> {
        Self::with_tenants(id, settings, TenantChannels::default())
    }

    /// A new app whose channels are the tenants' that these patterns name.
    pub fn with_tenants(id: &str, settings: AppSettings, channels: TenantChannels) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            settings: ArcSwap::from_pointee(settings),
            tenants: Tenants::new(channels),
            nodes: AtomicU32::new(1),
            counters: AppCounters::default(),
        })
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

    /// Those whose channels it has.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// So many nodes share its rates.
    pub fn set_nodes(&self, nodes: usize) {
        self.nodes.store(u32::try_from(nodes).unwrap_or(u32::MAX), Relaxed);
    }

    fn nodes(&self) -> u32 {
        self.nodes.load(Relaxed)
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
