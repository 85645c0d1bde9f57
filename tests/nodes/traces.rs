//! The spans of a traced request from the node that is asked to the node that delivers, exported to a collector.

use gaung::protocol::signature::sign_request;
use serde_json::{Value, json};

use crate::{
    common::{
        client::{key, now},
        otlp::{CALLER, Collector, SAMPLED, TRACE, Told, UNSAMPLED},
    },
    harness::{cluster::Cluster, eventually, http_client, node::GaungNode},
    history::begin,
};

const OUTCOMES: &str = "gaung_traces_spans_total";

/// Two nodes that export to the collector, with these variables too.
async fn start(collector: &Collector, variables: &[(&str, &str)]) -> Cluster {
    Cluster::start(2, &[&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str())], variables].concat()).await
}

async fn publish(node: &GaungNode, channel: &str, name: &str, traceparent: Option<&str>) {
    let path = "/apps/app-id/events";
    let body = json!({"name": name, "channel": channel, "data": "sensitive"}).to_string();
    let query = sign_request(&key(), "POST", path, &[], body.as_bytes(), now());
    let mut request = http_client().post(format!("{}{path}?{query}", node.public));
    if let Some(traceparent) = traceparent {
        request = request.insert_header(("traceparent", traceparent));
    }
    assert_eq!(request.send_body(body).await.expect("an answer").status().as_u16(), 200);
}

