//! Sessions over the HTTP transports of pusher-js: what sockets do they do, in lines.

use std::time::Duration;

use futures_util::future::poll_fn;
use gaung::{
    config::{AppSettings, Config, HistoryRules},
    protocol::signature::sign_channel,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    common::xhr::{Lines, XhrClient},
    harness::{PATIENCE, TestNode, eventually, key, start, start_configured},
    tls::Folder,
};

const APP: &str = "/app/app-key";

pub fn client(node: &TestNode, socket: &str) -> XhrClient {
    XhrClient::new(node.node.public, socket)
}

/// A session with a stream, behind its greeting.
async fn streaming(node: &TestNode) -> (XhrClient, Lines, String) {
    let mut client = client(node, APP);
    let (lines, id) = client.open().await;
    (client, lines, id)
}

pub fn subscribe(channel: &str) -> Value {
    json!({"event": "pusher:subscribe", "data": {"channel": channel}})
}

async fn subscribed(client: &mut XhrClient, lines: &mut Lines, channel: &str) {
    client.send(subscribe(channel)).await;
    let succeeded = json!({"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"});
    assert_eq!(lines.message().await, succeeded);
}

#[actix::test]
async fn a_stream_hears_what_a_socket_hears_and_counts_like_one() {
    let node = start(|_| {}).await;
    let mut socket = node.connect().await;
    socket.subscribe("products.7").await;
    let (mut client, mut lines, _) = streaming(&node).await;
    for (name, expected) in [
        ("content-type", Some("application/javascript; charset=utf-8")),
        ("cache-control", Some("no-store")),
        ("x-accel-buffering", Some("no")),
        ("transfer-encoding", Some("chunked")),
        ("connection", Some("close")),
        ("access-control-allow-origin", None),
    ] {
        assert_eq!(lines.answer.header(name), expected, "{}", lines.answer.head);
    }
    subscribed(&mut client, &mut lines, "products.7").await;
    assert_eq!(node.connections().await, 2);
    node.publish("products.7", "product.updated", "{\"name\": \"Größe \\\"XL\\\"\\n😀\"}").await;
    let event = socket.next().await;
    assert_eq!(lines.message().await, event);
    client.send(json!({"event": "pusher:ping", "data": {}})).await;
    assert_eq!(lines.message().await, json!({"event": "pusher:pong", "data": "{}"}));
    drop(lines);
    eventually("the session is gone", || async { node.connections().await == 1 }).await;
    assert_eq!(node.counted().closes("lost"), 1);
    assert_eq!(client.send_as(9, "[]").await.status(), 404);
}

