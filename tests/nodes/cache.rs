//! Cache channels: the last event of a channel is known on every node.

use serde_json::json;

use crate::harness::{cluster::Cluster, eventually, node::GaungNode};

/// Whether a node would give its next subscriber this event's data.
async fn remembers(node: &GaungNode, channel: &str, data: &str) -> bool {
    node.get(&format!("/channels/{channel}"), &[("info", "cache")]).await["cache"]["data"] == data
}

#[actix::test]
async fn the_first_subscriber_gets_an_event_that_was_triggered_on_another_node_without_any() {
    let cluster = Cluster::start(3, &[]).await;
    cluster[0].publish("cache-news", "headline", r#"{"n":1}"#).await;
    cluster.agree("the event is known", async |node| remembers(node, "cache-news", r#"{"n":1}"#).await).await;
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        client.subscribe("cache-news").await;
        client.expect_exactly(json!({"event": "headline", "channel": "cache-news", "data": r#"{"n":1}"#})).await;
    }
}

#[actix::test]
async fn the_newest_of_the_events_triggered_on_all_nodes_is_kept_by_all() {
    let cluster = Cluster::start(3, &[]).await;
    for round in 0..4 {
        for (index, node) in cluster.nodes.iter().enumerate() {
            node.publish("cache-news", "headline", &format!("{round}-{index}")).await;
        }
    }
    cluster.agree("the last one is known", async |node| remembers(node, "cache-news", "3-2").await).await;
}

#[actix::test]
async fn an_event_of_a_cache_channel_is_also_heard_at_once_on_all_nodes_and_only_once() {
    let cluster = Cluster::start(3, &[]).await;
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        client.subscribe("cache-news").await;
        client.expect("pusher:cache_miss").await;
        clients.push(client);
    }
    for number in 0..20 {
        cluster[number % 3].publish("cache-news", "headline", &number.to_string()).await;
        for client in &mut clients {
            assert_eq!(client.expect("headline").await["data"], number.to_string());
        }
    }
    for client in &mut clients {
        client.expect_silence().await;
    }
}

#[actix::test]
async fn the_sender_of_a_cached_event_is_left_out_on_its_node_and_gets_it_when_it_subscribes_again() {
    let cluster = Cluster::start(2, &[]).await;
    let (mut author, mut reader) = (cluster[1].connect().await, cluster[1].connect().await);
    for client in [&mut author, &mut reader] {
        client.subscribe("cache-news").await;
        client.expect("pusher:cache_miss").await;
    }
    let event = json!({"name": "headline", "channel": "cache-news", "data": "1", "socket_id": author.id});
    assert_eq!(cluster[0].post("/events", &event).await, (200, json!({})));
    reader.expect("headline").await;
    author.expect_silence().await;
    author.unsubscribe("cache-news").await;
    author.subscribe("cache-news").await;
    assert_eq!(author.expect("headline").await["data"], "1");
}

#[actix::test]
async fn a_node_that_comes_later_gives_its_first_subscriber_the_event() {
    let cluster = Cluster::start(2, &[]).await;
    cluster[0].publish("cache-news", "headline", "1").await;
    let late = cluster.launch(&[]);
    eventually("the late node is ready", || late.is_ready()).await;
    let mut client = late.connect().await;
    client.subscribe("cache-news").await;
    assert_eq!(client.expect("headline").await["data"], "1");
}

#[actix::test]
async fn a_cached_event_outlives_the_node_on_which_it_was_triggered() {
    let mut cluster = Cluster::start(2, &[]).await;
    cluster[0].publish("cache-news", "headline", "1").await;
    cluster.agree("the event is known", async |node| remembers(node, "cache-news", "1").await).await;
    cluster[0].kill();
    let mut client = cluster[1].connect().await;
    client.subscribe("cache-news").await;
    assert_eq!(client.expect("headline").await["data"], "1");
}