/// The one span of this name on this channel, which must come.
async fn span(collector: &Collector, name: &str, channel: &str) -> Told {
    let found = || {
        let named = collector.named(name);
        named.into_iter().filter(|told| channel.is_empty() || told.attribute("gaung.channel") == channel)
    };
    eventually(&format!("a span {name} of {channel}"), || async { found().next().is_some() }).await;
    let found: Vec<_> = found().collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

async fn outcome(node: &GaungNode, outcome: &str) -> f64 {
    node.metrics().await.sum_with(OUTCOMES, &format!(r#"outcome="{outcome}""#))
}

#[actix::test]
async fn a_trigger_has_its_way_to_the_sockets_of_another_node_below_the_span_of_its_caller() {
    let collector = Collector::start().await;
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=s3cret%3D");
    let cluster = start(&collector, &[headers, ("OTEL_SERVICE_NAME", "realtime")]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    publish(&cluster[0], "orders", "paid", Some(SAMPLED)).await;
    client.expect("paid").await;

    let request = span(&collector, "POST /apps/{app}/events", "").await;
    let publish = span(&collector, "publish", "orders").await;
    let receive = span(&collector, "receive", "orders").await;
    let fan_out = span(&collector, "fan out", "orders").await;
    let all = [&request, &publish, &receive, &fan_out];
    assert_eq!(all.map(Told::trace), [TRACE; 4]);
    assert_eq!(all.map(Told::kind), ["Server", "Producer", "Consumer", "Internal"]);
    assert_eq!(all.map(Told::parent), [CALLER, &request.id(), &publish.id(), &receive.id()]);
    assert_eq!(all.map(|told| told.resource("service.name")), ["realtime"; 4]);
    let [one, two] = [cluster[0].id().await, cluster[1].id().await];
    assert_eq!(all.map(|told| told.resource("service.instance.id")), [&*one, &one, &two, &two]);
    assert_eq!(all.map(|told| told.attribute("gaung.app")), ["app-id"; 4]);
    assert_eq!(request.attribute("http.response.status_code"), "200");
    assert_eq!(fan_out.attribute("gaung.sockets"), "1");
    assert!(all.iter().all(|told| told.times().0 > 0 && told.times().0 <= told.times().1), "{all:#?}");
    assert!(request.times().0 <= publish.times().0);
    for head in collector.heads() {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf") && head.contains("x-api-key: s3cret="), "{head}");
    }
    assert!(collector.has_heard("orders") && !collector.has_heard("sensitive"));
    assert!(cluster.nodes.iter().all(|node| !node.log().contains("s3cret")));
}

#[actix::test]
async fn events_that_are_cached_or_kept_have_the_same_spans() {
    let collector = Collector::start().await;
    let cluster = start(&collector, &[("GAUNG_APP_HISTORY", "kept-*=60s:100")]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("cache-news").await;
    client.expect("pusher:cache_miss").await;
    begin(&mut client, "kept-news").await;
    for channel in ["cache-news", "kept-news"] {
        publish(&cluster[0], channel, "e", Some(SAMPLED)).await;
        client.expect("e").await;
        let publish = span(&collector, "publish", channel).await;
        let receive = span(&collector, "receive", channel).await;
        let fan_out = span(&collector, "fan out", channel).await;
        assert_eq!([receive.parent(), fan_out.parent()], [publish.id(), receive.id()], "{channel}");
    }
}

#[actix::test]
async fn what_nobody_has_sampled_is_not_exported() {
    let collector = Collector::start().await;
    let cluster = start(&collector, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("quiet").await;
    client.subscribe("orders").await;
    for traceparent in [None, Some(UNSAMPLED), Some("00-0-0-01")] {
        publish(&cluster[0], "quiet", "untold", traceparent).await;
        client.expect("untold").await;
    }
    publish(&cluster[0], "orders", "told", Some(SAMPLED)).await;
    client.expect("told").await;
    span(&collector, "fan out", "orders").await;
    span(&collector, "publish", "orders").await;
    assert!(!collector.has_heard("quiet"));
    assert_eq!(collector.named("POST /apps/{app}/events").len(), 1);
}

#[actix::test]
async fn the_node_that_is_asked_decides_for_all_where_nobody_has() {
    let collector = Collector::start().await;
    let mut cluster = start(&collector, &[]).await;
    cluster.nodes.push(cluster.launch(&[("OTEL_TRACES_SAMPLER", "parentbased_always_on")]));
    cluster.settle().await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    publish(&cluster[2], "orders", "told", None).await;
    client.expect("told").await;
    let request = span(&collector, "POST /apps/{app}/events", "").await;
    let fan_out = span(&collector, "fan out", "orders").await;
    assert_eq!((request.parent(), fan_out.trace()), (String::new(), request.trace()));
    assert_eq!(fan_out.resource("service.instance.id"), cluster[1].id().await);
}

#[actix::test]
async fn without_an_endpoint_or_switched_off_nothing_is_exported_and_the_trace_goes_on() {
    let collector = Collector::start().await;
    let mut cluster = Cluster::start(1, &[("OTEL_TRACES_SAMPLER", "always_on")]).await;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str());
    cluster.nodes.push(cluster.launch(&[endpoint, ("OTEL_SDK_DISABLED", "true")]));
    cluster.nodes.push(cluster.launch(&[endpoint, ("OTEL_TRACES_SAMPLER", "")]));
    cluster.settle().await;
    let mut client = cluster[2].connect().await;
    client.subscribe("orders").await;
    for node in [0, 1] {
        publish(&cluster[node], "orders", "e", Some(SAMPLED)).await;
        client.expect("e").await;
    }
    // The third node follows the caller, whose decision the other two have told it.
    eventually("two events were received", || async { collector.named("receive").len() == 2 }).await;
    assert_eq!(collector.named("receive").iter().map(Told::parent).collect::<Vec<_>>(), [CALLER; 2]);
    assert!(collector.named("publish").is_empty());
    for node in [0, 1] {
        assert_eq!((outcome(&cluster[node], "exported").await, outcome(&cluster[node], "dropped").await), (0.0, 0.0));
    }
}

/// How often the node has logged this.
fn logged(node: &GaungNode, text: &str) -> usize {
    node.log().matches(text).count()
}

const WARNING: &str = "traces are not exported (OTEL_EXPORTER_OTLP_ENDPOINT)";
const ALL_CLEAR: &str = "traces are exported again";

#[actix::test]
async fn a_collector_that_is_away_holds_nobody_up_and_is_told_of_once() {
    let collector = Collector::start().await;
    let cluster = start(&collector, &[]).await;
    let mut client = cluster[0].connect().await;
    client.subscribe("orders").await;
    // An answer after which the same spans are not sent again.
    collector.answer_with(400);
    for round in 1..=3 {
        publish(&cluster[0], "orders", "e", Some(SAMPLED)).await;
        client.expect("e").await;
        let spans = f64::from(3 * round);
        eventually("the spans are given up", || async { outcome(&cluster[0], "dropped").await == spans }).await;
    }
    assert_eq!((logged(&cluster[0], WARNING), logged(&cluster[0], ALL_CLEAR)), (1, 0));
    // An answer after which they are.
    collector.answer_with(503);
    let refused = collector.refused();
    publish(&cluster[0], "orders", "late", Some(SAMPLED)).await;
    client.expect("late").await;
    eventually("they are tried", || async { collector.refused() > refused }).await;
    collector.answer_with(200);
    eventually("all three arrive", || async { collector.spans().len() == 3 }).await;
    eventually("it is told", || async { logged(&cluster[0], ALL_CLEAR) == 1 }).await;
    assert_eq!(logged(&cluster[0], WARNING), 1);
    let outcomes = ["exported", "dropped"].map(|name| outcome(&cluster[0], name));
    assert_eq!(futures_util::future::join_all(outcomes).await, [3.0, 9.0]);
    assert_eq!(collector.spans().len(), 3);
}

#[actix::test]
async fn a_node_that_ends_exports_what_waits() {
    let collector = Collector::start().await;
    let mut cluster = start(&collector, &[]).await;
    publish(&cluster[0], "orders", "last", Some(SAMPLED)).await;
    cluster[0].terminate();
    assert_eq!(cluster[0].exit_code().await, Some(0));
    let names: Vec<_> = collector.spans().iter().map(|told| told.name().to_owned()).collect();
    assert_eq!(names, ["publish", "POST /apps/{app}/events"]);
}

#[actix::test]
async fn a_node_whose_collector_takes_nothing_ends_all_the_same() {
    let collector = Collector::start().await;
    let mut cluster = start(&collector, &[]).await;
    collector.answer_with(503);
    publish(&cluster[0], "orders", "lost", Some(SAMPLED)).await;
    eventually("its spans are tried", || async { collector.refused() > 0 }).await;
    cluster[0].terminate();
    assert_eq!(cluster[0].exit_code().await, Some(0));
    assert_eq!(collector.spans().len(), 0);
}

#[actix::test]
async fn each_event_of_a_batch_is_published_below_the_one_request() {
    let collector = Collector::start().await;
    let cluster = start(&collector, &[]).await;
    let event = |channel: &str| json!({"name": "e", "channel": channel, "data": "{}"});
    let body: Value = json!({"batch": [event("a"), event("b")]});
    let (path, body) = ("/apps/app-id/batch_events", body.to_string());
    let query = sign_request(&key(), "POST", path, &[], body.as_bytes(), now());
    let request = http_client().post(format!("{}{path}?{query}", cluster[0].public));
    let request = request.insert_header(("traceparent", SAMPLED)).send_body(body);
    assert_eq!(request.await.expect("an answer").status().as_u16(), 200);
    let request = span(&collector, "POST /apps/{app}/batch_events", "").await;
    for channel in ["a", "b"] {
        assert_eq!(span(&collector, "publish", channel).await.parent(), request.id());
    }
}
