//! Channels by the sign-in alone, whose user data names them: protocol.md §1.12.

use std::time::Duration;

use gaung::{
    config::{AppSettings, HistoryRules},
    protocol::signature::sign_user,
};
use serde_json::{Value, json};

use crate::harness::{Client, TestNode, eventually, inner, key, start, start_configured};

const ADA: &str = r#"{"id":"42","user_info":{"name":"Ada"},"channels":["private-orders.*","presence-room"]}"#;

/// Asks for a channel with this `auth`; the answer is the test's.
async fn ask(client: &mut Client, channel: &str, auth: Value) {
    client.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": channel}})).await;
}

async fn subscribe_by_sign_in(client: &mut Client, channel: &str) -> Value {
    ask(client, channel, json!("signin")).await;
    let success = client.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!(success["channel"], channel);
    success
}

/// The text of the refusal, which is sent twice.
async fn refusal(client: &mut Client, channel: &str) -> String {
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!((&error["channel"], &inner(&error)["status"]), (&json!(channel), &json!(401)));
    let again = client.expect("pusher:error").await;
    assert_eq!((&again["channel"], &again["data"]["code"]), (&json!(channel), &json!(4009)));
    let text = inner(&error)["error"].as_str().expect("a text").to_owned();
    text.strip_prefix("Connection is unauthorized: ").expect("it says so").to_owned()
}

async fn signed_in(client: &mut Client, user_data: &str) {
    client.sign_in(user_data).await;
    client.expect("pusher:signin_success").await;
}

/// The next events with their channels, sorted: rooms answer side by side.
async fn next_events<const COUNT: usize>(client: &mut Client) -> [(String, String); COUNT] {
    let mut events = [(); COUNT].map(|()| Default::default());
    for event in &mut events {
        let message = client.next().await;
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        *event = (text("event"), text("channel"));
    }
    events.sort();
    events
}

fn succeeded(channel: &str) -> (String, String) {
    ("pusher_internal:subscription_succeeded".to_owned(), channel.to_owned())
}

fn signed_in_event() -> (String, String) {
    ("pusher:signin_success".to_owned(), String::new())
}

async fn connected() -> (TestNode, Client) {
    connected_with(|_| {}).await
}

async fn connected_with(change: impl FnOnce(&mut AppSettings)) -> (TestNode, Client) {
    let node = start(change).await;
    let client = node.connect().await;
    (node, client)
}

#[actix::test]
async fn channels_that_the_sign_in_names_need_no_signature() {
    let (node, mut client) = connected().await;
    signed_in(&mut client, ADA).await;
    subscribe_by_sign_in(&mut client, "private-orders.7").await;
    ask(&mut client, "private-orders.8", json!("")).await;
    client.expect("pusher_internal:subscription_succeeded").await;
    node.publish("private-orders.8", "paid", "{}").await;
    assert_eq!(client.expect("paid").await["channel"], "private-orders.8");
}

#[actix::test]
async fn a_presence_channel_takes_id_and_info_from_the_signed_user_data() {
    let (_node, mut client) = connected().await;
    signed_in(&mut client, ADA).await;
    let success = subscribe_by_sign_in(&mut client, "presence-room").await;
    assert_eq!(inner(&success)["presence"]["hash"], json!({"42": {"name": "Ada"}}));
}

#[actix::test]
async fn channels_that_the_sign_in_does_not_name_are_refused_unless_they_are_signed() {
    let (node, mut client) = connected().await;
    signed_in(&mut client, ADA).await;
    for channel in ["private-orders", "private-orders.7.lines", "presence-orders.7", "private-room"] {
        ask(&mut client, channel, json!("signin")).await;
        let text = "the user_data of the sign-in does not name the channel";
        assert_eq!(refusal(&mut client, channel).await, text);
    }
    ask(&mut client, "private-room", Value::Null).await;
    assert_eq!(refusal(&mut client, "private-room").await, "the subscription has no auth");
    client.subscribe_private("private-room").await;
    assert_eq!((node.counted().refusals("subscription"), node.counted().auth_failures("channel")), (5, 0));
}

#[actix::test]
async fn a_wrong_signature_is_refused_although_the_sign_in_names_the_channel() {
    let (node, mut client) = connected().await;
    signed_in(&mut client, ADA).await;
    ask(&mut client, "private-orders.7", json!(format!("app-key:{}", "0".repeat(64)))).await;
    refusal(&mut client, "private-orders.7").await;
    assert_eq!(node.counted().auth_failures("channel"), 1);
}

