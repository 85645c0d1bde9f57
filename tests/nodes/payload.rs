//! What NATS cannot carry is refused where it is triggered.

use serde_json::json;

use crate::harness::{cluster::Cluster, nats::NatsServer};

#[actix::test]
async fn an_event_that_is_too_large_for_nats_is_refused_with_413_and_the_limit() {
    let nats = NatsServer::start_with("max_payload: 65536\n").await;
    let cluster = Cluster::start_around(nats, 2, &[("GAUNG_APP_MAX_EVENT_BYTES", "1000000")]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    let event = |bytes: usize| json!({"name": "e", "channel": "orders", "data": "x".repeat(bytes)});
    let (status, answer) = cluster[0].post("/events", &event(70_000)).await;
    assert_eq!(status, 413, "{answer}");
    let text = answer["error"].as_str().expect("the answer says why");
    assert!(text.contains("max_payload"), "{text}");
    let batch = json!({"batch": [event(10), event(70_000)]});
    assert_eq!(cluster[0].post("/batch_events", &batch).await.0, 413);
    assert_eq!(cluster[0].post("/events", &event(60_000)).await, (200, json!({})));
    assert_eq!(client.expect("e").await["data"].as_str().map(str::len), Some(60_000));
    client.expect_silence().await;
}
