//! Limits of an app and of its tenants, over all nodes.

use serde_json::json;

use crate::harness::{Client, cluster::Cluster, eventually, inner, node::GaungNode};

/// Subscribes; the refusal, if there is one.
async fn subscribe(client: &mut Client, channel: &str) -> Option<String> {
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": channel}})).await;
    let answer = client.next().await;
    if answer["event"] == "pusher_internal:subscription_succeeded" {
        return None;
    }
    client.expect("pusher:error").await;
    Some(inner(&answer)["error"].as_str().expect("a text").to_owned())
}

/// Waits until the node knows that the tenant may have no more.
async fn until_full(node: &GaungNode, channel: &str, setting: &str) {
    eventually("the node knows what the others have", || async {
        let mut client = node.connect().await;
        subscribe(&mut client, channel).await.is_some_and(|text| text.contains(setting))
    })
    .await;
}

#[actix::test]
async fn what_a_tenant_has_is_counted_over_all_nodes() {
    let limits = "max_total_subscriptions=3,max_channels=2,max_connections=3";
    let cluster = Cluster::start(2, &[("GAUNG_APP_TENANT_LIMITS", limits)]).await;
    let mut one = cluster[0].connect().await;
    one.subscribe("orders.7").await;
    one.subscribe("products.7").await;
    until_full(&cluster[1], "users.7", "max_channels").await;
    // A channel that is occupied elsewhere is no further one.
    let mut two = cluster[1].connect().await;
    two.subscribe("orders.7").await;
    until_full(&cluster[0], "orders.7", "max_total_subscriptions").await;
    two.subscribe("orders.8").await;
    one.unsubscribe("products.7").await;
    eventually("the other node knows that there is room", || async {
        let mut client = cluster[1].connect().await;
        subscribe(&mut client, "users.7").await.is_none()
    })
    .await;
}

#[actix::test]
async fn members_and_sockets_of_a_tenant_are_counted_over_all_nodes_and_those_of_a_dead_node_go() {
    let limits = "max_members=2,max_connections=2";
    let mut cluster = Cluster::start(2, &[("GAUNG_APP_TENANT_LIMITS", limits)]).await;
    let mut clients = Vec::new();
    for user in ["1", "2"] {
        let mut client = cluster[0].connect().await;
        client.join("presence-room.7", &json!({ "user_id": user }).to_string()).await;
        clients.push(client);
    }
    until_full(&cluster[1], "orders.7", "max_connections").await;
    cluster[0].kill();
    eventually("what the dead node had is free", || async {
        let mut client = cluster[1].connect().await;
        subscribe(&mut client, "orders.7").await.is_none()
    })
    .await;
}

#[actix::test]
async fn each_node_grants_its_share_of_a_rate() {
    let cluster = Cluster::start(2, &[("GAUNG_APP_EVENTS_PER_SECOND", "20")]).await;
    eventually("a node grants no more than its share", || async {
        let body = json!({"name": "e", "channels": (0..20).map(|n| format!("c{n}")).collect::<Vec<_>>(), "data": "{}"});
        // Twice what a node has at once leaves it owing for a second.
        let first = cluster[0].post("/events", &body).await.0;
        let second = cluster[0].post("/events", &json!({"name": "e", "channel": "c", "data": "{}"})).await.0;
        (first, second) == (200, 429)
    })
    .await;
}

#[actix::test]
async fn deliveries_on_other_nodes_are_charged_too() {
    let cluster = Cluster::start(2, &[("GAUNG_APP_TENANT_LIMITS", "deliveries_per_second=2")]).await;
    let mut listeners = Vec::new();
    for _ in 0..40 {
        let mut client = cluster[1].connect().await;
        client.subscribe("orders.7").await;
        listeners.push(client);
    }
    // The node that publishes has no subscriber, and need not have heard of them yet.
    eventually("the publisher is charged", || async {
        let body = json!({"name": "e", "channel": "orders.7", "data": "{}"});
        cluster[0].post("/events", &body).await.0 == 429
    })
    .await;
    assert_eq!(cluster[0].post("/events", &json!({"name": "e", "channel": "orders.8", "data": "{}"})).await.0, 200);
}
