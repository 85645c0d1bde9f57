//! What a plain tenant socket hears and may do, beside Pusher clients on the same channels.

use actix::spawn;
use awc::ws::{CloseCode, Frame, Message};
use gaung::config::{AppSettings, TenantAccess};
use serde_json::{Value, json};

use crate::harness::{Client, TestNode, start_configured};

/// A node that admits every tenant socket, to public channels.
pub async fn open_node(change: impl FnOnce(&mut AppSettings)) -> TestNode {
    start_configured(|config| config.tenant.access = TenantAccess::Open, change).await
}

/// A socket of tenant 7 that was greeted. `query` begins with `&` or is empty.
pub async fn tenant_socket(node: &TestNode, query: &str) -> Client {
    greeted(node.open(&format!("/ws?tenant_id=7{query}")).await).await
}

/// Takes the greeting, which tells the socket's id.
pub async fn greeted(mut client: Client) -> Client {
    let mut greeting = client.next().await;
    let id = greeting["socketId"].take();
    assert_eq!(greeting, json!({"type": "connected", "socketId": null}));
    client.id = id.as_str().expect("a socket id").to_owned();
    client
}

/// Subscribes to a channel that has no presence.
pub async fn subscribe(client: &mut Client, channel: &str) {
    client.send(json!({"type": "subscribe", "channel": channel})).await;
    client.expect_exactly(json!({"type": "subscribed", "channel": channel})).await;
}

/// The next message must be an error, and the socket must be usable after it.
pub async fn expect_error(client: &mut Client, code: u16, channel: Option<&str>, text: &str) {
    let mut expected = json!({"type": "error", "code": code, "message": text});
    if let Some(channel) = channel {
        expected["channel"] = channel.into();
    }
    client.expect_exactly(expected).await;
    expect_silence(client).await;
}