#[actix::test]
async fn private_and_presence_channels_client_events_and_sign_in_work() {
    let node = start(|app| app.client_events = true).await;
    let mut ada = node.connect().await;
    ada.join("presence-team", r#"{"user_id":"ada"}"#).await;
    let (mut client, mut lines, id) = streaming(&node).await;
    let data = r#"{"user_id":"bob"}"#;
    let auth = sign_channel(&key(), id.parse().expect("a socket id"), "presence-team", Some(data));
    let join = json!({"auth": auth, "channel": "presence-team", "channel_data": data});
    client.send(json!({"event": "pusher:subscribe", "data": join})).await;
    let joined = lines.expect("pusher_internal:subscription_succeeded").await;
    assert!(joined["data"].as_str().is_some_and(|data| data.contains("ada") && data.contains("bob")), "{joined}");
    assert_eq!(ada.expect("pusher_internal:member_added").await["channel"], "presence-team");
    client.send(json!({"event": "client-typing", "channel": "presence-team", "data": {"a": 1}})).await;
    assert_eq!(ada.expect("client-typing").await["user_id"], "bob");
    ada.send(json!({"event": "client-typing", "channel": "presence-team", "data": {"a": 2}})).await;
    assert_eq!(lines.expect("client-typing").await["user_id"], "ada");
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": "app-key:00"}})).await;
    assert_eq!(lines.message().await["event"], "pusher:subscription_error");
    drop(lines);
    assert_eq!(ada.expect("pusher_internal:member_removed").await["channel"], "presence-team");
}

#[actix::test]
async fn a_poll_ends_with_what_there_is_and_the_next_goes_on() {
    let node = start(|_| {}).await;
    let mut client = client(&node, APP);
    let mut poll = client.receive("xhr").await;
    assert_eq!((poll.answer.status(), poll.answer.header("connection")), (200, None));
    assert_eq!(poll.next().await.as_deref(), Some("o{}"));
    poll.expect("pusher:connection_established").await;
    assert_eq!(poll.next().await, None);
    client.send(subscribe("products.7")).await;
    let mut poll = client.receive("xhr").await;
    poll.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!(poll.next().await, None);
    for name in ["a", "b"] {
        node.publish("products.7", name, "{}").await;
    }
    let mut poll = client.receive("xhr").await;
    for name in ["a", "b"] {
        poll.expect(name).await;
    }
    assert_eq!((poll.next().await, node.connections().await), (None, 1));
}

#[actix::test]
async fn a_stream_ends_behind_the_line_that_makes_it_full_and_the_next_loses_nothing() {
    let node = start(|_| {}).await;
    let (mut client, mut lines, _) = streaming(&node).await;
    subscribed(&mut client, &mut lines, "products.7").await;
    // Three bytes a unit: who counted bytes would end too early.
    let data = "語".repeat(3_000);
    let (mut without_last, mut streams) = (0, 1);
    for number in 0..300 {
        if number % 20 == 0 {
            for number in number..number + 20 {
                node.publish("products.7", &format!("e{number}"), &data).await;
            }
        }
        let before = lines.units;
        let mut line = lines.next().await;
        if line.is_none() {
            assert!(lines.units > 262_144 && without_last <= 262_144, "{without_last} {}", lines.units);
            streams += 1;
            lines = client.receive("xhr_streaming").await;
            lines.expect_padding().await;
            line = lines.next().await;
        }
        without_last = if before < lines.units { before } else { 0 };
        assert!(line.is_some_and(|line| line.contains(&format!("\\\"e{number}\\\""))), "{number}");
    }
    assert_eq!((streams, node.connections().await), (4, 1));
}

#[actix::test]
async fn requests_are_heard_in_the_order_of_their_numbers() {
    let node = start(|app| app.client_events = true).await;
    let mut other = node.connect().await;
    other.subscribe_private("private-a").await;
    let (mut client, mut lines, id) = streaming(&node).await;
    let auth = sign_channel(&key(), id.parse().expect("a socket id"), "private-a", None);
    client.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": "private-a"}})).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
    let body = |number: u64| {
        json!([json!({"event": "client-e", "channel": "private-a", "data": number}).to_string()]).to_string()
    };
    let first = client.number + 1;
    for number in [first + 2, first + 1, first, first + 4, first + 3] {
        assert_eq!(client.send_as(number, &body(number)).await.status(), 204);
    }
    for number in first..first + 5 {
        assert_eq!(other.expect("client-e").await["data"], number.to_string());
    }
}

#[actix::test]
async fn a_question_for_a_sign_of_life_is_answered_by_a_line_that_nobody_answers() {
    let node = start(|_| {}).await;
    let (client, mut lines, _) = streaming(&node).await;
    assert_eq!(client.send_as(2, "[]").await.status(), 204);
    assert_eq!(lines.next().await.as_deref(), Some(" "));
}

#[actix::test]
async fn a_close_is_a_line_with_the_codes_of_sockets() {
    let node = start(|_| {}).await;
    for (path, code, text) in [
        ("/app/no-such-key", 4001, "Application does not exist; its key has 11 characters"),
        ("/app/app-key/bad~id", 4014, ""),
    ] {
        let mut lines = client(&node, path).receive("xhr_streaming").await;
        lines.expect_padding().await;
        assert_eq!(lines.next().await.as_deref(), Some("o{}"));
        let error = lines.expect("pusher:error").await;
        assert_eq!(error["data"]["code"], code);
        assert!(error["data"]["message"].as_str().is_some_and(|told| told.starts_with(text)), "{error}");
        assert_eq!(lines.expect_close().await.0, code);
    }
    let (mut client, mut lines, _) = streaming(&node).await;
    client.send(subscribe("products.7")).await;
    lines.message().await;
    let stopped = actix::spawn(node.node.stop());
    lines.expect("pusher:error").await;
    assert_eq!(lines.expect_close().await, (4200, "Server shutting down; reconnect".to_owned()));
    drop(client);
    stopped.await.expect("the node stops");
}

#[actix::test]
async fn a_close_waits_for_the_next_poll() {
    let node = start(|_| {}).await;
    let mut client = client(&node, APP);
    let mut poll = client.receive("xhr").await;
    while poll.next().await.is_some() {}
    let message = json!([json!({"event": "pusher:x", "data": "x".repeat(70_000)}).to_string()]).to_string();
    assert_eq!(client.send_as(2, &message).await.status(), 204);
    let mut poll = client.receive("xhr").await;
    assert_eq!(poll.expect_close().await.0, 1009);
    eventually("the session is gone", || async { node.connections().await == 0 }).await;
}

#[actix::test]
async fn paths_may_have_a_prefix_and_the_one_that_clients_put_before_it() {
    let node = start_configured(|config| config.server.path_prefix = "/rt".to_owned(), |_| {}).await;
    for path in ["/rt/app/app-key", "/rt/pusher/app/app-key", "/rt/app/app-key/0123456789abcdef"] {
        let (lines, _) = client(&node, path).open().await;
        drop(lines);
    }
    for path in ["/app/app-key", "/pusher/app/app-key", "/rt/rt/app/app-key", "/rt/x"] {
        assert_eq!(client(&node, path).ask("POST", "xhr", "").await.status(), 404, "{path}");
    }
}

#[actix::test]
async fn a_page_that_names_itself_hears_what_it_missed() {
    let configure = |config: &mut Config| config.pages.doubt = Duration::ZERO;
    let history = |app: &mut AppSettings| app.history = HistoryRules::parse("products.*=60s:100").expect("a rule");
    let node = start_configured(configure, history).await;
    let path = "/app/app-key/0123456789abcdef";
    let mut page = client(&node, path);
    let (mut lines, id) = page.open().await;
    page.send(subscribe("products.7")).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
    node.publish("products.7", "a", "{}").await;
    lines.expect("a").await;
    page.send(json!({"event": "pusher:pong", "data": {}})).await;
    drop(lines);
    node.publish("products.7", "b", "{}").await;
    let mut page = client(&node, path);
    let (mut lines, same) = page.open().await;
    assert_eq!(same, id);
    page.send(subscribe("products.7")).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
    let replayed = lines.until("pusher:resumed").await;
    assert!(replayed.contains(&"b".to_owned()), "{replayed:?}");
}

#[actix::test]
async fn stream_and_requests_share_a_connection_of_http_2() {
    let folder = Folder::new("xhr-2");
    let node = folder.start_configured(|_| {}).await;
    let (mut requests, connection) =
        h2::client::handshake(folder.speak_http_2(node.node.public).await).await.expect("HTTP/2");
    let connection = actix::spawn(connection);
    let mut ask = async |act: &str, body: &str| {
        let address = format!("https://localhost/pusher/app/app-key/7/abcdefgh/{act}");
        let request = http::Request::post(address).body(()).expect("a request");
        poll_fn(|ctx| requests.poll_ready(ctx)).await.expect("room for a stream");
        let (answer, mut stream) = requests.send_request(request, false).expect("a stream");
        stream.send_data(body.to_owned().into(), true).expect("a body");
        timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
    };
    let mut lines = ask("xhr_streaming?protocol=7&n=1", "").await.into_body();
    until(&mut lines, "connection_established").await;
    let message = json!([subscribe("products.7").to_string()]).to_string();
    assert_eq!(ask("xhr_send?n=2", &message).await.status(), 204);
    until(&mut lines, "subscription_succeeded").await;
    drop(lines);
    connection.abort();
    eventually("the session is gone", || async { node.counted().closes("lost") == 1 }).await;
}

async fn until(body: &mut h2::RecvStream, what: &str) {
    let mut heard = String::new();
    while !heard.contains(what) {
        let part = timeout(PATIENCE, body.data()).await.expect("a part in time").expect("the stream is open");
        let part = part.expect("it is whole");
        body.flow_control().release_capacity(part.len()).expect("it was received");
        heard.push_str(str::from_utf8(&part).expect("text"));
    }
}
