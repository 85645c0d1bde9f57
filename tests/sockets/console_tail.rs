//! What happens, as the console shows it.

use awc::ws::Message;
use gaung::config::AppSettings;
use serde_json::{Value, json};

use crate::{
    console::{Console, published, watching},
    harness::{start, start_configured, start_with},
    raw::{Raw, UPGRADE},
    webhook_receiver::Receiver,
};

#[actix_web::test]
async fn the_life_of_a_socket_is_shown() {
    let node = start(|_| {}).await;
    let mut console = watching(&node).await;
    let mut client = node.connect().await;
    let socket = client.id.clone();
    console.expect(json!({"kind": "connected", "app": "app-id", "socket": socket, "address": "127.0.0.1"})).await;
    client.subscribe("orders").await;
    console.expect(json!({"kind": "subscribed", "app": "app-id", "socket": socket, "channel": "orders"})).await;
    client.sign_in(r#"{"id":"ada"}"#).await;
    console.expect(json!({"kind": "signed_in", "app": "app-id", "socket": socket, "user": "ada"})).await;
    client.unsubscribe("orders").await;
    console.expect(json!({"kind": "unsubscribed", "app": "app-id", "socket": socket, "channel": "orders"})).await;
    client.send_raw(Message::Close(Some(awc::ws::CloseCode::Away.into()))).await;
    console
        .expect(json!({"kind": "closed", "app": "app-id", "socket": socket, "code": 1001, "reason": "client"}))
        .await;
}

#[actix_web::test]
async fn a_socket_that_is_lost_leaves_its_channels_and_has_no_code() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    let mut console = watching(&node).await;
    let socket = client.id.clone();
    drop(client);
    // The room hears of it on its own thread.
    let mut ends = [console.event().await, console.event().await];
    ends.sort_by_key(|end| end["kind"].to_string());
    assert_eq!(ends[0], json!({"kind": "closed", "app": "app-id", "socket": socket, "code": null, "reason": "lost"}));
    assert_eq!(ends[1], json!({"kind": "unsubscribed", "app": "app-id", "socket": socket, "channel": "orders"}));
}

#[actix_web::test]
async fn an_event_is_shown_with_the_number_of_its_sockets_also_where_nobody_hears_it() {
    let node = start(|app| app.client_events = true).await;
    let (mut one, mut other) = (node.connect().await, node.connect().await);
    one.subscribe_private("private-a").await;
    other.subscribe_private("private-a").await;
    other.sign_in(r#"{"id":"ada"}"#).await;
    other.expect("pusher:signin_success").await;
    let mut console = watching(&node).await;
    node.publish("private-a", "e", "d").await;
    console.expect_timed("micros", published("private-a", 2)).await;
    let spared = json!({"name": "e", "channel": "private-a", "data": "d", "socket_id": one.id});
    node.post("/events", &spared).await;
    console.expect_timed("micros", published("private-a", 1)).await;
    node.publish("#server-to-user-ada", "e", "d").await;
    console.expect_timed("micros", published("#server-to-user-ada", 1)).await;
    node.publish("nobody", "e", "d").await;
    console.expect_timed("micros", published("nobody", 0)).await;
    one.send(json!({"event": "client-e", "channel": "private-a", "data": {}})).await;
    let mut typing = published("private-a", 1);
    (typing["origin"], typing["event"]) = (json!("client"), json!("client-e"));
    console.expect_timed("micros", typing).await;
}

#[actix_web::test]
async fn refusals_are_shown_with_the_metrics_reason_and_the_words_of_the_answer() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    let mut console = watching(&node).await;
    let mut refused = node.open("/app/unknown-key").await;
    refused.expect_close().await;
    console
        .expect(json!({
            "kind": "refused", "app": null, "what": "socket", "reason": "app_unknown", "detail": "Application does not exist; its key has 11 characters"
        }))
        .await;
    let refused = node.post("/events", &json!({"name": "e", "channel": "a b", "data": "d"})).await;
    assert_eq!(refused.0, 400);
    console
        .expect(json!({
            "kind": "refused", "app": "app-id", "what": "request", "reason": "event_invalid", "detail": refused.1["error"]
        }))
        .await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "private-a"}})).await;
    client.expect("pusher:subscription_error").await;
    console
        .expect(json!({
            "kind": "refused", "app": "app-id", "what": "message", "reason": "subscription", "socket": client.id,
            "channel": "private-a", "detail": "Connection is unauthorized: the subscription has no auth"
        }))
        .await;
}

#[actix_web::test]
async fn a_refusal_does_not_show_what_the_parser_quotes_of_a_body() {
    let node = start(|_| {}).await;
    let mut console = watching(&node).await;
    let (status, answer) = node.post("/events", &json!("a payload where none belongs")).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("a payload"), "{answer}");
    assert_eq!(console.event().await["detail"], "invalid request body");
}

