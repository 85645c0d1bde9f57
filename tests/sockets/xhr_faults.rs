//! Whatever is wrong with a request of an HTTP transport is told, and costs nobody else anything.

use serde_json::{Value, json};

use crate::{
    common::xhr::XhrClient,
    harness::{eventually, start, start_configured},
    xhr::{client, subscribe},
};

const APP: &str = "/app/app-key";

async fn error(client: &XhrClient, number: u64, body: &str) -> (u16, String) {
    let mut answer = client.send_as(number, body).await;
    let body: Value = answer.body().await;
    assert_eq!(body["code"], answer.status());
    (answer.status(), body["error"].as_str().expect("a text").to_owned())
}

#[actix::test]
async fn a_body_that_holds_no_messages_is_told_and_the_session_stays() {
    let node = start(|_| {}).await;
    let mut client = client(&node, APP);
    let (mut lines, _) = client.open().await;
    for body in ["", "{}", "[1]", "\"x\"", "[\"x\""] {
        client.number += 1;
        let (status, text) = error(&client, client.number, body).await;
        assert_eq!(status, 400);
        assert!(text.starts_with("the body must be a JSON array of strings"), "{text}");
    }
    client.send(subscribe("products.7")).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!(node.counted().refusals("send_invalid"), 5);
}

#[actix::test]
async fn a_body_that_is_too_long_closes_its_session_as_a_message_would() {
    let node = start(|_| {}).await;
    let mut client = client(&node, APP);
    let (mut lines, _) = client.open().await;
    let (status, text) = error(&client, 2, &json!(["x".repeat(200_000)]).to_string()).await;
    assert_eq!(status, 413);
    assert!(text.contains("GAUNG_MAX_FRAME_BYTES"), "{text}");
    assert_eq!(lines.expect_close().await.0, 1009);
}

#[actix::test]
async fn what_is_sent_to_no_session_is_refused_unread() {
    let node = start(|_| {}).await;
    let (status, text) = error(&client(&node, APP), 1, &"x".repeat(100)).await;
    assert_eq!((status, text.as_str()), (404, "no node has this session; open another one"));
    assert_eq!(node.counted().refusals("session_unknown"), 1);
}

#[actix::test]
async fn other_methods_and_other_paths_are_told_what_is_there() {
    let node = start(|_| {}).await;
    let client = client(&node, APP);
    for (method, act, status) in
        [("GET", "xhr_streaming", 405), ("PUT", "xhr_send", 405), ("POST", "xhr_more", 404), ("POST", "websocket", 404)]
    {
        assert_eq!(client.ask(method, act, "").await.status(), status, "{method} {act}");
    }
    assert_eq!(node.connections().await, 0);
}

#[actix::test]
async fn an_app_may_serve_no_http_transports() {
    let node = start(|app| app.http_transports = false).await;
    let mut answer = client(&node, APP).ask("POST", "xhr_streaming?n=1", "").await;
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.body().await["error"], "the app serves no HTTP transports (app setting http_transports)");
    assert_eq!(node.counted().refusals("http_transports_off"), 1);
}

#[actix::test]
async fn pages_of_the_app_s_origins_may_read_the_answers_and_no_others() {
    let node = start(|app| app.allowed_origins = vec!["shop.test".to_owned()]).await;
    let mut client = client(&node, APP);
    for (origin, allowed) in [("https://shop.test", Some("https://shop.test")), ("https://evil.test", None)] {
        client.headers = format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
        );
        let preflight = client.ask("OPTIONS", "xhr_streaming?n=1", "").await;
        assert_eq!(preflight.status(), 204);
        assert_eq!(preflight.header("access-control-allow-origin"), allowed);
        assert_eq!(preflight.header("access-control-allow-headers"), allowed.map(|_| "content-type"));
        client.headers = format!("Origin: {origin}\r\n");
        let mut lines = client.receive("xhr_streaming").await;
        assert_eq!(lines.answer.header("access-control-allow-origin"), allowed);
        assert!(lines.answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{}", lines.answer.head);
        lines.expect_padding().await;
        assert_eq!(lines.next().await.as_deref(), Some("o{}"));
        match allowed {
            Some(_) => assert_eq!(lines.message().await["event"], "pusher:connection_established"),
            None => assert_eq!(lines.expect_close().await.0, 4009),
        }
    }
    assert_eq!(node.counted().refusals("origin_refused"), 1);
}

#[actix::test]
async fn limits_of_sockets_hold_and_are_given_back() {
    let node = start(|app| app.max_connections = Some(1)).await;
    let mut one = client(&node, APP);
    let (lines, _) = one.open().await;
    let mut refused = client(&node, APP).receive("xhr").await;
    assert_eq!(refused.next().await.as_deref(), Some("o{}"));
    assert_eq!(refused.expect_close().await.0, 4004);
    drop(lines);
    eventually("the place is free", || async { node.connections().await == 0 }).await;
    client(&node, APP).open().await;
}

#[actix::test]
async fn another_answer_of_a_session_ends_the_one_before() {
    let node = start(|_| {}).await;
    let mut client = client(&node, APP);
    let (mut first, _) = client.open().await;
    let mut second = client.receive("xhr_streaming").await;
    second.expect_padding().await;
    assert_eq!(first.next().await, None);
    client.send(subscribe("products.7")).await;
    second.expect("pusher_internal:subscription_succeeded").await;
    for _ in 0..20 {
        let mut next = client.receive("xhr_streaming").await;
        next.expect_padding().await;
        assert_eq!(second.next().await, None);
        second = next;
    }
    assert_eq!(node.connections().await, 1);
}

#[actix::test]
async fn a_client_that_reads_nothing_is_closed_and_the_others_hear_everything() {
    let node = start_configured(|config| config.limits.max_outbox_bytes = 65_536, |_| {}).await;
    let mut reader = node.connect().await;
    reader.subscribe("feed").await;
    let mut client = client(&node, APP);
    let (mut lines, _) = client.open().await;
    client.send(subscribe("feed")).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
    let data = json!({"x": "x".repeat(10_000)}).to_string();
    for number in 0..10_000 {
        let name = format!("e{number}");
        node.publish("feed", &name, &data).await;
        reader.expect_exactly(json!({"event": name, "channel": "feed", "data": data})).await;
        let (_, channel) = node.get("/channels/feed", &[("info", "subscription_count")]).await;
        if channel["subscription_count"] == 1 {
            break;
        }
    }
    // It is kept for a while, so that its client can be told.
    eventually("it is counted", || async { node.counted().slow_consumers() == 1 }).await;
    assert_eq!(node.counted().closes("slow_consumer"), 1);
}

#[actix::test]
async fn a_session_whose_client_sends_faster_than_it_may_is_heard_at_its_rate_without_loss() {
    let node = start(|app| {
        app.max_subscriptions = 1;
        app.messages_per_second = Some(100);
    })
    .await;
    let mut client = client(&node, APP);
    let (mut lines, _) = client.open().await;
    let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
    let messages = json!(vec![ping; 120]).to_string();
    assert_eq!(client.send_as(2, &messages).await.status(), 204);
    for _ in 0..120 {
        lines.expect("pusher:pong").await;
    }
    assert!(node.node.metrics.reading_pauses.with_label_values(&["rate"]).get() > 0);
}
