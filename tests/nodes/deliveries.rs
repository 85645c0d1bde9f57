//! How long events take from one node to the sockets of another, as the node that publishes them shows it.

use serde_json::Value;

use crate::harness::{cluster::Cluster, collector::Collector, eventually, node::GaungNode};

const SECONDS: &str = "gaung_cluster_delivery_seconds";

/// How many were measured, and what they took together.
async fn measured(node: &GaungNode) -> (f64, f64) {
    let metrics = node.metrics().await;
    (metrics.sum(&format!("{SECONDS}_count")), metrics.sum(&format!("{SECONDS}_sum")))
}

/// For how long nothing was heard of the other node.
async fn silence(node: &GaungNode) -> f64 {
    let peers = node.peers().await;
    let other = peers.iter().find(|peer| peer["this"] == Value::Bool(false)).expect("there is another node");
    other["age_seconds"].as_f64().expect("a number")
}

#[actix::test]
async fn the_way_to_the_sockets_of_another_node_is_measured_and_longer_while_that_stands_still() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    let client = Collector::of(client);
    let [publisher, receiver] = [&cluster[0], &cluster[1]];
    assert_eq!(measured(publisher).await, (0.0, 0.0));

    publisher.publish("orders", "e", "1").await;
    eventually("it is measured", || async { measured(publisher).await.0 == 1.0 }).await;
    let (_, usual) = measured(publisher).await;
    println!("{:.2} ms from node to socket", usual * 1e3);

    receiver.pause();
    publisher.publish("orders", "e", "2").await;
    eventually("the other node is silent", || async { silence(publisher).await > 2.0 }).await;
    receiver.resume();
    client.until("the event has come", |client| client.count("e") == 2).await;
    eventually("it is measured too", || async { measured(publisher).await.0 == 2.0 }).await;
    let slow = measured(publisher).await.1 - usual;
    println!("{:.2} ms while the other node stood still", slow * 1e3);
    assert!(slow > 0.5 && slow > 2.0 * usual, "{slow} s, and {usual} s before");
    assert_eq!(measured(receiver).await.0, 0.0, "who publishes nothing measures nothing");
}
