//! What the admin port shows: handles of what others own.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use gaung_cluster::{bus::Link, history::HistoryStream};

use super::{console::ConsoleSettings, scrape_soketi::SoketiNames};
use crate::{
    app::Registry, app_store::AppStore, connection::permits::ConnectionPermits, event::AppTotals, issuer::Issuer,
    metrics::Metrics, readiness::Readiness, rebalance::SharedStage, room::Rooms, webhook::Webhooks,
};

/// How long the rooms may take to answer before the node counts as not ready.
const ROOMS_TIMEOUT: Duration = Duration::from_secs(1);

/// What the admin port shows. Cheap to clone; each worker of its server has one.
#[derive(Clone)]
pub struct Admin {
    pub registry: Registry,
    pub rooms: Rooms,
    pub webhooks: Webhooks,
    pub metrics: Metrics,
    /// The way to the other nodes; `None` if the node is alone.
    pub link: Option<Link>,
    /// The stream behind the nodes' memory, if there is one.
    pub stream: Option<HistoryStream>,
    /// How the sockets are spread over the nodes; `None` where they are not moved.
    pub rebalance: Option<SharedStage>,
    /// What tokens of plain sockets are verified with.
    pub issuer: Issuer,
    /// Connections that are no sockets.
    pub permits: Arc<ConnectionPermits>,
    pub readiness: Readiness,
    pub started: Instant,
    /// How long the node may take to go.
    pub drain_limit: Duration,
    /// Soketi's names for metrics; `None` if they are not wanted.
    pub soketi_names: Option<SoketiNames>,
    /// Where the apps are kept, and changed.
    pub apps: AppStore,
    /// Who may use the console, and what for.
    pub console: ConsoleSettings,
    pub version: &'static str,
}

/// What each app's rooms add up to, by the app's id.
pub(super) type RoomTotals = HashMap<Arc<str>, AppTotals>;

impl Admin {
    /// What the rooms add up to; `None` if one of their threads is gone or does not answer within a
    /// second.
    pub(super) async fn room_totals(&self) -> Option<RoomTotals> {
        tokio::time::timeout(ROOMS_TIMEOUT, self.rooms.totals()).await.ok().flatten()
    }
}
