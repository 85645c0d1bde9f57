//! A client that stops reading is closed, and nobody else notices.

use std::time::Duration;

use serde_json::json;

use crate::{
    harness::{Client, TestNode, eventually, inner, start_configured},
    raw::Raw,
};

/// What may wait for a client in these tests, in bytes.
const OUTBOX: usize = 65_536;

/// A node whose clients may lag behind by little.
async fn impatient_node() -> TestNode {
    start_configured(|config| config.limits.max_outbox_bytes = OUTBOX, |_| {}).await
}

/// Publishes 10 KB events, and lets `readers` read each, until the node has given up the one who does not read: what the
/// kernel takes for a socket differs from system to system.
async fn publish_until_one_is_given_up(node: &TestNode, channel: &str, readers: &mut [Client]) -> usize {
    let data = json!({"x": "x".repeat(10_000)}).to_string();
    for number in 0..10_000 {
        let name = format!("e{number}");
        node.publish(channel, &name, &data).await;
        for reader in &mut *readers {
            reader.expect_exactly(json!({"event": name, "channel": channel, "data": data})).await;
        }
        let (_, channel) = node.get(&format!("/channels/{channel}"), &[("info", "subscription_count")]).await;
        if channel["subscription_count"].as_u64().unwrap_or_default() == readers.len() as u64 {
            return number + 1;
        }
    }
    panic!("nobody was given up");
}

#[actix::test]
async fn a_reader_that_stops_is_closed_with_4100_and_the_others_get_every_event() {
    let node = impatient_node().await;
    let mut readers = [node.connect().await, node.connect().await, node.connect().await];
    for reader in &mut readers {
        reader.subscribe("feed").await;
    }
    let mut stopped = Raw::greeted(&node).await;
    stopped.send_text(r#"{"event":"pusher:subscribe","data":{"channel":"feed"}}"#).await;
    stopped.message().await;
    let published = publish_until_one_is_given_up(&node, "feed", &mut readers).await;
    // It reads again: what the kernel had taken comes in order, then the close frame, and nothing after it.
    let mut number = 0;
    let reason = loop {
        match stopped.frame().await {
            (crate::raw::CLOSE, reason) => break reason,
            (_, payload) => {
                let message: serde_json::Value = serde_json::from_slice(&payload).expect("the message is JSON");
                assert_eq!(message["event"], format!("e{number}"));
                number += 1;
            }
        }
    };
    assert_eq!(reason[..2], 4100_u16.to_be_bytes());
    assert_eq!(&reason[2..], b"Client reads too slowly (GAUNG_MAX_OUTBOX_BYTES)");
    assert!(number < published, "{number} of {published} events came");
    assert_eq!(stopped.rest().await, "");
    drop(stopped);
    eventually("it is counted", || async { node.counted().slow_consumers() == 1 }).await;
    assert_eq!(node.counted().closes("slow_consumer"), 1);
    for reader in &mut readers {
        reader.expect_silence().await;
    }
}

#[actix::test]
async fn a_reader_that_stops_leaves_its_presence_channels_while_it_still_does_not_read() {
    let node = impatient_node().await;
    let mut witness = node.connect().await;
    witness.join("presence-room", r#"{"user_id":"1"}"#).await;
    let mut stopped = node.connect().await;
    stopped.join("presence-room", r#"{"user_id":"2"}"#).await;
    witness.expect("pusher_internal:member_added").await;
    stopped.subscribe("feed").await;
    publish_until_one_is_given_up(&node, "feed", &mut []).await;
    assert_eq!(inner(&witness.expect("pusher_internal:member_removed").await), json!({"user_id": "2"}));
    drop(stopped);
}

#[actix::test]
async fn a_reader_that_stops_and_hangs_up_is_forgotten() {
    let node = impatient_node().await;
    let mut stopped = node.connect().await;
    stopped.subscribe("feed").await;
    publish_until_one_is_given_up(&node, "feed", &mut []).await;
    drop(stopped);
    eventually("the slow consumer is gone", || async { node.connections().await == 0 }).await;
    assert_eq!(node.get("/channels/feed", &[]).await.1, json!({"occupied": false}));
}

#[actix::test]
async fn a_reader_that_pauses_within_its_limit_loses_nothing() {
    let node = start_configured(|config| config.limits.ping_interval = Duration::from_secs(3_600), |_| {}).await;
    let mut late = node.connect().await;
    late.subscribe("feed").await;
    let data = json!({"x": "x".repeat(10_000)}).to_string();
    for number in 0..100 {
        node.publish("feed", &format!("e{number}"), &data).await;
    }
    for number in 0..100 {
        late.expect(&format!("e{number}")).await;
    }
    late.expect_silence().await;
    assert_eq!(node.counted().slow_consumers(), 0);
}
