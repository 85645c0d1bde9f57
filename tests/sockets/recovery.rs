//! Clients that come back and say how far they have heard a channel: protocol.md §1.15, plain-sockets.md.

use gaung::config::{AppSettings, HistoryRules};
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestNode, inner, metrics, start},
    tenant::{open_node, tenant_socket},
};

fn history(settings: &mut AppSettings) {
    settings.history = HistoryRules::parse("products.*=60s:3").unwrap();
}

/// Subscribes; returns what the server says of how far the client has heard the channel.
async fn subscribe(client: &mut Client, data: Value) -> Option<String> {
    client.send(json!({"event": "pusher:subscribe", "data": data})).await;
    let success = client.next().await;
    assert_eq!(success["event"], "pusher_internal:subscription_succeeded");
    success["id"].as_str().map(str::to_owned)
}

async fn resumed(client: &mut Client, expected: Value) -> String {
    let message = client.next().await;
    assert_eq!((&message["event"], inner(&message)), (&json!("pusher:resumed"), expected));
    message["id"].as_str().unwrap().to_owned()
}

async fn publish(node: &TestNode, names: &[&str]) {
    for name in names {
        node.publish("products.7", name, "{}").await;
    }
}

#[actix::test]
async fn a_pusher_client_that_says_how_far_it_has_heard_gets_the_rest_and_then_what_is_live() {
    let node = start(history).await;
    let mut first = node.connect().await;
    let start = subscribe(&mut first, json!({"channel": "products.7"})).await.unwrap();
    publish(&node, &["a"]).await;
    let heard = first.next().await;
    drop(first);
    publish(&node, &["b", "c"]).await;
    let mut second = node.connect().await;
    assert_eq!(subscribe(&mut second, json!({"channel": "products.7", "since": heard["id"]})).await, None);
    for name in ["b", "c"] {
        assert_eq!(second.next().await["event"], name);
    }
    let position = resumed(&mut second, json!({"complete": true, "replayed": 2})).await;
    publish(&node, &["d"]).await;
    let live = second.next().await;
    assert_eq!(live["event"], "d");
    let number = |id: &Value| id.as_str().unwrap().rsplit('-').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(number(&live["id"]), number(&json!(position)) + 1);
    // Of four events three are kept.
    let mut third = node.connect().await;
    subscribe(&mut third, json!({"channel": "products.7", "since": start})).await;
    resumed(&mut third, json!({"complete": false, "replayed": 0})).await;
    third.expect_silence().await;
    let text = metrics(node.node.admin).await;
    for line in [
        r#"gaung_recoveries_total{outcome="whole"} 1"#,
        r#"gaung_recoveries_total{outcome="window"} 1"#,
        "gaung_replayed_events_total 2",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in:\n{text}");
    }
}

#[actix::test]
async fn a_plain_socket_that_says_how_far_it_has_heard_gets_the_rest() {
    let node = open_node(history).await;
    let mut first = tenant_socket(&node, "").await;
    first.send(json!({"type": "subscribe", "channel": "products.7"})).await;
    let start = first.next().await["id"].take();
    drop(first);
    publish(&node, &["a"]).await;
    let mut second = tenant_socket(&node, "").await;
    second.send(json!({"type": "subscribe", "channel": "products.7", "since": start})).await;
    second.expect_exactly(json!({"type": "subscribed", "channel": "products.7", "recovered": true})).await;
    let event = second.next().await;
    assert_eq!((&event["type"], &event["data"]), (&json!("a"), &json!({"tenantId": "7"})));
    let mut other = tenant_socket(&node, "").await;
    other.send(json!({"type": "subscribe", "channel": "products.7", "since": "000000-1"})).await;
    other
        .expect_exactly(json!({"type": "subscribed", "channel": "products.7", "recovered": false, "id": event["id"]}))
        .await;
}

#[actix::test]
async fn a_position_that_is_none_is_refused_and_the_socket_stays() {
    let node = open_node(history).await;
    let mut pusher = node.connect().await;
    pusher.send(json!({"event": "pusher:subscribe", "data": {"channel": "products.7", "since": "yesterday"}})).await;
    let refusal = pusher.expect("pusher:subscription_error").await;
    assert_eq!(
        inner(&refusal),
        json!({
            "type": "InvalidPosition",
            "error": "since must be the ids of events, as \"k3x09a-17\", separated by commas",
            "status": 400,
        })
    );
    let mut plain = tenant_socket(&node, "").await;
    plain.send(json!({"type": "subscribe", "channel": "products.7", "since": ""})).await;
    crate::tenant::expect_error(
        &mut plain,
        400,
        Some("products.7"),
        "since must be the ids of events, as \"k3x09a-17\", separated by commas",
    )
    .await;
}

#[actix::test]
async fn a_back_end_reads_what_a_channel_keeps_page_by_page() {
    let node = start(history).await;
    let mut client = node.connect().await;
    let start = subscribe(&mut client, json!({"channel": "products.7"})).await.unwrap();
    publish(&node, &["a", "b", "c"]).await;
    let path = "/channels/products.7/events";
    let (status, first) = node.get(path, &[("limit", "2"), ("since", &start)]).await;
    let names =
        |page: &Value| page["events"].as_array().unwrap().iter().map(|e| e["event"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (status, &first["complete"], &first["more"], names(&first)),
        (200, &json!(true), &json!(true), vec![json!("a"), json!("b")])
    );
    let (_, second) = node.get(path, &[("since", first["position"].as_str().unwrap())]).await;
    assert_eq!((&second["more"], names(&second)), (&json!(false), vec![json!("c")]));
    assert_eq!(second["events"][0]["id"], second["position"]);
    publish(&node, &["d"]).await;
    let (_, late) = node.get(path, &[("since", &start)]).await;
    assert_eq!((&late["complete"], names(&late).len()), (&json!(false), 3));
    let (_, all) = node.get(path, &[]).await;
    assert_eq!((all.get("complete"), names(&all).len()), (None, 3));
}

#[actix::test]
async fn a_back_end_that_reads_events_is_told_what_is_wrong() {
    let node = start(history).await;
    for (path, params, text) in [
        ("/channels/orders.7/events", [("limit", "1")], "channel orders.7 keeps no history (app setting history)"),
        ("/channels/products.7/events", [("limit", "0")], "limit is 0; it must be from 1 to 1000"),
        ("/channels/products.7/events", [("since", "x")], "since must be the ids of events"),
    ] {
        let (status, answer) = node.get(path, &params).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(text), "{answer}");
    }
}