#[actix::test]
async fn a_subscription_by_sign_in_waits_for_it() {
    let (_node, mut client) = connected().await;
    for channel in ["private-orders.7", "presence-room", "private-room"] {
        ask(&mut client, channel, json!("signin")).await;
    }
    client.expect_silence().await;
    client.subscribe("lobby").await;
    client.sign_in(ADA).await;
    let refused =
        ["pusher:error", "pusher:subscription_error"].map(|event| (event.to_owned(), "private-room".to_owned()));
    let joined = [signed_in_event(), succeeded("presence-room"), succeeded("private-orders.7")];
    let mut expected = [&refused[..], &joined[..]].concat();
    expected.sort();
    assert_eq!(next_events::<5>(&mut client).await.as_slice(), expected);
}

#[actix::test]
async fn a_client_that_does_not_say_that_it_signs_in_is_refused_at_once() {
    let (_node, mut client) = connected().await;
    for auth in [Value::Null, json!(""), json!("Signin"), json!("app-key:0")] {
        ask(&mut client, "private-orders.7", auth).await;
        refusal(&mut client, "private-orders.7").await;
    }
    signed_in(&mut client, ADA).await;
    client.expect_silence().await;
}

#[actix::test]
async fn a_subscription_whose_sign_in_does_not_come_is_refused() {
    let (_node, mut client) = connected_with(|app| app.sign_in_within = Duration::from_secs(1)).await;
    ask(&mut client, "private-orders.7", json!("signin")).await;
    let text = "no sign-in came within 1 s (app setting sign_in_within_seconds)";
    assert_eq!(refusal(&mut client, "private-orders.7").await, text);
    signed_in(&mut client, ADA).await;
    client.expect_silence().await;
    subscribe_by_sign_in(&mut client, "private-orders.7").await;
}

#[actix::test]
async fn a_subscription_whose_sign_in_is_refused_is_refused_with_it() {
    let (_node, mut client) = connected().await;
    ask(&mut client, "private-orders.7", json!("signin")).await;
    let forged = json!({"auth": format!("app-key:{}", "0".repeat(64)), "user_data": ADA});
    client.send(json!({"event": "pusher:signin", "data": forged})).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
    assert_eq!(refusal(&mut client, "private-orders.7").await, "the sign-in was refused");
    signed_in(&mut client, ADA).await;
    client.expect_silence().await;
}

