//! `gaung roundtrip` through an address behind which there are two nodes.

use crate::{
    common::process::run,
    harness::{balancer::Balancer, cluster::Cluster, eventually, nats::NatsServer},
};

const APP: [(&str, &str); 3] =
    [("GAUNG_APP_ID", "app-id"), ("GAUNG_APP_KEY", "app-key"), ("GAUNG_APP_SECRET", "app-secret")];

/// Runs the command while the test's own tasks go on: exit code, stdout, stderr.
async fn roundtrip(arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<String> = ["roundtrip"].iter().chain(arguments).map(|&text| text.to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, &APP)
    });
    running.await.expect("the command runs")
}

#[actix::test]
async fn sockets_on_two_nodes_hear_what_is_posted_to_either() {
    let cluster = Cluster::start(2, &[]).await;
    let balancer = Balancer::start(&[&cluster[0].public, &cluster[1].public]).await;
    let (code, stdout, stderr) = roundtrip(&["--url", &balancer.origin, "--admin", &cluster[0].admin]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("10 events on ") && stdout.contains("both sockets heard each, in order"), "{stdout}");
    for node in &cluster.nodes {
        let metrics = node.metrics().await;
        assert_eq!(metrics.sum("gaung_connections_opened_total"), 1.0, "each node had a socket");
        assert_eq!(metrics.sum("gaung_events_in_total"), 5.0, "each node took half of the events");
        assert_eq!(metrics.sum("gaung_deliveries_total"), 10.0, "each socket heard all");
    }
}

#[actix::test]
async fn a_node_that_hears_nothing_of_the_other_is_found() {
    let mut cluster = Cluster::prepare(NatsServer::start().await, 2, &[]);
    let (cut_off, proxy) = cluster.launch_behind(&[]).await;
    cluster.nodes = vec![cluster.launch(&[]), cut_off];
    cluster.settle().await;
    proxy.cut();
    let balancer = Balancer::start(&[&cluster[0].public, &cluster[1].public]).await;
    eventually("the node that is cut off knows it", || async {
        cluster[1].ask_admin("/readyz").await.is_some_and(|(_, text)| text.contains("cut off from NATS"))
    })
    .await;
    let (code, _, stderr) = roundtrip(&["--url", &balancer.origin, "--timeout", "3"]).await;
    assert_eq!(code, Some(1), "{stderr}");
    let expected = "gaung: event 1 was accepted, but the second socket did not hear it within 3 s; look at the log and \
                    /readyz of each node, and whether `gaung peers` lists all nodes on each";
    assert!(stderr.starts_with(expected), "{stderr}");
}
