//! Sockets that send more than they may, and what becomes of them and of the others.

use gaung::config::AppSettings;
use serde_json::json;

use crate::{
    harness::{TestNode, eventually, start},
    raw::{Bystander, FIRST, LAST, MIDDLE, PING, PONG, Raw, TEXT, frame},
};

const PUSHER_PING: &[u8] = br#"{"event":"pusher:ping","data":{}}"#;

/// An app whose sockets may send 101 messages at once, and then so many a second.
fn at_most(per_second: u32) -> impl FnOnce(&mut AppSettings) {
    move |app| {
        app.max_subscriptions = 1;
        app.messages_per_second = Some(per_second);
    }
}

/// How often sockets were not read because of what they sent.
fn pauses(node: &TestNode) -> u64 {
    node.node.metrics.reading_pauses.with_label_values(&["rate"]).get()
}

#[actix::test]
async fn a_socket_over_its_rate_is_read_more_slowly_and_nothing_of_it_is_lost() {
    let node = start(at_most(100)).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(TEXT, PUSHER_PING).repeat(120)).await;
    for _ in 0..120 {
        assert_eq!(raw.message().await["event"], "pusher:pong");
    }
    assert!(pauses(&node) > 0);
    raw.still_works().await;
}

#[actix::test]
async fn a_page_that_comes_back_with_a_thousand_channels_is_not_held() {
    let node = start(|_| {}).await;
    let mut raw = Raw::greeted(&node).await;
    let subscribe = |number| json!({"event": "pusher:subscribe", "data": {"channel": format!("c{number}")}});
    let frames: Vec<u8> = (0..1_000).flat_map(|number| frame(TEXT, subscribe(number).to_string().as_bytes())).collect();
    raw.send(&frames).await;
    for _ in 0..1_000 {
        assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
    }
    assert_eq!(pauses(&node), 0);
}

#[actix::test]
async fn frames_that_are_no_messages_count_as_messages() {
    let node = start(at_most(1)).await;
    let mut bystander = Bystander::watch(&node).await;
    let frames = [frame(FIRST, b"").as_slice(), &frame(MIDDLE, b"").repeat(10_000), &frame(LAST, b"")].concat();
    let mut sockets = Vec::new();
    for flood in [frames, frame(PING, b"").repeat(10_000), frame(PONG, b"").repeat(10_000)] {
        let before = pauses(&node);
        let mut raw = Raw::greeted(&node).await;
        raw.send(&flood).await;
        eventually("it is held", || async { pauses(&node) > before }).await;
        bystander.publish(&node).await;
        sockets.push(raw);
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn a_socket_that_is_held_hears_its_events_and_that_it_is_closed() {
    let node = start(at_most(1)).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send_text(r#"{"event":"pusher:subscribe","data":{"channel":"c"}}"#).await;
    raw.send(&frame(PONG, b"").repeat(1_000)).await;
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
    eventually("it is held", || async { pauses(&node) > 0 }).await;
    node.publish("c", "e", "{}").await;
    assert_eq!(raw.message().await["event"], "e");
    let stopped = actix::spawn(node.node.stop());
    assert_eq!(raw.close_code().await, Some(4200));
    drop(raw);
    stopped.await.expect("the node stops");
}

#[actix::test]
async fn a_socket_that_is_held_and_hangs_up_is_forgotten_whatever_it_had_sent() {
    let node = start(at_most(1)).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(TEXT, PUSHER_PING).repeat(2_000)).await;
    eventually("it is held", || async { pauses(&node) > 0 }).await;
    drop(raw);
    eventually("it is forgotten", || async { node.connections().await == 0 }).await;
}

#[actix::test]
async fn messages_over_the_quota_are_refused_and_the_socket_stays() {
    let node = start(|app| app.message_quota = Some(2)).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(TEXT, PUSHER_PING).repeat(4)).await;
    let refusal = json!({"event": "pusher:error", "data": {
        "code": 4301, "message": "Rate limit exceeded: over 2 messages in 60 s (app setting message_quota)"
    }});
    for expected in ["pusher:pong", "pusher:pong"] {
        assert_eq!(raw.message().await["event"], expected);
    }
    assert_eq!([raw.message().await, raw.message().await], [refusal.clone(), refusal]);
    raw.send(&frame(PING, b"")).await;
    assert_eq!(raw.frame().await, (PONG, Vec::new()));
    assert_eq!(node.counted().refusals("message_quota"), 2);
}

#[actix::test]
async fn a_socket_over_the_quota_is_closed_where_the_app_wants_it() {
    let node = start(|app| {
        app.message_quota = Some(1);
        app.message_quota_closes = true;
    })
    .await;
    let mut raw = Raw::greeted(&node).await;
    raw.send(&frame(TEXT, PUSHER_PING).repeat(3)).await;
    assert_eq!(raw.message().await["event"], "pusher:pong");
    assert_eq!(raw.message().await["data"]["code"], 4301);
    assert_eq!(raw.message().await["data"]["code"], 4100);
    assert_eq!(raw.close_code().await, Some(4100));
    assert_eq!(raw.rest().await, "");
}
