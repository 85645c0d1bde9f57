//! `/metrics`. What the node counts is taken over as it is; everything else is derived from its owner's state at each
//! scrape, so that no gauge can drift.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

use super::{
    answer::refusal,
    cluster::Cluster,
    exposition::Exposition,
    scrape_node::NodeFigures,
    scrape_soketi::SoketiNames,
    shown::{Admin, RoomTotals},
};
use crate::{
    app::{App, AppCounters},
    event::AppTotals,
    metrics::{Metrics, catalogue},
    readiness::Answers,
    readiness::Readiness,
};

/// What one scrape shows.
struct Sources<'a> {
    metrics: &'a Metrics,
    readiness: &'a Readiness,
    node: NodeFigures,
    soketi_names: Option<&'a SoketiNames>,
    apps: Vec<Arc<App>>,
    /// `None` if the rooms do not answer.
    rooms: Option<RoomTotals>,
    cluster: Cluster,
}

/// Prometheus text 0.0.4. Figures of rooms or a bus that do not answer are left out rather than shown as zero.
pub(super) async fn metrics(admin: Data<Admin>) -> HttpResponse {
    let sources = Sources {
        metrics: &admin.metrics,
        readiness: &admin.readiness,
        node: NodeFigures::of(&admin),
        soketi_names: admin.soketi_names.as_ref(),
        apps: admin.registry.all(),
        rooms: admin.room_totals().await,
        cluster: Cluster::look(admin.link.as_ref()).await,
    };
    match expose(&sources) {
        Ok(text) => HttpResponse::Ok().content_type(TEXT_FORMAT).body(text),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn expose(sources: &Sources<'_>) -> prometheus::Result<String> {
    let exposition = Exposition(Registry::new());
    sources.metrics.register(&exposition.0)?;
    exposition.apps(&sources.apps)?;
    if let Some(totals) = &sources.rooms {
        exposition.rooms(&sources.apps, totals)?;
    }
    let answers = Answers { rooms: sources.rooms.is_some(), bus: sources.cluster.answers() };
    let ready = sources.readiness.objection(answers).is_none();
    exposition.gauge(&catalogue::READY, [([], f64::from(u8::from(ready)))])?;
    exposition.node(&sources.node)?;
    match &sources.cluster {
        Cluster::Alone => {}
        Cluster::Silent => sources.metrics.register_cluster(&exposition.0)?,
        Cluster::Seen(look) => {
            sources.metrics.register_cluster(&exposition.0)?;
            exposition.cluster(look)?;
        }
    }
    exposition.process()?;
    let mut metrics = exposition.0.gather();
    if let Some(names) = sources.soketi_names {
        metrics.extend(names.metrics(&sources.apps)?);
    }
    TextEncoder::new().encode_to_string(&metrics)
}

impl Exposition {
    fn apps(&self, apps: &[Arc<App>]) -> prometheus::Result<()> {
        let rows = |value: fn(&AppCounters) -> f64| {
            apps.iter().map(move |app| ([&**app.id()], value(&app.counters))).collect::<Vec<_>>()
        };
        self.gauge(&catalogue::CONNECTIONS, rows(|app| app.connections() as f64))?;
        self.counter(&catalogue::CONNECTIONS_OPENED, rows(|app| app.connections_opened.load(Relaxed) as f64))?;
        self.counter(&catalogue::EVENTS_IN, rows(|app| app.events_in.load(Relaxed) as f64))?;
        self.counter(&catalogue::CLIENT_EVENTS_IN, rows(|app| app.client_events_in.load(Relaxed) as f64))?;
        self.counter(&catalogue::DELIVERIES, rows(|app| app.deliveries.load(Relaxed) as f64))?;
        self.gauge(&catalogue::HISTORY_BYTES, rows(|app| app.history_bytes.load(Relaxed) as f64))?;
        self.counter(&catalogue::BYTES_IN, rows(|app| app.bytes_in.load(Relaxed) as f64))?;
        self.counter(&catalogue::BYTES_OUT, rows(|app| app.bytes_out.load(Relaxed) as f64))
    }

    /// Every app is shown, those without rooms with zero; so is an app that is gone but for its last subscribers.
    fn rooms(&self, apps: &[Arc<App>], totals: &RoomTotals) -> prometheus::Result<()> {
        let of_app = |app: &Arc<App>| totals.get(app.id()).copied().unwrap_or_default();
        let mut by_app: BTreeMap<&str, AppTotals> = apps.iter().map(|app| (&**app.id(), of_app(app))).collect();
        let with_subscribers = totals.iter().filter(|(_, totals)| totals.subscriptions > 0);
        by_app.extend(with_subscribers.map(|(app, totals)| (&**app, *totals)));
        let rows = |value: fn(&AppTotals) -> f64| {
            by_app.iter().map(move |(app, totals)| ([*app], value(totals))).collect::<Vec<_>>()
        };
        self.gauge(&catalogue::ROOMS, rows(|app| app.rooms as f64))?;
        self.gauge(&catalogue::SUBSCRIPTIONS, rows(|app| app.subscriptions as f64))?;
        self.gauge(&catalogue::MEMBERS, rows(|app| app.members as f64))?;
        self.gauge(&catalogue::HISTORY_OLDEST_AGE, rows(|app| app.oldest_event.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::{
        admin::{cluster::tests::look, scrape_node::tests::node},
        app::permit::AppPermit,
        config::AppSettings,
        metrics::catalogue::Kind,
        protocol::Close,
    };

    fn scrape(apps: &[Arc<App>], rooms: Option<RoomTotals>, readiness: &Readiness) -> String {
        scrape_in(Cluster::Alone, apps, rooms, readiness)
    }

    fn scrape_in(cluster: Cluster, apps: &[Arc<App>], rooms: Option<RoomTotals>, readiness: &Readiness) -> String {
        let metrics = Metrics::new();
        let apps = apps.to_vec();
        let sources = Sources { metrics: &metrics, readiness, node: node(), soketi_names: None, apps, rooms, cluster };
        expose(&sources).unwrap()
    }

    fn apps() -> [Arc<App>; 2] {
        ["one", "two"].map(|id| App::new(id, AppSettings::new(id, "secret")))
    }

    fn totals() -> RoomTotals {
        let oldest_event = Duration::from_millis(61_500);
        RoomTotals::from([("one".into(), AppTotals { rooms: 2, subscriptions: 30, members: 4, oldest_event })])
    }

    fn check(text: &str, line: &str) {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
    }

    #[test]
    fn exactly_the_catalogue_is_shown_with_its_kinds_and_meanings() {
        let text = scrape_in(Cluster::Seen(Box::new(look())), &apps(), Some(totals()), &Readiness::default());
        let described = catalogue::ALL.iter().flat_map(|description| {
            let kind = match description.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let name = description.name;
            [format!("# HELP {name} {}", description.meaning), format!("# TYPE {name} {kind}")]
        });
        let shown = text.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
        assert_eq!(shown.collect::<BTreeSet<_>>(), described.collect::<BTreeSet<_>>());
    }

    #[test]
    fn figures_of_rooms_are_shown_for_apps_without_rooms_and_for_apps_that_are_gone() {
        let text = scrape(&apps()[1..], Some(totals()), &Readiness::default());
        check(&text, r#"gaung_rooms{app="one"} 2"#);
        check(&text, r#"gaung_subscriptions{app="one"} 30"#);
        check(&text, r#"gaung_members{app="one"} 4"#);
        check(&text, r#"gaung_members{app="two"} 0"#);
        check(&text, r#"gaung_history_oldest_age_seconds{app="one"} 61.5"#);
        check(&text, r#"gaung_history_oldest_age_seconds{app="two"} 0"#);
    }

    #[test]
    fn an_app_that_is_gone_is_not_shown_for_what_its_rooms_cache() {
        let cached = RoomTotals::from([("one".into(), AppTotals { rooms: 1, ..AppTotals::default() })]);
        let text = scrape(&apps()[1..], Some(cached), &Readiness::default());
        assert!(!text.contains(r#"app="one""#), "{text}");
    }

    #[test]
    fn the_connections_of_an_app_are_its_permits_and_fall_with_them() {
        let apps = apps();
        let permit = AppPermit::take(&apps[0]);
        check(&scrape(&apps, None, &Readiness::default()), r#"gaung_connections{app="one"} 1"#);
        drop(permit);
        let text = scrape(&apps, None, &Readiness::default());
        check(&text, r#"gaung_connections{app="one"} 0"#);
        check(&text, r#"gaung_connections_opened_total{app="one"} 1"#);
    }

    #[test]
    fn an_apps_counters_are_taken_over() {
        let apps = apps();
        let counters = &apps[0].counters;
        counters.events_in.store(1, Relaxed);
        counters.client_events_in.store(2, Relaxed);
        counters.deliveries.store(3, Relaxed);
        counters.bytes_in.store(4, Relaxed);
        counters.bytes_out.store(5, Relaxed);
        let text = scrape(&apps, None, &Readiness::default());
        check(&text, r#"gaung_events_in_total{app="one"} 1"#);
        check(&text, r#"gaung_client_events_in_total{app="one"} 2"#);
        check(&text, r#"gaung_deliveries_total{app="one"} 3"#);
        check(&text, r#"gaung_bytes_in_total{app="one"} 4"#);
        check(&text, r#"gaung_bytes_out_total{app="one"} 5"#);
    }

    #[test]
    fn rooms_that_do_not_answer_are_left_out_and_the_node_is_not_ready() {
        let text = scrape(&apps(), None, &Readiness::default());
        assert!(!text.contains("gaung_rooms"), "{text}");
        check(&text, "gaung_ready 0");
    }

    #[test]
    fn a_node_alone_shows_nothing_of_a_cluster() {
        let text = scrape(&apps(), Some(totals()), &Readiness::default());
        assert!(!text.contains("gaung_cluster"), "{text}");
    }

    #[test]
    fn a_bus_that_does_not_answer_is_left_out_and_the_node_is_not_ready() {
        let text = scrape_in(Cluster::Silent, &apps(), Some(totals()), &Readiness::default());
        assert!(!text.contains("gaung_cluster_connected"), "{text}");
        check(&text, "gaung_ready 0");
    }

    #[test]
    fn a_draining_node_is_not_ready() {
        let readiness = Readiness::default();
        check(&scrape(&apps(), Some(totals()), &readiness), "gaung_ready 1");
        readiness.drain();
        check(&scrape(&apps(), Some(totals()), &readiness), "gaung_ready 0");
    }

    #[test]
    fn every_reason_that_is_known_beforehand_starts_at_zero() {
        let text = scrape(&[], None, &Readiness::default());
        for close in Close::ALL {
            check(&text, &format!("gaung_closes_total{{reason=\"{}\"}} 0", close.name()));
        }
        check(&text, r#"gaung_closes_total{reason="lost"} 0"#);
        check(&text, r#"gaung_refusals_total{reason="over_quota"} 0"#);
        check(&text, r#"gaung_refusals_total{reason="over_http_limit"} 0"#);
        check(&text, r#"gaung_refusals_total{reason="overloaded"} 0"#);
        check(&text, r#"gaung_refusals_total{reason="subscription"} 0"#);
        check(&text, r#"gaung_auth_failures_total{kind="channel"} 0"#);
        check(&text, r#"gaung_webhook_attempts_total{outcome="delivered"} 0"#);
        check(&text, r#"gaung_reloads_total{outcome="refused"} 0"#);
    }
}
