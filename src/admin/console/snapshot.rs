//! What the page shows of the node: its figures as they are now, those of each app with rates since the last look.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use serde::Serialize;

use crate::{
    admin::{
        cluster::Cluster,
        health::Report,
        peers::{self, Row},
        shown::{Admin, RoomTotals},
        tenants,
    },
    app::AppCounters,
    metrics::Outcomes,
    readiness::Stage,
};

/// So many tenants are shown.
const TENANTS: usize = 10;

/// What the rooms and the cluster answered.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// `None` if they did not.
    pub(super) rooms: Option<&'a RoomTotals>,
    pub(super) cluster: &'a Cluster,
}

/// One look at the node, as it goes over the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename = "snapshot")]
pub(super) struct Snapshot {
    /// Milliseconds since the Unix epoch.
    at: u64,
    uptime_seconds: u64,
    stage: &'static str,
    ready: bool,
    /// Why it is not ready.
    objection: Option<String>,
    totals: Totals,
    /// What was refused since the start, by reason; nothing that was never refused.
    refusals: BTreeMap<String, u64>,
    webhooks_waiting: usize,
    /// `None` for a node alone.
    cluster: Option<ClusterFigures>,
    apps: Vec<AppFigures>,
    /// Those of all apps that are sent the most.
    tenants: Vec<tenants::Row>,
}

/// The node, all its apps together. What is counted is counted since the start.
#[derive(Serialize)]
struct Totals {
    connections: usize,
    /// `None` while the rooms do not answer; likewise the next two.
    rooms: Option<usize>,
    subscriptions: Option<usize>,
    members: Option<usize>,
    events_in: u64,
    client_events_in: u64,
    deliveries: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// All nodes, as this one sees them.
#[derive(Serialize)]
struct ClusterFigures {
    /// Whether this node is connected to NATS.
    connected: bool,
    /// Of all nodes that are alive.
    connections: u64,
    /// How this node's sockets stand to the mean of all nodes; `None` where they are not moved.
    rebalance: Option<&'static str>,
    peers: Vec<Row>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct AppFigures {
    app: String,
    connections: usize,
    /// On all nodes.
    connections_everywhere: usize,
    /// `None` while the rooms do not answer; likewise the next two.
    rooms: Option<usize>,
    subscriptions: Option<usize>,
    members: Option<usize>,
    events_per_second: f64,
    deliveries_per_second: f64,
}

/// What one app has counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) connections: usize,
    pub(super) remote_connections: usize,
    /// From back ends and clients.
    pub(super) events: u64,
    pub(super) deliveries: u64,
}

impl Snapshot {
    /// The node as it is now.
    pub(super) fn of(admin: &Admin, look: Look<'_>, apps: Vec<AppFigures>) -> Self {
        let report = Report::of(admin, look.rooms, look.cluster);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let rows = tenants::rows(&admin.registry.all(), Instant::now());
        Self {
            at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            uptime_seconds: admin.started.elapsed().as_secs(),
            stage: stage_name(admin.readiness.stage()),
            ready: report.ready,
            objection: report.objection(),
            totals: Totals::of(admin, &apps),
            refusals: refusals(
                admin.registry.all().iter().map(|app| &app.counters.outcomes).chain([&*admin.metrics.without_app]),
            ),
            webhooks_waiting: admin.webhooks.queued(),
            cluster: ClusterFigures::of(admin, look.cluster),
            apps,
            tenants: tenants::top(&rows, tenants::By::Deliveries, TENANTS).into_iter().cloned().collect(),
        }
    }

    pub(super) fn frame(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings are always JSON")
    }
}

impl Totals {
    fn of(admin: &Admin, apps: &[AppFigures]) -> Self {
        let known = admin.registry.all();
        let counted = |counter: fn(&AppCounters) -> &AtomicU64| {
            known.iter().map(|app| counter(&app.counters).load(Relaxed)).sum()
        };
        Self {
            connections: apps.iter().map(|app| app.connections).sum(),
            rooms: apps.iter().map(|app| app.rooms).sum(),
            subscriptions: apps.iter().map(|app| app.subscriptions).sum(),
            members: apps.iter().map(|app| app.members).sum(),
            events_in: counted(|app| &app.events_in),
            client_events_in: counted(|app| &app.client_events_in),
            deliveries: counted(|app| &app.usage.deliveries),
            bytes_in: counted(|app| &app.bytes_in),
            bytes_out: counted(|app| &app.usage.bytes_out),
        }
    }
}

impl ClusterFigures {
    fn of(admin: &Admin, cluster: &Cluster) -> Option<Self> {
        let mut own = peers::own(admin);
        let (connected, peers) = match cluster {
            Cluster::Alone => return None,
            Cluster::Silent => {
                own.node = admin.link.as_ref().map(|link| link.node().to_string());
                (false, vec![own])
            }
            Cluster::Seen(look) => {
                (look.status.connected, peers::rows(own, look, |node| admin.rooms.pages().handovers(node)))
            }
        };
        let connections = peers.iter().filter(|peer| peer.stage != "dead").map(|peer| peer.sessions).sum();
        let rebalance = admin.rebalance.as_ref().map(|rebalance| rebalance.get().name());
        Some(Self { connected, connections, rebalance, peers })
    }
}

/// Requests with a bad signature have a metric of their own; here they are one reason more.
fn refusals<'a>(outcomes: impl IntoIterator<Item = &'a Outcomes>) -> BTreeMap<String, u64> {
    let mut refusals = BTreeMap::new();
    for of_app in outcomes {
        let unauthenticated = ("unauthenticated", of_app.auth_failures.get("request"));
        for (reason, count) in of_app.refusals.rows().chain([unauthenticated]).filter(|(_, count)| *count > 0) {
            *refusals.entry(reason.to_owned()).or_default() += count;
        }
    }
    refusals
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Joining => "joining",
        Stage::Ready => "ready",
        Stage::Leaving => "leaving",
        Stage::Draining => "draining",
    }
}

