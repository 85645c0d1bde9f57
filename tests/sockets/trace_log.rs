//! What the log tells of requests that belong to a trace.

use gaung::protocol::{AppKey, Secret, SocketId, signature::sign_request};
use serde_json::{Value, json};

use crate::{
    common::process::{Process, serve},
    harness::{Client, http_client, now},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The filter that shows all lines of this kind.
const TOLD: (&str, &str) = ("GAUNG_LOG", "info,gaung::trace_log=debug");
const JSON: (&str, &str) = ("GAUNG_LOG_FORMAT", "json");

/// Posts to the development app and returns the status.
async fn post(server: &Process, path: &str, body: &Value, traceparent: Option<&str>) -> u16 {
    post_signed(server, "gaung-secret", path, body, traceparent).await
}

async fn post_signed(server: &Process, secret: &str, path: &str, body: &Value, traceparent: Option<&str>) -> u16 {
    let key = AppKey { key: "gaung-key".to_owned(), secret: Secret::new(secret) };
    let (path, body) = (format!("/apps/gaung{path}"), body.to_string());
    let query = sign_request(&key, "POST", &path, &[], body.as_bytes(), now());
    let mut request = http_client().post(format!("{}{path}?{query}", server.address("public")));
    if let Some(traceparent) = traceparent {
        request = request.insert_header(("traceparent", traceparent));
    }
    request.send_body(body).await.expect("the server answers").status().as_u16()
}

/// Subscribes to a public channel of the development app, which keeps a history.
async fn subscribe(client: &mut Client, channel: &str) {
    client.send(json!({"event": "pusher:subscribe", "data": {"auth": "", "channel": channel}})).await;
    let succeeded = client.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!((&succeeded["channel"], &succeeded["data"]), (&json!(channel), &json!("{}")));
}

fn event(channel: &str, name: &str) -> Value {
    json!({"name": name, "channel": channel, "data": "sensitive"})
}

/// What the log has told about requests with a trace, without its time.
fn trace_log(server: &Process) -> Vec<Value> {
    let lines = server.stderr();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("every line is JSON"));
    let mut traced: Vec<_> = lines.filter(|line| line["target"] == "gaung::trace_log").collect();
    for line in &mut traced {
        let time = line.as_object_mut().expect("a line is an object").remove("timestamp");
        let time = time.as_ref().and_then(Value::as_str).expect("a line has a time");
        assert!(time.contains('T') && time.ends_with('Z'), "RFC 3339: {time}");
    }
    traced
}

/// A line with its flat fields.
fn line(level: &str, message: &str, fields: &Value) -> Value {
    let mut line = json!({"level": level, "target": "gaung::trace_log", "message": message, "app": "gaung",
                          "trace_id": TRACE, "span_id": SPAN});
    let fields = fields.as_object().expect("fields are an object").clone();
    line.as_object_mut().expect("it was made so").extend(fields);
    line
}

