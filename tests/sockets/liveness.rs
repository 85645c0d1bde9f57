//! Silence: every socket is asked whether it is there, and closed if it does not answer (protocol.md §1.6).

use std::time::Duration;

use serde_json::json;

use crate::{
    harness::{PATIENCE, TestNode, start_configured},
    raw::{CLOSE, PING, PONG, Raw, TEXT, UPGRADE, frame},
};

const SHORT: Duration = Duration::from_millis(100);

/// A node that pings soon. Clients that answer get all the time they may need, so that a busy machine is no silence.
async fn start(pong_timeout: Duration) -> TestNode {
    let configure = |config: &mut gaung::config::Config| {
        config.limits.ping_interval = SHORT;
        config.limits.pong_timeout = pong_timeout;
        config.tenant.access = gaung::config::TenantAccess::Open;
    };
    start_configured(configure, |_| {}).await
}

/// A silent socket's last frames: what comes before the close frame as text, and the code.
async fn last_frames(raw: &mut Raw) -> (Vec<String>, Option<u16>) {
    let mut frames = Vec::new();
    loop {
        match raw.frame().await {
            (CLOSE, payload) => return (frames, payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            (PING, payload) => frames.push(format!("ping {}", payload.len())),
            (_, payload) => frames.push(String::from_utf8(payload).expect("the message is text")),
        }
    }
}

const PUSHER_PING: &str = r#"{"event":"pusher:ping","data":"{}"}"#;

#[actix::test]
async fn a_silent_client_is_pinged_in_both_ways_and_then_closed_with_4201() {
    let node = start(SHORT).await;
    let mut raw = Raw::greeted(&node).await;
    let error = r#"{"event":"pusher:error","data":{"code":4201,"message":"Pong reply not received in time"}}"#;
    let expected = ["ping 0", PUSHER_PING, error].map(str::to_owned).to_vec();
    assert_eq!(last_frames(&mut raw).await, (expected, Some(4201)));
    assert_eq!(raw.rest().await, "");
}

#[actix::test]
async fn a_silent_client_is_closed_whether_it_is_subscribed_or_not() {
    let node = start(SHORT).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send_text(r#"{"event":"pusher:subscribe","data":{"channel":"c"}}"#).await;
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
    assert_eq!(last_frames(&mut raw).await.1, Some(4201));
}

#[actix::test]
async fn a_silent_tenant_socket_is_pinged_by_frame_alone_and_then_closed_with_4201() {
    let node = start(SHORT).await;
    let mut raw = Raw::connect(&node).await;
    raw.send(UPGRADE.replace("/app/app-key?protocol=7", "/ws?tenant_id=7").as_bytes()).await;
    raw.expect_upgrade().await;
    assert_eq!(raw.message().await["type"], "connected");
    let error = r#"{"type":"error","code":4201,"message":"Pong reply not received in time"}"#;
    let expected = ["ping 0", error].map(str::to_owned).to_vec();
    assert_eq!(last_frames(&mut raw).await, (expected, Some(4201)));
}

#[actix::test]
async fn a_client_that_answers_pings_by_frame_stays_and_needs_no_other_ping() {
    let node = start(PATIENCE).await;
    let mut raw = Raw::greeted(&node).await;
    assert_eq!(raw.frame().await, (PING, Vec::new()));
    assert_eq!(raw.frame().await, (TEXT, PUSHER_PING.into()));
    for _ in 0..5 {
        raw.send(&frame(PONG, b"")).await;
        assert_eq!(raw.frame().await, (PING, Vec::new()));
    }
    raw.still_works().await;
}

#[actix::test]
async fn a_client_that_answers_in_the_protocol_alone_stays_and_is_asked_so_each_time() {
    let node = start(PATIENCE).await;
    let mut raw = Raw::greeted(&node).await;
    for _ in 0..5 {
        assert_eq!(raw.frame().await, (PING, Vec::new()));
        assert_eq!(raw.frame().await, (TEXT, PUSHER_PING.into()));
        raw.send_text(r#"{"event":"pusher:pong","data":{}}"#).await;
    }
    raw.still_works().await;
}

#[actix::test]
async fn events_to_a_silent_client_are_no_sign_of_life() {
    let node = start(SHORT).await;
    let mut raw = Raw::greeted(&node).await;
    raw.send_text(r#"{"event":"pusher:subscribe","data":{"channel":"c"}}"#).await;
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
    while node.get("/channels/c", &[]).await.1 == json!({"occupied": true}) {
        node.publish("c", "e", "{}").await;
    }
    assert_eq!(last_frames(&mut raw).await.1, Some(4201));
}
