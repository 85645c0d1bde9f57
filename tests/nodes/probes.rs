//! What an orchestrator is told while NATS is away.

use serde_json::Value;

use crate::harness::{cluster::Cluster, eventually, node::GaungNode};

async fn readiness(node: &GaungNode) -> (u16, Value) {
    let (status, report) = node.ask_admin("/readyz").await.expect("the admin port answers");
    (status, serde_json::from_str(&report).expect("the report is JSON"))
}

async fn cluster_check(node: &GaungNode) -> String {
    readiness(node).await.1["checks"]["cluster"].as_str().expect("a node of a cluster tells of it").to_owned()
}

/// The probe that restarts a process.
async fn is_alive(node: &GaungNode) -> bool {
    matches!(node.ask_admin("/livez").await, Some((200, _)))
}

#[actix::test]
async fn a_node_that_lost_nats_stays_ready_and_says_that_it_is_cut_off() {
    let mut cluster = Cluster::start(2, &[]).await;
    cluster.nats.kill();
    for node in &cluster.nodes {
        eventually("it has noticed", || async { cluster_check(node).await.starts_with("cut off from NATS") }).await;
        assert_eq!(readiness(node).await.0, 200);
        assert!(is_alive(node).await);
    }
}

#[actix::test]
async fn a_node_that_is_to_leave_load_balancers_without_nats_does_and_comes_back_with_it() {
    let mut cluster = Cluster::start(2, &[("GAUNG_READY_WITHOUT_NATS", "false")]).await;
    let mut client = cluster[0].connect().await;
    client.subscribe("orders").await;
    cluster.nats.kill();
    for node in &cluster.nodes {
        eventually("it is not ready", || async { readiness(node).await.0 == 503 }).await;
        let (_, report) = readiness(node).await;
        assert_eq!((&report["ready"], &report["draining"]), (&Value::Bool(false), &Value::Bool(false)));
        assert!(cluster_check(node).await.contains("GAUNG_READY_WITHOUT_NATS"), "{report}");
        assert_eq!(node.metrics().await.sum("gaung_ready"), 0.0);
        assert!(is_alive(node).await, "a restart would bring nothing back");
    }
    cluster[0].publish("orders", "e", "{}").await;
    client.expect("e").await;
    cluster.nats.start_again().await;
    for node in &cluster.nodes {
        eventually("it is ready again", || node.is_ready()).await;
        assert_eq!(cluster_check(node).await, "ok");
    }
}

#[actix::test]
async fn a_full_node_is_a_full_member_of_its_cluster() {
    let mut cluster = Cluster::start(2, &[]).await;
    let full = cluster.launch(&[("GAUNG_MAX_CONNECTIONS", "2")]);
    eventually("it is ready", || full.is_ready()).await;
    let mut clients = [full.connect().await, full.connect().await];
    let id = full.id().await;
    cluster.nodes.push(full);
    let full = &cluster.nodes[2];
    eventually("it is not ready", || async { readiness(full).await.0 == 503 }).await;
    cluster
        .agree("its peers count on it", async |node| {
            node.peers().await.iter().any(|peer| peer["node"] == id && peer["readiness"] == "ready")
        })
        .await;
    clients[0].subscribe("orders").await;
    eventually("the subscription is known", || async { cluster[0].subscriptions("orders").await == 1 }).await;
    cluster[0].publish("orders", "e", "{}").await;
    clients[0].expect("e").await;
    clients[1].expect_silence().await;
}