#[actix_web::test]
async fn a_handshake_that_is_none_is_shown() {
    let node = start(|_| {}).await;
    let mut console = watching(&node).await;
    let mut raw = Raw::connect(&node).await;
    raw.send(UPGRADE.replace("Version: 13", "Version: 12").as_bytes()).await;
    raw.finish().await;
    let answer = raw.rest().await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let detail = serde_json::from_str::<Value>(body).expect("the body is JSON")["error"].take();
    assert!(detail.as_str().expect("a text").contains("Sec-WebSocket-Version is not 13"), "{detail}");
    console
        .expect(json!({"kind": "refused", "app": null, "what": "socket", "reason": "handshake", "detail": detail}))
        .await;
}

#[actix_web::test]
async fn webhooks_are_shown_without_what_may_be_secret_in_their_url() {
    let mut receiver = Receiver::start().await;
    let mut endpoint = receiver.endpoint();
    endpoint.url.push_str("?token=1");
    let node = start(|app| app.webhooks = vec![endpoint.into()]).await;
    let mut console = watching(&node).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    receiver.next().await.answer("500 No", "");
    receiver.next().await.answer("200 OK", "");
    while console.event().await["kind"] != "subscribed" {}
    let mut shown = json!({
        "kind": "webhook", "app": "app-id", "events": ["channel_occupied"], "url": receiver.url, "outcome": "retried",
        "status": 500
    });
    console.expect_timed("millis", shown.clone()).await;
    (shown["outcome"], shown["status"]) = (json!("delivered"), json!(200));
    console.expect_timed("millis", shown).await;
}

#[actix_web::test]
async fn payloads_are_shown_only_where_that_is_switched_on() {
    for is_shown in [false, true] {
        let node = start_configured(|config| config.admin.console_payloads = is_shown, |_| {}).await;
        let mut console = watching(&node).await;
        node.publish("nobody", "e", "a payload").await;
        let mut expected = published("nobody", 0);
        if is_shown {
            expected["data"] = json!("a payload");
        }
        console.expect_timed("micros", expected).await;
    }
}

#[actix_web::test]
async fn a_console_sees_the_app_and_the_channels_that_it_watches_until_it_watches_others() {
    let app = |key: &str| AppSettings::new(format!("{key}-key"), "app-secret");
    let node = start_with(|_| {}, vec![("app-id".to_owned(), app("app")), ("other".to_owned(), app("other"))]).await;
    let mut console = Console::open(&node).await;
    console.watch(Some("app-id"), Some("orders.*")).await;
    let publish_all = async || {
        for channel in ["news", "orders.1", "orders"] {
            node.publish(channel, "e", "d").await;
            let mut elsewhere = Console::open(&node).await;
            assert_eq!(elsewhere.publish("other", channel, "d").await["type"], "published");
        }
    };
    publish_all().await;
    console.watch(Some("other"), Some("orders")).await;
    publish_all().await;
    console.watch(None, None).await;
    node.publish("last", "e", "d").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, channel)| channel != "last") {
        let event = console.event().await;
        seen.push((event["app"].as_str().unwrap().to_owned(), event["channel"].as_str().unwrap().to_owned()));
    }
    let seen: Vec<_> = seen.iter().map(|(app, channel)| (app.as_str(), channel.as_str())).collect();
    // What was gathered when the console began to watch others may be shown or not.
    assert!(seen.ends_with(&[("app-id", "last")]), "{seen:?}");
    assert!(
        seen.iter().all(|seen| [("app-id", "orders.1"), ("other", "orders"), ("app-id", "last")].contains(seen)),
        "{seen:?}"
    );
}

#[actix_web::test]
async fn a_console_that_watches_no_more_is_told_nothing() {
    let node = start(|_| {}).await;
    let mut console = watching(&node).await;
    node.publish("one", "e", "d").await;
    console.expect_timed("micros", published("one", 0)).await;
    console.client.send(json!({"type": "unwatch"})).await;
    console.rooms("", 1).await;
    node.publish("two", "e", "d").await;
    console.watch(None, None).await;
    node.publish("three", "e", "d").await;
    console.expect_timed("micros", published("three", 0)).await;
}

#[actix_web::test]
async fn a_console_that_does_not_read_misses_and_is_told_and_nobody_waits_for_it() {
    const EVENTS: u64 = 2_000;
    let node = start_configured(
        |config| config.admin.console_payloads = true,
        |app| {
            app.max_batch_events = EVENTS as usize;
        },
    )
    .await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    let mut slow = Console::open(&node).await;
    slow.watch(None, Some("orders")).await;
    let mut quick = Console::open(&node).await;
    quick.watch(None, Some("last")).await;
    let event = json!({"name": "e", "channel": "orders", "data": "d"});
    let batch = json!({"batch": vec![event; EVENTS as usize]});
    assert_eq!(node.post("/batch_events", &batch).await.0, 200);
    for _ in 0..EVENTS {
        client.expect("e").await;
    }
    node.publish("last", "e", "d").await;
    let mut last = published("last", 0);
    last["data"] = json!("d");
    quick.expect_timed("micros", last).await;
    assert_eq!(quick.missed, 0);
    while slow.heard.len() as u64 + slow.missed < EVENTS {
        slow.next().await;
    }
    assert_eq!(slow.heard.len() as u64 + slow.missed, EVENTS);
    assert!(slow.missed > 0, "{} of {EVENTS} were shown", slow.heard.len());
}