/// The last look, from which rates are taken.
#[derive(Debug, Default)]
pub(super) struct LastLook {
    at: Duration,
    counted: HashMap<Arc<str>, Counted>,
}

impl LastLook {
    /// Remembers this look, and returns what happened since the one before. Rates of apps that are seen for the first
    /// time are zero.
    pub(super) fn advance(
        &mut self,
        at: Duration,
        counted: Vec<(Arc<str>, Counted)>,
        rooms: Option<&RoomTotals>,
    ) -> Vec<AppFigures> {
        let seconds = (at.saturating_sub(self.at)).as_secs_f64();
        let figures = counted.iter().map(|(app, now)| self.figures(app, *now, seconds, rooms)).collect();
        *self = Self { at, counted: counted.into_iter().collect() };
        figures
    }

    fn figures(&self, app: &Arc<str>, now: Counted, seconds: f64, rooms: Option<&RoomTotals>) -> AppFigures {
        let before = self.counted.get(app).copied().unwrap_or(now);
        let totals = rooms.map(|rooms| rooms.get(app).copied().unwrap_or_default());
        AppFigures {
            app: app.to_string(),
            connections: now.connections,
            connections_everywhere: now.connections + now.remote_connections,
            rooms: totals.map(|totals| totals.rooms),
            subscriptions: totals.map(|totals| totals.subscriptions),
            members: totals.map(|totals| totals.members),
            events_per_second: rate(before.events, now.events, seconds),
            deliveries_per_second: rate(before.deliveries, now.deliveries, seconds),
        }
    }
}

/// To one decimal. An app that was removed and added again counts from zero, which is not a negative rate.
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        return 0.0;
    }
    (now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AppTotals;

    fn look(last: &mut LastLook, seconds: u64, events: u64, deliveries: u64) -> (f64, f64) {
        let counted = Counted { connections: 1, remote_connections: 2, events, deliveries };
        let figures = last.advance(Duration::from_secs(seconds), vec![("1".into(), counted)], None);
        (figures[0].events_per_second, figures[0].deliveries_per_second)
    }

    #[test]
    fn the_first_look_knows_no_rate() {
        assert_eq!(look(&mut LastLook::default(), 100, 5_000, 90_000), (0.0, 0.0));
    }

    #[test]
    fn an_app_has_the_connections_of_all_nodes() {
        let counted = Counted { connections: 1, remote_connections: 2, ..Counted::default() };
        let figures = LastLook::default().advance(Duration::ZERO, vec![("1".into(), counted)], None);
        assert_eq!((figures[0].connections, figures[0].connections_everywhere), (1, 3));
    }

    #[test]
    fn only_what_was_refused_is_shown_of_all_apps_and_bad_signatures_too() {
        let (one, other) = (Outcomes::default(), Outcomes::default());
        assert_eq!(refusals([&one, &other]), BTreeMap::new());
        one.refusals.count("subscription");
        other.refusals.count("subscription");
        other.auth_failures.count("request");
        let expected = [("subscription".to_owned(), 2), ("unauthenticated".to_owned(), 1)];
        assert_eq!(refusals([&one, &other]), BTreeMap::from(expected));
    }

    #[test]
    fn rates_are_what_came_since_the_last_look_over_the_time_between() {
        let mut last = LastLook::default();
        look(&mut last, 100, 5_000, 90_000);
        assert_eq!(look(&mut last, 102, 5_005, 90_400), (2.5, 200.0));
        assert_eq!(look(&mut last, 103, 5_005, 90_400), (0.0, 0.0));
    }

    #[test]
    fn an_app_that_counts_from_zero_again_has_no_negative_rate() {
        let mut last = LastLook::default();
        look(&mut last, 100, 5_000, 90_000);
        assert_eq!(look(&mut last, 101, 3, 0), (0.0, 0.0));
    }

    #[test]
    fn an_app_without_rooms_has_none_and_silent_rooms_are_not_shown_as_zero() {
        let counted = || vec![("1".into(), Counted::default()), ("2".into(), Counted::default())];
        let totals = RoomTotals::from([(
            "1".into(),
            AppTotals { rooms: 2, subscriptions: 3, members: 1, ..AppTotals::default() },
        )]);
        let mut last = LastLook::default();
        let rooms = |figures: Vec<AppFigures>| figures.iter().map(|app| app.rooms).collect::<Vec<_>>();
        assert_eq!(rooms(last.advance(Duration::ZERO, counted(), Some(&totals))), [Some(2), Some(0)]);
        assert_eq!(rooms(last.advance(Duration::ZERO, counted(), None)), [None, None]);
    }
}
