//! Streams of server-sent events: what their clients hear, and that they come back without a line of code.

use std::time::Duration;

use gaung::config::{AppSettings, HistoryRules, TenantAccess};
use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    event_stream::{EventStream, Received},
    harness::{TestNode, eventually, start_configured},
    tenant::{open_node, subscribe, tenant_socket},
};

fn history(settings: &mut AppSettings) {
    settings.history = HistoryRules::parse("products.*=60s:3,orders.*=60s:3").unwrap();
}

/// A stream of one channel that has no history, behind its greeting and the answer to its subscription.
async fn subscribed(node: &TestNode, channel: &str) -> EventStream<TcpStream> {
    let mut stream = EventStream::greeted(node, &format!("channels={channel}")).await;
    assert_eq!(stream.json().await, json!({"type": "subscribed", "channel": channel}));
    stream
}

#[actix::test]
async fn a_stream_says_what_a_plain_socket_says_and_counts_like_one() {
    let node = open_node(|_| {}).await;
    let mut socket = tenant_socket(&node, "").await;
    subscribe(&mut socket, "products.7").await;
    let mut stream = subscribed(&node, "products.7").await;
    for (name, expected) in [
        ("cache-control", Some("no-store")),
        ("x-accel-buffering", Some("no")),
        ("transfer-encoding", Some("chunked")),
        ("connection", Some("close")),
        ("access-control-allow-origin", None),
    ] {
        assert_eq!(stream.header(name), expected, "{}", stream.head);
    }
    assert_eq!(node.connections().await, 2);
    node.publish("products.7", "product.updated", r#"{"productId":"7"}"#).await;
    let expected =
        json!({"type": "product.updated", "channel": "products.7", "data": {"productId": "7", "tenantId": "7"}});
    assert_eq!(stream.json().await, expected);
    socket.expect_exactly(expected).await;
    drop(stream);
    eventually("the stream is gone", || async { node.connections().await == 1 }).await;
    let (_, channel) = node.get("/channels/products.7", &[("info", "subscription_count")]).await;
    assert_eq!(channel["subscription_count"], 1);
    assert_eq!(node.counted().closes("lost"), 1);
}

#[actix::test]
async fn line_ends_in_what_was_published_end_no_message() {
    let node = open_node(|_| {}).await;
    let mut stream = subscribed(&node, "products.7").await;
    node.publish("products.7", "lines", "{\n\n\"text\": \"a\\nb\",\r\n\"more\":\r1\n}").await;
    node.publish("products.7", "text", "data: x\n\nid: y\n\n").await;
    assert_eq!(stream.json().await["data"], json!({"text": "a\nb", "more": 1, "tenantId": "7"}));
    let message = stream.next().await.expect("a message");
    assert_eq!(message.id, None);
    let text: serde_json::Value = serde_json::from_str(&message.data.expect("some text")).expect("JSON");
    assert_eq!(text["data"]["value"], "data: x\n\nid: y\n\n");
}

#[actix::test]
async fn the_id_covers_all_channels_and_whoever_comes_back_with_it_hears_the_rest_once() {
    let node = open_node(history).await;
    let mut stream = EventStream::greeted(&node, "channels=orders.7,products.7").await;
    for _ in 0..2 {
        assert_eq!(stream.with_id().await.0["type"], "subscribed");
    }
    node.publish("products.7", "a", "{}").await;
    stream.with_id().await;
    node.publish("orders.7", "b", "{}").await;
    let (heard, id) = stream.with_id().await;
    assert_eq!(heard["type"], "b");
    assert!(id.starts_with("orders.7:") || id.contains(" orders.7:"), "{id}");
    assert!(id.starts_with("products.7:") || id.contains(" products.7:"), "{id}");
    drop(stream);
    for (channel, name) in [("products.7", "c"), ("orders.7", "d"), ("products.7", "e")] {
        node.publish(channel, name, "{}").await;
    }
    let headers = format!("Last-Event-ID: {id}\r\n");
    let mut again = EventStream::greeted_with(&node, "channels=orders.7,products.7", &headers).await;
    let mut heard = Vec::new();
    while heard.len() < 5 {
        let message = again.json().await;
        match message["type"].as_str().expect("a type") {
            "subscribed" => heard.push(format!("{} {}", message["channel"], message["recovered"])),
            name => heard.push(name.to_owned()),
        }
    }
    heard.sort_unstable();
    assert_eq!(heard, ["\"orders.7\" true", "\"products.7\" true", "c", "d", "e"]);
    node.publish("products.7", "live", "{}").await;
    assert_eq!(again.json().await["type"], "live");
}

#[actix::test]
async fn the_position_may_stand_in_the_query() {
    let node = open_node(history).await;
    let mut stream = EventStream::greeted(&node, "channels=products.7").await;
    let (_, id) = stream.with_id().await;
    drop(stream);
    node.publish("products.7", "a", "{}").await;
    for parameter in ["since", "last_event_id"] {
        let mut again = EventStream::greeted(&node, &format!("channels=products.7&{parameter}={id}")).await;
        assert_eq!(again.json().await["recovered"], true);
        assert_eq!(again.json().await["type"], "a");
    }
}

#[actix::test]
async fn what_cannot_be_replayed_whole_is_told_and_the_position_begins_anew() {
    let node = open_node(history).await;
    let mut stream = EventStream::greeted(&node, "channels=products.7").await;
    let (_, id) = stream.with_id().await;
    drop(stream);
    for name in ["a", "b", "c", "d"] {
        node.publish("products.7", name, "{}").await;
    }
    for told in [id.as_str(), "nonsense"] {
        let headers = format!("Last-Event-ID: {told}\r\n");
        let mut again = EventStream::greeted_with(&node, "channels=products.7", &headers).await;
        let (answer, fresh) = again.with_id().await;
        assert_eq!(answer["recovered"], false, "{told}");
        drop(again);
        let headers = format!("Last-Event-ID: {fresh}\r\n");
        let mut third = EventStream::greeted_with(&node, "channels=products.7", &headers).await;
        assert_eq!(third.json().await["recovered"], true);
    }
}

#[actix::test]
async fn a_quiet_stream_is_sent_comments() {
    let configure = |config: &mut gaung::config::Config| {
        config.tenant.access = TenantAccess::Open;
        config.tenant.heartbeat = Duration::from_millis(100);
        // Neither is meant for a stream on which something comes.
        config.http.answer_timeout = Duration::from_secs(1);
        config.http.keep_alive = Duration::from_secs(1);
        config.limits.handshake_timeout = Duration::from_secs(1);
        config.limits.ping_interval = Duration::from_millis(100);
        config.limits.pong_timeout = Duration::from_millis(100);
    };
    let node = start_configured(configure, |_| {}).await;
    let mut stream = subscribed(&node, "products.7").await;
    for _ in 0..25 {
        assert_eq!(stream.next().await, Some(Received { is_comment: true, ..Received::default() }));
    }
    node.publish("products.7", "a", "{}").await;
    assert_eq!(stream.json().await["type"], "a");
}

#[actix::test]
async fn members_of_a_presence_channel_are_told_of_a_stream_like_of_a_socket() {
    let node = start_configured(|config| config.tenant.access = TenantAccess::Token, |_| {}).await;
    let token = |user: &str| crate::tenant_access::token(json!({"user_id": user, "channels": ["presence-room.7"]}));
    let query = |user| format!("channels=presence-room.7&user_id={user}&token={}", token(user));
    let mut first = EventStream::greeted(&node, &query("1")).await;
    assert_eq!(first.json().await["type"], "subscribed");
    assert_eq!(first.json().await["members"], json!([{"id": "1", "info": {}}]));
    let second = EventStream::greeted(&node, &query("2")).await;
    assert_eq!(
        first.json().await,
        json!({"type": "member_added", "channel": "presence-room.7", "id": "2", "info": {}})
    );
    drop(second);
    assert_eq!(first.json().await, json!({"type": "member_removed", "channel": "presence-room.7", "id": "2"}));
}
