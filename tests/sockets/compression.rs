//! Events that are compressed for those who can read that (RFC 7692), and messages that clients compress.

use gaung::protocol::deflate;
use serde_json::json;

use crate::{
    harness::{TestNode, start},
    raw::{Raw, TEXT, UPGRADE, frame},
};

/// What browsers offer.
const BROWSER: &str = "permessage-deflate; client_max_window_bits";

/// The first byte of a compressed text message.
const COMPRESSED: u8 = TEXT | 0x40;

/// A Pusher socket with this offer, and the head of the answer.
async fn open(node: &TestNode, offer: &str) -> (Raw, String) {
    let mut raw = Raw::connect(node).await;
    let offered = format!("Sec-WebSocket-Extensions: {offer}\r\nSec-WebSocket-Key");
    raw.send(UPGRADE.replace("Sec-WebSocket-Key", &offered).as_bytes()).await;
    let head = raw.expect_upgrade().await.to_lowercase();
    assert_eq!(raw.message().await["event"], "pusher:connection_established");
    (raw, head)
}

async fn subscribe(raw: &mut Raw, channel: &str) {
    raw.send_text(&json!({"event": "pusher:subscribe", "data": {"channel": channel}}).to_string()).await;
    assert_eq!(raw.message().await["event"], "pusher_internal:subscription_succeeded");
}

async fn publish(node: &TestNode, channel: &str, data: &str) {
    node.publish(channel, "product.updated", data).await;
}

#[actix::test]
async fn an_event_is_compressed_for_those_who_offer_it_and_plain_for_the_others_in_one_room() {
    let node = start(|_| {}).await;
    let (mut browser, head) = open(&node, BROWSER).await;
    let (mut other, plain_head) = open(&node, "permessage-bzip2").await;
    assert!(head.contains(&format!("sec-websocket-extensions: {}\r\n", deflate::ACCEPTED)), "{head}");
    assert!(!plain_head.contains("extensions"), "{plain_head}");
    for raw in [&mut browser, &mut other] {
        subscribe(raw, "products.1").await;
    }
    let data = "lamp ".repeat(400);
    publish(&node, "products.1", &data).await;
    let (first, compressed) = browser.frame().await;
    let (plain_first, plain) = other.frame().await;
    assert_eq!((first, plain_first), (COMPRESSED, TEXT));
    assert!(compressed.len() * 10 < plain.len(), "{} of {}", compressed.len(), plain.len());
    assert_eq!(deflate::inflate(&compressed, plain.len()), Ok(plain));
    publish(&node, "products.1", "short").await;
    assert_eq!((browser.frame().await.0, other.frame().await.0), (TEXT, TEXT));
}

#[actix::test]
async fn an_app_may_switch_it_off_or_begin_at_another_size() {
    let off = start(|app| app.compress_from_bytes = None).await;
    assert!(!open(&off, BROWSER).await.1.contains("extensions"));
    let early = start(|app| app.compress_from_bytes = Some(100)).await;
    let (mut browser, _) = open(&early, BROWSER).await;
    subscribe(&mut browser, "a").await;
    publish(&early, "a", &"x".repeat(100)).await;
    assert_eq!(browser.frame().await.0, COMPRESSED);
}

#[actix::test]
async fn who_wants_a_smaller_window_or_offers_nonsense_is_served_without() {
    let node = start(|_| {}).await;
    for offer in ["permessage-deflate; server_max_window_bits=9", "permessage-deflate; ;", "é", ""] {
        let (mut raw, head) = open(&node, offer).await;
        assert!(!head.contains("extensions"), "{offer:?}: {head}");
        subscribe(&mut raw, "a").await;
    }
}

#[actix::test]
async fn clients_may_compress_what_they_send() {
    let node = start(|_| {}).await;
    let (mut browser, _) = open(&node, BROWSER).await;
    let ping = compressed(&json!({"event": "pusher:ping", "data": {}, "padding": "x".repeat(2_000)}).to_string());
    browser.send(&frame(COMPRESSED, &ping)).await;
    assert_eq!(browser.message().await["event"], "pusher:pong");
}

#[actix::test]
async fn a_bomb_and_rubbish_close_their_socket_and_nobody_elses() {
    let node = start(|_| {}).await;
    let (mut bystander, _) = open(&node, BROWSER).await;
    subscribe(&mut bystander, "a").await;
    for (payload, code) in [(compressed(&" ".repeat(10_000_000)), 1009_u16), (vec![0xFF; 40], 1002)] {
        let (mut attacker, _) = open(&node, BROWSER).await;
        attacker.send(&frame(COMPRESSED, &payload)).await;
        assert_eq!(attacker.close_code().await, Some(code));
    }
    publish(&node, "a", "still here").await;
    assert_eq!(bystander.message().await["event"], "product.updated");
}

/// As a client compresses a message.
fn compressed(message: &str) -> Vec<u8> {
    deflate::compress(message.as_bytes()).expect("it can be compressed")
}
