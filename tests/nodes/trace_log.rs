//! The trace of a request goes with its events, and each node that delivers one tells of it in its log.

use gaung::protocol::signature::sign_request;
use serde_json::{Value, json};

use crate::{
    common::client::{key, now},
    harness::{cluster::Cluster, eventually, http_client, node::GaungNode},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const LOG: [(&str, &str); 2] = [("GAUNG_LOG", "info,gaung::trace_log=debug"), ("GAUNG_LOG_FORMAT", "json")];

async fn publish(node: &GaungNode, path: &str, body: Value) {
    let (path, body) = (format!("/apps/app-id{path}"), body.to_string());
    let query = sign_request(&key(), "POST", &path, &[], body.as_bytes(), now());
    let request = http_client().post(format!("{}{path}?{query}", node.public));
    let request = request.insert_header(("traceparent", TRACEPARENT));
    assert_eq!(request.send_body(body).await.expect("an answer").status().as_u16(), 200);
}

fn event(channel: &str, name: &str) -> Value {
    json!({"name": name, "channel": channel, "data": "{}"})
}

/// What the node's log tells of the trace: each message with its channel or channels.
fn told(node: &GaungNode) -> Vec<(String, String)> {
    let log = node.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let traced = lines.filter(|line| line["trace_id"] == TRACE && line["span_id"] == "00f067aa0ba902b7");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    traced.map(|line| (text(&line["message"]), text(&line["channel"]) + &text(&line["channels"]))).collect()
}

fn lines(message: &str, channels: &[&str]) -> Vec<(String, String)> {
    channels.iter().map(|channel| (message.to_owned(), (*channel).to_owned())).collect()
}

#[actix::test]
async fn the_node_that_delivers_an_event_tells_of_the_trace_that_another_was_given() {
    let cluster = Cluster::start(2, &LOG).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    client.subscribe("cache-news").await;
    client.expect("pusher:cache_miss").await;
    client.sign_in(r#"{"id":"ada"}"#).await;
    client.expect("pusher:signin_success").await;

    publish(&cluster[0], "/events", event("orders", "one")).await;
    client.expect("one").await;
    publish(&cluster[0], "/events", event("cache-news", "two")).await;
    client.expect("two").await;
    publish(&cluster[0], "/events", event("#server-to-user-ada", "three")).await;
    client.expect("three").await;
    publish(&cluster[0], "/batch_events", json!({"batch": [event("orders", "four"), event("nobody", "four")]})).await;
    client.expect("four").await;

    let channels = ["orders", "cache-news", "#server-to-user-ada", "orders"];
    let delivered = lines("event delivered", &channels);
    eventually("the other node tells of them", || async { told(&cluster[1]) == delivered }).await;
    let taken = lines("event accepted", &["orders", "cache-news", "#server-to-user-ada", "orders nobody"]);
    eventually("the first node took them", || async { told(&cluster[0]) == taken }).await;

    // An event without a trace takes nothing along from those before it.
    cluster[0].publish("orders", "five", "{}").await;
    client.expect("five").await;
    client.expect_silence().await;
    assert_eq!(told(&cluster[1]), delivered);
}