#[actix::test]
async fn what_no_sign_in_can_give_is_refused_without_waiting() {
    let (_node, mut client) = connected().await;
    ask(&mut client, "private-encrypted-a", json!("signin")).await;
    let text = "an encrypted channel needs a signature of its own";
    assert_eq!(refusal(&mut client, "private-encrypted-a").await, text);
    let data = json!({"auth": "signin", "channel": "presence-room", "channel_data": r#"{"user_id":"1"}"#});
    client.send(json!({"event": "pusher:subscribe", "data": data})).await;
    let text = "channel_data needs a signature of its own";
    assert_eq!(refusal(&mut client, "presence-room").await, text);
}

#[actix::test]
async fn neither_an_encrypted_channel_nor_another_member_comes_with_the_sign_in() {
    let (_node, mut client) = connected().await;
    signed_in(&mut client, r#"{"id":"42","channels":["*"]}"#).await;
    for auth in [json!("signin"), Value::Null] {
        ask(&mut client, "private-encrypted-a", auth.clone()).await;
        refusal(&mut client, "private-encrypted-a").await;
        let data = json!({"auth": auth, "channel": "presence-room", "channel_data": r#"{"user_id":"1"}"#});
        client.send(json!({"event": "pusher:subscribe", "data": data})).await;
        refusal(&mut client, "presence-room").await;
    }
    client.subscribe_private("private-encrypted-a").await;
    subscribe_by_sign_in(&mut client, "presence-room").await;
}

#[actix::test]
async fn nothing_waits_where_sign_in_is_switched_off() {
    let (_node, mut client) = connected_with(|app| app.sign_in = false).await;
    ask(&mut client, "private-orders.7", json!("signin")).await;
    let text = "sign-in is switched off (app setting sign_in)";
    assert_eq!(refusal(&mut client, "private-orders.7").await, text);
}

#[actix::test]
async fn those_that_wait_count_as_subscriptions() {
    let (_node, mut client) = connected_with(|app| app.max_subscriptions = 2).await;
    for channel in ["private-orders.1", "private-orders.1", "private-orders.2"] {
        ask(&mut client, channel, json!("signin")).await;
    }
    client.expect_silence().await;
    for channel in ["private-orders.3", "lobby"] {
        ask(&mut client, channel, json!("signin")).await;
        let error = client.expect("pusher:subscription_error").await;
        assert_eq!((&inner(&error)["type"], &error["channel"]), (&json!("LimitReached"), &json!(channel)));
        client.expect("pusher:error").await;
    }
    client.sign_in(r#"{"id":"42","channels":["private-orders.*"]}"#).await;
    let expected = [signed_in_event(), succeeded("private-orders.1"), succeeded("private-orders.2")];
    assert_eq!(next_events(&mut client).await, expected);
}

#[actix::test]
async fn a_channel_that_is_left_while_it_waits_is_not_joined() {
    let (_node, mut client) = connected().await;
    ask(&mut client, "private-orders.7", json!("signin")).await;
    client.unsubscribe("private-orders.7").await;
    signed_in(&mut client, ADA).await;
    client.expect_silence().await;
}

#[actix::test]
async fn the_channels_of_the_last_sign_in_hold_for_what_is_subscribed_from_then_on() {
    let (node, mut client) = connected().await;
    signed_in(&mut client, ADA).await;
    subscribe_by_sign_in(&mut client, "private-orders.7").await;
    signed_in(&mut client, r#"{"id":"42","channels":["private-room"]}"#).await;
    subscribe_by_sign_in(&mut client, "private-room").await;
    ask(&mut client, "private-orders.8", json!("signin")).await;
    refusal(&mut client, "private-orders.8").await;
    node.publish("private-orders.7", "paid", "{}").await;
    client.expect("paid").await;
    signed_in(&mut client, r#"{"id":"42"}"#).await;
    ask(&mut client, "private-room", json!("signin")).await;
    refusal(&mut client, "private-room").await;
}

#[actix::test]
async fn channels_over_a_limit_refuse_the_sign_in_and_name_it() {
    let (_node, mut client) =
        connected_with(|app| (app.max_subscriptions, app.max_channel_name_length) = (1, 30)).await;
    let long = format!("private-{}", "x".repeat(23));
    for (channels, text) in [
        (json!(["a", "b"]), "channels has 2 patterns, the limit is 1 (app setting max_subscriptions)"),
        (json!([long]), "a channel pattern has 31 characters, the limit is 30 (app setting max_channel_name_length)"),
        (json!({"a": "b"}), "channels must be an array of channel patterns"),
    ] {
        client.sign_in(&json!({"id": "42", "channels": channels}).to_string()).await;
        let error = client.expect("pusher:error").await;
        assert_eq!(error["data"], json!({"code": 4009, "message": text}));
    }
}

#[actix::test]
async fn a_page_that_comes_back_keeps_its_right_by_the_same_signature_until_its_user_is_terminated() {
    const PAGE: &str = "/app/app-key/3f0c7a52-8f8e-4a5e-9d0e-2f4b6f1a9c1d?protocol=7";
    let node = start_configured(|config| config.pages.doubt = Duration::ZERO, with_history).await;
    let mut page = node.open(PAGE).await.greeted().await;
    let (id, auth) = (page.id.clone(), sign_user(&key(), page.id.parse().unwrap(), ADA));
    let sign_in = json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": ADA}});
    for _ in 0..2 {
        assert_eq!(page.id, id);
        page.send(sign_in.clone()).await;
        page.expect("pusher:signin_success").await;
        subscribe_by_sign_in(&mut page, "presence-room").await;
        drop(page);
        page = node.open(PAGE).await.greeted().await;
    }
    page.send(sign_in.clone()).await;
    page.expect("pusher:signin_success").await;
    node.post("/users/42/terminate_connections", &json!({})).await;
    assert_eq!(page.expect_close().await.0, 4009);
    eventually("the session is over", async || node.connections().await == 0).await;
    let mut page = node.open(PAGE).await.greeted().await;
    assert_ne!(page.id, id);
    ask(&mut page, "presence-room", json!("signin")).await;
    page.send(sign_in).await;
    assert_eq!(page.expect("pusher:error").await["data"]["code"], 4009);
    assert_eq!(refusal(&mut page, "presence-room").await, "the sign-in was refused");
}

fn with_history(app: &mut AppSettings) {
    app.history = HistoryRules::parse("private-*=60s:100").unwrap();
}

#[actix::test]
async fn a_right_that_a_back_end_takes_away_ends_whether_its_channel_is_subscribed_or_not() {
    let node = start(|_| {}).await;
    let (mut named, mut other) = (node.connect().await, node.connect().await);
    signed_in(&mut named, ADA).await;
    signed_in(&mut other, r#"{"id":"42","channels":["private-invoices.*"]}"#).await;
    for client in [&mut named, &mut other] {
        client.expect_silence().await;
    }
    let revoked = json!({"channels": ["private-orders.7"]});
    assert_eq!(node.post("/users/42/unsubscribe", &revoked).await, (200, json!({})));
    assert_eq!(named.expect_close().await.0, 4200);
    other.expect_silence().await;
    subscribe_by_sign_in(&mut other, "private-invoices.7").await;
    node.post("/users/42/reconnect", &json!({})).await;
    assert_eq!(other.expect_close().await.0, 4200);
}
