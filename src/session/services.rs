//! What the sessions of one HTTP thread use.

use std::{sync::Arc, time::Instant};

use actix::{Actor, Addr};

use super::{
    access::{self, Callback},
    registry::SessionRegistry,
    xhr::XhrSessions,
};
use crate::{
    app::{App, Registry},
    config::{HttpConfig, LimitsConfig, PagesConfig, TenantAccess, TenantConfig},
    connection::{address::Addresses, arrivals::Arrivals, permits::ConnectionPermits},
    issuer::Issuer,
    metrics::Metrics,
    outgoing::Trust,
    readiness::{Readiness, Stage},
    repeats::Repeats,
    revocations::Revocations,
    room::Rooms,
};

/// What is the same on every HTTP thread.
#[derive(Clone)]
pub struct Shared {
    pub registry: Registry,
    pub rooms: Rooms,
    /// What was published under which key.
    pub repeats: Repeats,
    pub metrics: Metrics,
    pub limits: LimitsConfig,
    /// What requests, and connections that are no sockets, are granted.
    pub http: HttpConfig,
    /// Who may open tenant sockets.
    pub tenant: TenantConfig,
    /// What their tokens are verified with.
    pub issuer: Issuer,
    /// Which tokens hold no more.
    pub revocations: Revocations,
    /// How pages that come back are served.
    pub pages: PagesConfig,
    /// How often the application did not say who may.
    pub callback_log: Arc<access::Log>,
    /// Whose certificates the application may have that is asked about them.
    pub trust: Trust,
    /// What stands before `/app` and `/ws`; empty or `/…`.
    pub path_prefix: String,
    /// Whether a node that goes answers upgrades with 503 (`GAUNG_DRAIN_REFUSES_UPGRADES`).
    pub refuses_upgrades: bool,
    pub readiness: Readiness,
    /// Sockets by client address.
    pub addresses: Arc<Addresses>,
    /// How many sockets come in a second.
    pub arrivals: Arc<Arrivals>,
    /// Sessions over HTTP transports.
    pub xhr: Arc<XhrSessions>,
    /// Connections that are no sockets.
    pub permits: Arc<ConnectionPermits>,
    /// Zero of the rate limits' clock.
    pub started: Instant,
}

/// One thread's services.
pub struct Services {
    pub shared: Shared,
    /// This thread's sessions.
    pub sessions: Addr<SessionRegistry>,
    /// Asks the application about tenant sockets.
    pub callback: Option<Callback>,
}

impl Shared {
    /// Whether a proxy is to try another node for new sockets. Only a node that goes says so: one that is not in step yet
    /// serves every client that comes, and where all nodes said it the client would have nobody.
    pub fn sends_upgrades_on(&self) -> bool {
        self.refuses_upgrades && matches!(self.readiness.stage(), Stage::Leaving | Stage::Draining)
    }
}

impl Services {
    /// Starts the session registry of the current thread.
    pub fn start(shared: Shared) -> Self {
        let tenant = &shared.tenant;
        let callback = tenant.callback_url.as_deref().filter(|_| tenant.access == TenantAccess::Callback).map(|url| {
            let client = access::client(&shared.trust, tenant.callback_timeout);
            Callback::new(url, client, tenant.callback_cache, shared.callback_log.clone())
        });
        let sessions = SessionRegistry::new(shared.registry.clone(), shared.revocations.clone()).start();
        Self { callback, sessions, shared }
    }

    /// The app whose channels tenant sockets hear.
    pub fn tenant_app(&self) -> Option<Arc<App>> {
        self.shared.registry.chosen(self.shared.tenant.app.as_deref())
    }
}
