//! Posts with an idempotency key that come to several nodes.

use serde_json::{Value, json};

use crate::harness::{cluster::Cluster, eventually};

fn keyed(name: &str) -> Value {
    json!({ "name": name, "data": "{}", "channel": "orders", "idempotency_key": "order-7" })
}

#[actix::test]
async fn a_post_that_is_repeated_on_another_node_is_answered_there_and_delivered_nowhere() {
    let cluster = Cluster::start(3, &[]).await;
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        client.subscribe("orders").await;
        clients.push(client);
    }
    assert_eq!(cluster[0].post("/events", &keyed("paid")).await, (200, json!({})));
    for client in &mut clients {
        assert_eq!(client.expect("paid").await["data"], "{}");
    }
    for node in &cluster.nodes[1..] {
        // What has no name is never published; where the key is known it is refused for that.
        eventually("the key is known", async || node.post("/events", &keyed("")).await.0 == 422).await;
        assert_eq!(node.post("/events", &keyed("paid")).await, (200, json!({})));
    }
    for client in &mut clients {
        client.expect_silence().await;
    }
}
