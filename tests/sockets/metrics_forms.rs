//! The forms of `/metrics`, as scrapers ask for them.

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use flate2::read::GzDecoder;
use std::io::Read;

use crate::harness::{TestNode, http_client, start};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Content type, encoding and body.
async fn scrape(node: &TestNode, accept: &str, encoding: &str) -> (String, Option<String>, Vec<u8>) {
    let request = http_client().get(format!("http://{}/metrics", node.node.admin));
    let request = request.insert_header((ACCEPT, accept)).insert_header((ACCEPT_ENCODING, encoding));
    let mut answer = request.no_decompress().send().await.expect("the admin port answers");
    let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("a text").to_owned());
    let (kind, encoding) = (header(CONTENT_TYPE).expect("a content type"), header(CONTENT_ENCODING));
    (kind, encoding, answer.body().limit(1 << 20).await.expect("a body").to_vec())
}

#[actix::test]
async fn a_scraper_gets_open_metrics_if_it_accepts_that_and_else_prometheus_text() {
    let node = start(|_| {}).await;
    let (kind, _, text) = scrape(&node, "*/*", "identity").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!String::from_utf8(text).expect("a text").contains("# EOF"));
    let (kind, _, text) = scrape(&node, OPEN_METRICS, "identity").await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with(b"\n# EOF\n"));
}

#[actix::test]
async fn a_scraper_that_accepts_gzip_reads_the_same_in_less() {
    let node = start(|_| {}).await;
    let (_, encoding, plain) = scrape(&node, OPEN_METRICS, "identity").await;
    assert_eq!(encoding, None);
    let (_, encoding, compressed) = scrape(&node, OPEN_METRICS, "gzip").await;
    assert_eq!(encoding.as_deref(), Some("gzip"));
    assert!(compressed.len() * 3 < plain.len(), "{} of {} bytes", compressed.len(), plain.len());
    let mut text = String::new();
    GzDecoder::new(&*compressed).read_to_string(&mut text).expect("it is gzip");
    assert!(text.starts_with("# HELP gaung_ready ") && text.ends_with("\n# EOF\n"), "{text}");
}

#[actix::test]
async fn what_happens_is_counted_for_its_app_and_for_none_where_there_is_no_such_app() {
    let node = start(|app| app.max_event_bytes = 20).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    node.publish("orders", "e", "{}").await;
    client.expect("e").await;
    let event = serde_json::json!({"name": "e", "channel": "orders", "data": "more than twenty bytes"});
    assert_eq!(node.post("/events", &event).await.0, 413);
    let unknown = http_client().get(node.url("/apps/other/channels")).send().await.expect("an answer");
    assert_eq!(unknown.status().as_u16(), 404);
    let text = crate::harness::metrics(node.node.admin).await;
    for line in [
        r#"gaung_trigger_seconds_count{app="app-id"} 1"#,
        r#"gaung_fan_out_seconds_count{app="app-id"} 1"#,
        r#"gaung_api_responses_total{app="app-id",code="2xx"} 1"#,
        r#"gaung_api_responses_total{app="app-id",code="4xx"} 1"#,
        r#"gaung_api_responses_total{app="",code="4xx"} 1"#,
        r#"gaung_refusals_total{app="app-id",reason="event_too_large"} 1"#,
        r#"gaung_refusals_total{app="",reason="app_unknown"} 1"#,
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
    }
}
