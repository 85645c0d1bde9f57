//! What back ends ask is answered by each node for the whole cluster.

use serde_json::{Value, json};

use crate::harness::{Client, cluster::Cluster, inner};

/// Three nodes: `orders` has a socket on each, `presence-room` ada on the first and both on the others.
async fn populated(variables: &[(&str, &str)]) -> (Cluster, Vec<Client>) {
    let cluster = Cluster::start(3, variables).await;
    let mut clients = Vec::new();
    for (node, user) in cluster.nodes.iter().zip(["ada", "bob", "ada"]) {
        let mut client = node.connect().await;
        client.subscribe("orders").await;
        client.ask_presence("presence-room", &json!({ "user_id": user }).to_string()).await;
        clients.push(client);
    }
    cluster
        .agree("everybody is seen", async |node| {
            node.subscriptions("orders").await == 3 && node.subscriptions("presence-room").await == 3
        })
        .await;
    (cluster, clients)
}

#[actix::test]
async fn channels_are_listed_with_the_counts_of_all_nodes() {
    let (cluster, _clients) = populated(&[]).await;
    for node in &cluster.nodes {
        let all = node.get("/channels", &[]).await;
        assert_eq!(all, json!({"channels": {"orders": {}, "presence-room": {}}}));
        let params = [("filter_by_prefix", "presence-"), ("info", "user_count,subscription_count")];
        let expected = json!({"channels": {"presence-room": {"user_count": 2, "subscription_count": 3}}});
        assert_eq!(node.get("/channels", &params).await, expected);
    }
}

#[actix::test]
async fn a_channel_tells_the_counts_of_all_nodes() {
    let (cluster, _clients) = populated(&[]).await;
    for node in &cluster.nodes {
        let info = [("info", "subscription_count")];
        assert_eq!(node.get("/channels/orders", &info).await, json!({"occupied": true, "subscription_count": 3}));
        let info = [("info", "user_count")];
        assert_eq!(node.get("/channels/presence-room", &info).await, json!({"occupied": true, "user_count": 2}));
        assert_eq!(node.members("presence-room").await, ["ada", "bob"]);
        assert_eq!(node.get("/channels/cold", &[]).await, json!({"occupied": false}));
    }
}

#[actix::test]
async fn a_channel_whose_sockets_are_all_on_other_nodes_is_occupied() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    cluster.agree("it is occupied", async |node| node.get("/channels/orders", &[]).await["occupied"] == true).await;
    drop(client);
    cluster.agree("it is vacant", async |node| node.get("/channels", &[]).await == json!({"channels": {}})).await;
}

#[actix::test]
async fn a_trigger_answers_with_the_counts_of_all_nodes() {
    let (cluster, _clients) = populated(&[]).await;
    for node in &cluster.nodes {
        let event = json!({"name": "e", "channels": ["orders", "presence-room", "cold"], "data": "{}",
                           "info": "user_count,subscription_count"});
        let counts = json!({"channels": {
            "orders": {"subscription_count": 3},
            "presence-room": {"user_count": 2, "subscription_count": 3},
            "cold": {"subscription_count": 0},
        }});
        assert_eq!(node.post("/events", &event).await, (200, counts));
    }
}

#[actix::test]
async fn subscribers_hear_how_many_they_are_on_all_nodes() {
    let cluster = Cluster::start(3, &[("GAUNG_APP_SUBSCRIPTION_COUNTS", "true")]).await;
    let mut first = cluster[0].connect().await;
    first.subscribe("orders").await;
    assert_eq!(count(&first.expect("pusher_internal:subscription_count").await), 1);
    let (mut second, mut third) = (cluster[1].connect().await, cluster[2].connect().await);
    second.subscribe("orders").await;
    assert_eq!(count(&first.expect("pusher_internal:subscription_count").await), 2);
    third.subscribe("orders").await;
    assert_eq!(count(&first.expect("pusher_internal:subscription_count").await), 3);
    drop(third);
    assert_eq!(count(&first.expect("pusher_internal:subscription_count").await), 2);
}

fn count(message: &Value) -> u64 {
    inner(message)["subscription_count"].as_u64().expect("a number of subscriptions")
}

#[actix::test]
async fn the_sockets_of_all_nodes_count_against_the_quota_of_the_app() {
    let cluster = Cluster::start(3, &[("GAUNG_APP_MAX_CONNECTIONS", "3")]).await;
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        clients.push(node.connect().await);
    }
    cluster.agree("all sockets are counted", async |node| node.connections().await == 3).await;
    for node in &cluster.nodes {
        let mut late = node.open("/app/app-key?protocol=7").await;
        // Not 4004, upon which clients never try again: what other nodes have is known a little late.
        assert_eq!(late.expect("pusher:error").await["data"]["code"], 4100);
        assert_eq!(late.expect_close().await.0, 4100);
    }
    clients.pop();
    cluster.agree("one socket is gone", async |node| node.connections().await == 2).await;
    cluster[0].connect().await;
}