/// The server has nothing more to say: a ping's answer is the next message.
pub async fn expect_silence(client: &mut Client) {
    client.send(json!({"type": "ping"})).await;
    client.expect_text(r#"{"type":"pong"}"#).await;
}

#[actix::test]
async fn an_event_reaches_an_echo_client_and_a_tenant_socket_each_in_its_own_dialect() {
    let node = open_node(|_| {}).await;
    let (mut echo, mut tenant) = (node.connect().await, tenant_socket(&node, "&user_id=1").await);
    echo.subscribe("products.7").await;
    subscribe(&mut tenant, "products.7").await;
    node.publish("products.7", r"App\Events\Updated", r#"{"productId":"7","n":1.50,"u":"\u00e9\/"}"#).await;
    echo.expect_text(concat!(
        r#"{"event":"App\\Events\\Updated","channel":"products.7","#,
        r#""data":"{\"productId\":\"7\",\"n\":1.50,\"u\":\"\\u00e9\\/\"}"}"#
    ))
    .await;
    tenant
        .expect_text(concat!(
            r#"{"type":"App\\Events\\Updated","channel":"products.7","#,
            r#""data":{"productId":"7","n":1.50,"u":"\u00e9\/","tenantId":"7"}}"#
        ))
        .await;
}

#[actix::test]
async fn data_becomes_an_object_that_names_the_tenant() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    subscribe(&mut tenant, "products.7").await;
    for (data, expected) in [
        (r#"{"tenantId":"9","a":1}"#, r#"{"tenantId":"9","a":1}"#),
        (r#"{"a":{"tenantId":"9"}}"#, r#"{"a":{"tenantId":"9"},"tenantId":"7"}"#),
        ("[]", r#"{"tenantId":"7"}"#),
        ("[1]", r#"{"value":[1],"tenantId":"7"}"#),
        ("plain", r#"{"value":"plain","tenantId":"7"}"#),
    ] {
        node.publish("products.7", "e", data).await;
        tenant.expect_text(&format!(r#"{{"type":"e","channel":"products.7","data":{expected}}}"#)).await;
    }
}

#[actix::test]
async fn a_batch_arrives_in_its_order_in_both_dialects() {
    let node = open_node(|_| {}).await;
    let (mut echo, mut tenant) = (node.connect().await, tenant_socket(&node, "").await);
    for channel in ["a.7", "b.7"] {
        echo.subscribe(channel).await;
        subscribe(&mut tenant, channel).await;
    }
    let batch: Vec<_> = (0..10)
        .map(|n| json!({"name": format!("e{n}"), "channel": if n % 2 == 0 { "a.7" } else { "b.7" }, "data": "{}"}))
        .collect();
    assert_eq!(node.post("/batch_events", &json!({"batch": batch})).await, (200, json!({})));
    let expected = json!({"a.7": ["e0", "e2", "e4", "e6", "e8"], "b.7": ["e1", "e3", "e5", "e7", "e9"]});
    assert_eq!(names_by_channel(&mut echo, "event").await, expected);
    assert_eq!(names_by_channel(&mut tenant, "type").await, expected);
}

async fn names_by_channel(client: &mut Client, member: &str) -> Value {
    let mut names = json!({"a.7": [], "b.7": []});
    for _ in 0..10 {
        let message = client.next().await;
        let channel = message["channel"].as_str().expect("an event has a channel");
        names[channel].as_array_mut().expect("a known channel").push(message[member].clone());
    }
    names
}

#[actix::test]
async fn a_back_end_can_leave_a_tenant_socket_out_by_its_id() {
    let node = open_node(|_| {}).await;
    let (mut author, mut reader) = (tenant_socket(&node, "").await, tenant_socket(&node, "").await);
    for client in [&mut author, &mut reader] {
        subscribe(client, "products.7").await;
    }
    let event = json!({"name": "e", "channel": "products.7", "data": "{}", "socket_id": author.id});
    assert_eq!(node.post("/events", &event).await, (200, json!({})));
    reader.expect_text(r#"{"type":"e","channel":"products.7","data":{"tenantId":"7"}}"#).await;
    expect_silence(&mut author).await;
}

#[actix::test]
async fn answers_are_frames_without_data() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    for (question, answer) in [
        (r#"{"type":"ping"}"#, r#"{"type":"pong"}"#),
        (r#"{"type":"subscribe","channel":"products.7"}"#, r#"{"type":"subscribed","channel":"products.7"}"#),
        (r#"{"type":"unsubscribe","channel":"products.7"}"#, r#"{"type":"unsubscribed","channel":"products.7"}"#),
    ] {
        tenant.send_text(question).await;
        tenant.expect_text(answer).await;
    }
}

#[actix::test]
async fn unsubscribing_ends_the_events_and_subscribing_again_resumes_them() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    subscribe(&mut tenant, "products.7").await;
    tenant.send(json!({"type": "unsubscribe", "channel": "products.7"})).await;
    tenant.expect_exactly(json!({"type": "unsubscribed", "channel": "products.7"})).await;
    node.publish("products.7", "missed", "{}").await;
    subscribe(&mut tenant, "products.7").await;
    node.publish("products.7", "heard", "{}").await;
    assert_eq!(tenant.next().await["type"], "heard");
}

#[actix::test]
async fn a_channel_of_another_tenant_is_refused_and_the_socket_stays() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    let refusal = "the channel is not tenant 7's: those are *.{tenant}.** (GAUNG_TENANT_CHANNELS)";
    for channel in
        ["products.8", "products.77", "products", "7.orders", "orders.43.7", "private-products.8", "#server-to-user-7"]
    {
        tenant.send(json!({"type": "subscribe", "channel": channel})).await;
        expect_error(&mut tenant, 403, Some(channel), refusal).await;
    }
    node.publish("products.8", "secret", "{}").await;
    for channel in ["products.7", "a.7.b", "a.7.43", "cache-products.7"] {
        subscribe(&mut tenant, channel).await;
    }
    expect_silence(&mut tenant).await;
}

#[actix::test]
async fn an_open_socket_hears_public_channels_only_and_its_user_id_proves_nothing() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "&user_id=1").await;
    for channel in ["private-orders.7", "private-encrypted-orders.7", "private-cache-a.7", "presence-room.7"] {
        tenant.send(json!({"type": "subscribe", "channel": channel})).await;
        let refusal = "a private or presence channel needs a token whose claim channels names it";
        expect_error(&mut tenant, 403, Some(channel), refusal).await;
    }
}

#[actix::test]
async fn a_message_that_makes_no_sense_is_answered_and_the_socket_stays() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    for (message, refusal) in [
        ("", "the message is not a JSON object"),
        ("[]", "the message is not a JSON object"),
        ("{}", "the message has no string member \"type\""),
        (r#"{"type":"subscribe"}"#, "the message has no string member \"channel\""),
        (
            r#"{"type":"publish"}"#,
            "the message type \"publish\" is unknown; known are ping, pong, subscribe, unsubscribe and token",
        ),
    ] {
        tenant.send_text(message).await;
        expect_error(&mut tenant, 400, None, refusal).await;
    }
    tenant.send(json!({"type": "subscribe", "channel": "a b.7"})).await;
    assert_eq!(tenant.next().await["code"], 400);
    expect_silence(&mut tenant).await;
}

#[actix::test]
async fn messages_over_the_rate_are_refused_with_the_setting_and_the_socket_stays() {
    let node = start_configured(
        |config| {
            config.tenant.access = TenantAccess::Open;
            config.tenant.messages_per_second = 1;
        },
        |_| {},
    )
    .await;
    let mut tenant = tenant_socket(&node, "").await;
    for _ in 0..50 {
        tenant.send(json!({"type": "ping"})).await;
    }
    let text = "the socket sent more than 1 messages a second (GAUNG_TENANT_MESSAGES_PER_SECOND)";
    let refusal = json!({"type": "error", "code": 429, "message": text});
    assert_eq!(tenant.next().await, json!({"type": "pong"}));
    let mut refused = 0;
    for _ in 1..50 {
        let answer = tenant.next().await;
        refused += usize::from(answer == refusal);
        assert!(answer == refusal || answer == json!({"type": "pong"}), "{answer}");
    }
    assert!(refused > 0);
}

#[actix::test]
async fn subscriptions_over_the_limit_are_refused_with_the_setting() {
    let node = open_node(|app| app.max_subscriptions = 1).await;
    let mut tenant = tenant_socket(&node, "").await;
    subscribe(&mut tenant, "a.7").await;
    tenant.send(json!({"type": "subscribe", "channel": "b.7"})).await;
    let refusal = "the socket has 1 subscriptions already (app setting max_subscriptions)";
    expect_error(&mut tenant, 429, Some("b.7"), refusal).await;
    subscribe(&mut tenant, "a.7").await;
    tenant.send(json!({"type": "unsubscribe", "channel": "a.7"})).await;
    tenant.expect_exactly(json!({"type": "unsubscribed", "channel": "a.7"})).await;
    subscribe(&mut tenant, "b.7").await;
}

#[actix::test]
async fn a_message_over_the_size_limit_closes_with_the_setting() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    tenant.send(json!({"type": "ping", "x": "x".repeat(65_536)})).await;
    let expected = (1009, "message exceeds the node's limit (GAUNG_MAX_FRAME_BYTES)".to_owned());
    assert_eq!(tenant.expect_close().await, expected);
}

#[actix::test]
async fn a_client_that_closes_with_1000_is_answered_with_1000() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    tenant.send_raw(Message::Close(Some(CloseCode::Normal.into()))).await;
    assert_eq!(tenant.expect_close().await.0, 1000);
}

#[actix::test]
async fn a_node_that_goes_closes_tenant_sockets_with_1001() {
    let node = open_node(|_| {}).await;
    let mut tenant = tenant_socket(&node, "").await;
    let stopped = spawn(node.node.stop());
    match tenant.next_frame().await {
        Frame::Close(Some(reason)) => assert_eq!(u16::from(reason.code), 1001),
        frame => panic!("expected a close frame alone, got {frame:?}"),
    }
    drop(tenant);
    stopped.await.expect("the node stops");
}