/// Waits until this has been told, and nothing else of its kind.
fn check(server: &Process, expected: &[Value]) {
    server.wait_for("lines of the trace", || trace_log(server).len() >= expected.len());
    let told = trace_log(server);
    for expected in expected {
        assert!(told.contains(expected), "{expected} in {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[actix::test]
async fn an_event_is_told_where_it_is_taken_and_where_it_is_delivered_and_its_payload_is_not() {
    let server = serve(&[TOLD, JSON]);
    let mut one = server.connect("/app/gaung-key").await.greeted().await;
    let mut two = server.connect("/app/gaung-key").await.greeted().await;
    subscribe(&mut one, "orders").await;
    subscribe(&mut two, "orders").await;
    let mut posted = event("orders", "App\\Events\\Paid");
    posted["channels"] = json!(["orders", "empty"]);
    posted["socket_id"] = json!(two.id);
    assert!(two.id.parse::<SocketId>().is_ok());
    assert_eq!(post(&server, "/events", &posted, Some(TRACEPARENT)).await, 200);
    one.expect("App\\Events\\Paid").await;
    check(
        &server,
        &[
            line("DEBUG", "event accepted", &json!({"event": "App\\Events\\Paid", "channels": "orders empty"})),
            line("DEBUG", "event delivered", &json!({"channel": "orders", "sockets": 1})),
        ],
    );
    assert!(!server.stderr().contains("sensitive"));
}

#[actix::test]
async fn the_events_of_a_batch_are_told_each_and_those_of_a_cache_channel_too() {
    let server = serve(&[TOLD, JSON]);
    let mut client = server.connect("/app/gaung-key").await.greeted().await;
    subscribe(&mut client, "cache-a").await;
    client.expect("pusher:cache_miss").await;
    let batch = json!({"batch": [event("cache-a", "one"), event("b", "one"), event("cache-a", "two")]});
    assert_eq!(post(&server, "/batch_events", &batch, Some(TRACEPARENT)).await, 200);
    client.expect("one").await;
    client.expect("two").await;
    let delivered = line("DEBUG", "event delivered", &json!({"channel": "cache-a", "sockets": 1}));
    check(
        &server,
        &[
            line("DEBUG", "event accepted", &json!({"event": "one", "channels": "cache-a b"})),
            line("DEBUG", "event accepted", &json!({"event": "two", "channels": "cache-a"})),
            delivered.clone(),
            delivered,
        ],
    );
}

#[actix::test]
async fn a_refusal_is_a_warning_with_its_reason_if_the_app_has_signed_the_request() {
    let server = serve(&[TOLD, JSON]);
    assert_eq!(post(&server, "/events", &json!({"name": "sensitive"}), Some(TRACEPARENT)).await, 400);
    assert_eq!(post_signed(&server, "wrong", "/events", &event("a", "e"), Some(TRACEPARENT)).await, 401);
    check(
        &server,
        &[
            line("WARN", "request refused", &json!({"reason": "event_invalid"})),
            line("DEBUG", "request refused", &json!({"reason": "unauthenticated"})),
        ],
    );
    assert!(!server.stderr().contains("sensitive"));
}

#[actix::test]
async fn without_a_trace_or_with_a_broken_one_nothing_is_told() {
    let server = serve(&[TOLD, JSON]);
    let mut client = server.connect("/app/gaung-key").await.greeted().await;
    subscribe(&mut client, "orders").await;
    let upper_case = TRACEPARENT.to_uppercase();
    for traceparent in [None, Some("00-0-0-01"), Some(&upper_case)] {
        assert_eq!(post(&server, "/events", &event("orders", "untold"), traceparent).await, 200);
        client.expect("untold").await;
        assert_eq!(post(&server, "/events", &json!({}), traceparent).await, 400);
    }
    assert_eq!(post(&server, "/events", &event("nobody", "told"), Some(TRACEPARENT)).await, 200);
    check(&server, &[line("DEBUG", "event accepted", &json!({"event": "told", "channels": "nobody"}))]);
}

#[actix::test]
async fn by_default_only_refusals_are_told() {
    let server = serve(&[JSON]);
    let mut client = server.connect("/app/gaung-key").await.greeted().await;
    subscribe(&mut client, "orders").await;
    assert_eq!(post(&server, "/events", &event("orders", "untold"), Some(TRACEPARENT)).await, 200);
    client.expect("untold").await;
    assert_eq!(post(&server, "/events", &json!({}), Some(TRACEPARENT)).await, 400);
    check(&server, &[line("WARN", "request refused", &json!({"reason": "event_invalid"}))]);
}

#[actix::test]
async fn lines_of_text_have_the_same_fields_and_stay_lines() {
    let server = serve(&[TOLD]);
    assert_eq!(post(&server, "/events", &event("nobody", "two\nlines"), Some(TRACEPARENT)).await, 200);
    let expected = format!(
        "DEBUG gaung::trace_log: event accepted trace_id={TRACE} span_id={SPAN} app=gaung event=\"two\\nlines\" channels=\"nobody\"\n"
    );
    server.wait_for("the line", || server.stderr().contains(&expected));
}
