//! A node that may have so many sockets and so much memory: who is let in, and what load balancers are told.

use gaung::config::{Config, TenantAccess};
use serde_json::Value;

use crate::harness::{Client, TestNode, eventually, http_client, metrics, start_configured};

async fn start(max_connections: usize) -> TestNode {
    let change = |config: &mut Config| {
        config.limits.max_connections = Some(max_connections);
        config.tenant.access = TenantAccess::Open;
    };
    start_configured(change, |_| {}).await
}

async fn connect(node: &TestNode, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(node.connect().await);
    }
    clients
}

/// Status and report of `/readyz`, and status of `/ready`.
async fn readiness(node: &TestNode) -> (u16, Value, u16) {
    let ask = |url: String| http_client().get(url).send();
    let mut report = ask(format!("http://{}/readyz", node.node.admin)).await.expect("the admin port answers");
    let body = report.body().await.expect("the report has a body");
    let public = ask(node.url("/ready")).await.expect("the public port answers");
    let report = (report.status().as_u16(), serde_json::from_slice(&body).expect("the report is JSON"));
    (report.0, report.1, public.status().as_u16())
}

#[actix::test]
async fn at_the_limit_of_the_node_new_sockets_get_4100_and_a_closed_one_makes_room() {
    let node = start(2).await;
    let mut clients = connect(&node, 2).await;
    let mut third = node.open("/app/app-key").await;
    assert_eq!(third.expect("pusher:error").await["data"]["code"], 4100);
    assert_eq!(third.expect_close().await, (4100, "Over capacity".to_owned()));
    assert_eq!(node.open("/ws?tenant_id=42").await.expect_close().await.0, 4100);
    assert_eq!(node.counted().refusals("over_capacity"), 2);
    clients.pop();
    eventually("there is room again", || async { node.connections().await == 1 }).await;
    clients.extend(connect(&node, 1).await);
    for client in &mut clients {
        client.expect_silence().await;
    }
}

#[actix::test]
async fn a_node_is_not_ready_from_90_percent_until_below_85_and_says_why() {
    let node = start(20).await;
    let mut clients = connect(&node, 17).await;
    assert_eq!(readiness(&node).await.0, 200);
    clients.extend(connect(&node, 1).await);
    let (status, report, public) = readiness(&node).await;
    assert_eq!((status, public), (503, 500));
    let full = "full: 18 of 20 sockets (GAUNG_MAX_CONNECTIONS); ready again below 17";
    assert_eq!((&report["ready"], &report["draining"]), (&Value::Bool(false), &Value::Bool(false)));
    assert_eq!(report["checks"]["connections"], full);
    assert!(metrics(node.node.admin).await.contains("\ngaung_ready 0\n"));

    clients.truncate(17);
    eventually("a socket has gone", || async { node.connections().await == 17 }).await;
    assert_eq!(readiness(&node).await.0, 503, "between the marks nothing changes");
    clients.truncate(16);
    eventually("it is ready", || async { readiness(&node).await.0 == 200 }).await;
    let (_, report, public) = readiness(&node).await;
    assert_eq!((&report["checks"]["connections"], public), (&Value::from("ok"), 200));
    let metrics = metrics(node.node.admin).await;
    assert!(metrics.contains("\ngaung_ready 1\n") && metrics.contains("\ngaung_max_connections 20\n"), "{metrics}");
}

#[actix::test]
async fn a_node_above_its_memory_is_not_ready_says_why_and_serves_every_client() {
    let node = start_configured(|config| config.limits.max_memory_mb = Some(1), |_| {}).await;
    let (status, report, public) = readiness(&node).await;
    assert_eq!((status, public), (503, 500));
    let memory = report["checks"]["memory"].as_str().expect("the check is told");
    assert!(memory.starts_with("full: ") && memory.contains(" of 1 MiB resident (GAUNG_MAX_MEMORY_MB)"), "{memory}");
    node.connect().await.subscribe("c").await;
    assert!(metrics(node.node.admin).await.contains("\ngaung_max_memory_bytes 1048576\n"));
}

#[actix::test]
async fn without_limits_only_the_descriptors_bound_the_sockets() {
    let node = start_configured(|_| {}, |_| {}).await;
    assert_eq!(readiness(&node).await.1["checks"], serde_json::json!({"rooms": "ok", "connections": "ok"}));
    let metrics = metrics(node.node.admin).await;
    assert!(metrics.contains("\ngaung_max_connections ") && !metrics.contains("gaung_max_memory"), "{metrics}");
}
