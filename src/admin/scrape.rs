//! `/metrics`. What the node counts is taken over as it is; everything else is derived from its owner's state at each
//! scrape, so that no gauge can drift.

use std::{io::Write, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Data,
};
use flate2::{Compression, write::GzEncoder};
use prometheus::Registry;

use super::{
    answer::refusal,
    cluster::Cluster,
    exposition::Exposition,
    negotiation::{Format, takes_gzip},
    scrape_node::NodeFigures,
    scrape_soketi::SoketiNames,
    shown::{Admin, RoomTotals},
};
use crate::{
    app::App,
    metrics::{Metrics, catalogue},
    readiness::{Answers, Readiness},
    webhook::WaitingOfApp,
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
    webhooks: Vec<(Arc<str>, WaitingOfApp)>,
    cluster: Cluster,
}

/// As the scraper accepts it. Figures of rooms or a bus that do not answer are left out rather than shown as zero.
pub(super) async fn metrics(admin: Data<Admin>, request: HttpRequest) -> HttpResponse {
    let sources = Sources {
        metrics: &admin.metrics,
        readiness: &admin.readiness,
        node: NodeFigures::of(&admin),
        soketi_names: admin.soketi_names.as_ref(),
        apps: admin.registry.all(),
        rooms: admin.room_totals().await,
        webhooks: admin.webhooks.waiting(),
        cluster: Cluster::look(admin.link.as_ref()).await,
    };
    let accepted = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::of(accepted(header::ACCEPT));
    match expose(&sources, format) {
        Ok(text) => answer(&text, format, takes_gzip(accepted(header::ACCEPT_ENCODING))),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn answer(text: &str, format: Format, is_compressed: bool) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type(format.content_type()).insert_header((header::VARY, "Accept, Accept-Encoding"));
    if is_compressed {
        answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(compressed(text))
    } else {
        answer.body(text.to_owned())
    }
}

/// As fast as it goes: the text repeats itself so much that it shrinks to a fraction even so.
fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

fn expose(sources: &Sources<'_>, format: Format) -> prometheus::Result<String> {
    let (counted, mut exposition) = (Registry::new(), Exposition::new(format));
    sources.metrics.register(&counted)?;
    let answers = Answers { rooms: sources.rooms.is_some(), bus: sources.cluster.answers() };
    let ready = sources.readiness.objection(answers).is_none();
    exposition.values(&catalogue::READY, [([], f64::from(u8::from(ready)))]);
    exposition.node(&sources.node);
    match &sources.cluster {
        Cluster::Alone => {}
        Cluster::Silent => sources.metrics.register_cluster(&counted)?,
        Cluster::Seen(look) => {
            sources.metrics.register_cluster(&counted)?;
            exposition.cluster(look);
        }
    }
    exposition.families(&counted.gather());
    exposition.process();
    exposition.apps(&sources.apps);
    exposition.limits(&sources.apps);
    exposition.tenants(&sources.apps);
    exposition.outcomes(&sources.apps, &sources.metrics.without_app);
    exposition.webhooks(&sources.apps, &sources.webhooks);
    sources.rooms.iter().for_each(|totals| exposition.rooms(&sources.apps, totals));
    sources.soketi_names.iter().for_each(|names| names.show(&sources.apps, &mut exposition));
    Ok(exposition.finish())
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering::Relaxed, time::Duration};

    use super::*;
    use crate::{
        admin::{cluster::tests::look, scrape_node::tests::node},
        app::{
            permit::AppPermit,
            usage::{Resource, Throughput},
        },
        config::{AppSettings, Quotas},
        event::AppTotals,
        metrics::catalogue::Kind,
        protocol::Close,
    };

    const HALF: Duration = Duration::from_millis(500);

    fn scrape(apps: &[Arc<App>], rooms: Option<RoomTotals>, readiness: &Readiness) -> String {
        scrape_in(Cluster::Alone, apps, rooms, readiness)
    }

    fn scrape_in(cluster: Cluster, apps: &[Arc<App>], rooms: Option<RoomTotals>, readiness: &Readiness) -> String {
        scrape_of(&Metrics::new(), cluster, apps, rooms, readiness)
    }

    fn scrape_of(
        metrics: &Metrics,
        cluster: Cluster,
        apps: &[Arc<App>],
        rooms: Option<RoomTotals>,
        readiness: &Readiness,
    ) -> String {
        let (apps, webhooks) = (apps.to_vec(), vec![("two".into(), WaitingOfApp { count: 3, oldest_age: HALF })]);
        let sources = Sources { metrics, readiness, node: node(), soketi_names: None, apps, rooms, webhooks, cluster };
        expose(&sources, Format::Prometheus).unwrap()
    }

    fn apps() -> [Arc<App>; 2] {
        ["one", "two"].map(|id| App::new(id, AppSettings::new(id, "secret")))
    }

    /// An app that has limits of every kind.
    fn limited() -> Arc<App> {
        let limits = AppSettings {
            max_connections: Some(100),
            history_mb: Some(2),
            events_per_second: Some(50),
            tenant_limits: Quotas { max_connections: Some(3), ..Quotas::default() },
            ..AppSettings::new("key", "secret")
        };
        let app = App::new("limited", limits);
        app.tenants().get("7").usage.set_remote(Resource::Connections, 3);
        app
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
        let text = scrape_in(Cluster::Seen(Box::new(look())), &[limited()], Some(totals()), &Readiness::default());
        let described = catalogue::ALL.iter().flat_map(|description| {
            let kind = match description.kind {
                Kind::Counter => "counter",
                Kind::Gauge | Kind::Info => "gauge",
                Kind::Histogram => "histogram",
            };
            let name = description.name;
            [format!("# HELP {name} {}", description.meaning), format!("# TYPE {name} {kind}")]
        });
        let shown = text.lines().filter(|line| line.starts_with('#')).map(str::to_owned);
        let (mut shown, mut described): (Vec<_>, Vec<_>) = (shown.collect(), described.collect());
        shown.sort();
        described.sort();
        assert_eq!(shown, described);
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
        counters.usage.deliveries.store(3, Relaxed);
        counters.bytes_in.store(4, Relaxed);
        counters.usage.bytes_out.store(5, Relaxed);
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
        for reason in ["over_quota", "over_http_limit", "overloaded", "subscription", "handshake"] {
            check(&text, &format!("gaung_refusals_total{{app=\"\",reason=\"{reason}\"}} 0"));
        }
        check(&text, r#"gaung_auth_failures_total{app="",kind="channel"} 0"#);
        check(&text, r#"gaung_api_responses_total{app="",code="5xx"} 0"#);
        check(&text, r#"gaung_webhook_drops_total{app=""} 0"#);
        check(&text, r#"gaung_reloads_total{outcome="refused"} 0"#);
    }

    #[test]
    fn an_app_starts_at_zero_with_what_tells_of_its_limits_and_of_nodes_that_go() {
        let text = scrape(&apps(), None, &Readiness::default());
        for line in [
            r#"gaung_refusals_total{app="one",reason="over_quota"} 0"#,
            r#"gaung_refusals_total{app="one",reason="event_rate"} 0"#,
            r#"gaung_closes_total{app="one",reason="draining"} 0"#,
            r#"gaung_closes_total{app="one",reason="lost"} 0"#,
            r#"gaung_auth_failures_total{app="one",kind="channel"} 0"#,
            r#"gaung_slow_consumers_total{app="one"} 0"#,
            r#"gaung_api_responses_total{app="one",code="4xx"} 0"#,
            r#"gaung_webhook_attempts_total{app="one",outcome="delivered"} 0"#,
            r#"gaung_webhook_drops_total{app="one"} 0"#,
            r#"gaung_trigger_seconds_count{app="one"} 0"#,
            r#"gaung_webhook_queue{app="one"} 0"#,
            r#"gaung_webhook_oldest_age_seconds{app="one"} 0"#,
        ] {
            check(&text, line);
        }
        assert!(!text.contains(r#"app="one",reason="subscription""#), "{text}");
        assert!(!text.contains(r#"app="one",reason="slow_consumer""#), "{text}");
    }

    #[test]
    fn a_limit_that_is_set_is_shown_beside_what_is_used_of_it_and_no_other() {
        let app = limited();
        let _permit = AppPermit::take(&app);
        app.counters.set_remote_connections(3);
        app.counters.history_bytes.store(1_024, Relaxed);
        app.counters
            .usage
            .take_rate(Throughput::Events, 7, (&app.settings().limits(), 1), std::time::Instant::now())
            .unwrap();
        let text = scrape(&[app, apps()[0].clone()], None, &Readiness::default());
        let shown: Vec<_> = text.lines().filter(|line| line.starts_with("gaung_app_")).collect();
        assert_eq!(
            shown,
            [
                r#"gaung_app_limit{app="limited",limit="connections"} 100"#,
                r#"gaung_app_limit{app="limited",limit="events_per_second"} 50"#,
                r#"gaung_app_limit{app="limited",limit="history_bytes"} 2097152"#,
                r#"gaung_app_usage{app="limited",limit="connections"} 4"#,
                r#"gaung_app_usage{app="limited",limit="history_bytes"} 1024"#,
                r#"gaung_app_rate_usage_total{app="limited",limit="events_per_second"} 7"#,
            ]
        );
    }

    #[test]
    fn what_becomes_of_an_app_is_shown_under_its_name_alone() {
        let (apps, metrics) = (apps(), Metrics::new());
        let of_one = &apps[0].counters.outcomes;
        of_one.refusals.count("subscription");
        of_one.count_close(Some(Close::SlowConsumer));
        of_one.auth_failures.count("user");
        of_one.api_responses.count("4xx");
        of_one.webhook_attempts.count("retried");
        of_one.drop_webhooks(7);
        of_one.trigger_seconds.observe(HALF);
        of_one.fan_out_seconds.observe(HALF);
        metrics.without_app.refusals.count("subscription");
        let text = scrape_of(&metrics, Cluster::Alone, &apps, None, &Readiness::default());
        for line in [
            r#"gaung_refusals_total{app="one",reason="subscription"} 1"#,
            r#"gaung_refusals_total{app="",reason="subscription"} 1"#,
            r#"gaung_closes_total{app="one",reason="slow_consumer"} 1"#,
            r#"gaung_slow_consumers_total{app="one"} 1"#,
            r#"gaung_auth_failures_total{app="one",kind="user"} 1"#,
            r#"gaung_api_responses_total{app="one",code="4xx"} 1"#,
            r#"gaung_webhook_attempts_total{app="one",outcome="retried"} 1"#,
            r#"gaung_webhook_drops_total{app="one"} 7"#,
            r#"gaung_trigger_seconds_bucket{app="one",le="0.5"} 1"#,
            r#"gaung_fan_out_seconds_sum{app="one"} 0.5"#,
            r#"gaung_fan_out_seconds_count{app="two"} 0"#,
            r#"gaung_webhook_queue{app="two"} 3"#,
            r#"gaung_webhook_oldest_age_seconds{app="two"} 0.5"#,
        ] {
            check(&text, line);
        }
        assert!(!text.contains(r#"app="two",reason="subscription""#), "{text}");
    }
}
