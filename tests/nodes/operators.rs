//! What operators see of the cluster.

use serde_json::{Value, json};

use crate::{
    common::{client::upgrade, process::run},
    harness::{cluster::Cluster, eventually, http_client},
};

#[actix::test]
async fn the_admin_port_lists_the_peers_with_age_sessions_and_version() {
    let cluster = Cluster::start(3, &[]).await;
    let _clients = (cluster[1].connect().await, cluster[1].connect().await);
    let id = cluster[1].id().await;
    for node in &cluster.nodes {
        eventually("the sessions of the second node are known", || async {
            node.peers().await.iter().any(|peer| peer["node"] == id.as_str() && peer["sessions"] == 2)
        })
        .await;
        for peer in node.peers().await {
            assert_eq!(peer["version"], env!("CARGO_PKG_VERSION"), "{peer}");
            assert!(peer["age_seconds"].as_f64().is_some_and(|seconds| seconds < 5.0), "{peer}");
        }
    }
}

#[actix::test]
async fn the_command_line_lists_them_too() {
    let cluster = Cluster::start(2, &[]).await;
    let (code, stdout, stderr) = run(&["peers", "--admin", &cluster[0].admin], &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for node in &cluster.nodes {
        assert!(stdout.contains(&node.id().await), "{stdout}");
    }
    assert!(stdout.contains(env!("CARGO_PKG_VERSION")), "{stdout}");
}

#[actix::test]
async fn a_node_without_nats_is_alone_and_ready() {
    let cluster = Cluster::prepare(crate::harness::nats::NatsServer::start().await, 1, &[]);
    let alone = cluster.launch(&[("GAUNG_NATS_URL", ""), ("GAUNG_CLUSTER_NAME", ""), ("GAUNG_CLUSTER_NODES", "")]);
    eventually("it is ready", || alone.is_ready()).await;
    let mut client = alone.connect().await;
    client.subscribe("orders").await;
    alone.publish("orders", "e", "{}").await;
    client.expect("e").await;
}

#[actix::test]
async fn a_console_sees_events_of_other_nodes_and_the_whole_cluster() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    let mut console = upgrade(http_client().ws(format!("{}/console/live", cluster[1].admin))).await;
    let hello = console.next().await;
    assert_eq!(hello["node"], cluster[1].id().await);
    console.send(json!({"type": "watch", "app": null, "channel": "orders"})).await;
    console.send(json!({"type": "rooms", "query": 1, "app": "app-id", "search": "", "limit": 1})).await;
    let mut next_of = async |kind: &str| loop {
        let frame: Value = console.next().await;
        if frame["type"] == kind {
            break frame;
        }
    };
    assert_eq!(next_of("rooms").await["total"], 1);
    cluster[0].publish("orders", "e", "d").await;
    client.expect("e").await;
    let shown = next_of("happenings").await["list"][0].clone();
    assert_eq!((&shown["origin"], &shown["event"], &shown["sockets"]), (&json!("peer"), &json!("e"), &json!(1)));
    let seen = next_of("snapshot").await["cluster"].clone();
    assert_eq!((&seen["connected"], seen["peers"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    assert_eq!((&seen["peers"][0]["this"], &seen["peers"][0]["node"]), (&json!(true), &hello["node"]));
}
