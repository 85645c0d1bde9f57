//! The log says when something is over as it says when it began.

use std::time::Duration;

use crate::harness::{
    cluster::{Cluster, Variable},
    eventually,
    nats::NatsServer,
    node::GaungNode,
    raw_nats::RawNats,
    within,
};

/// What is not told of its end is over when it has not happened for half a minute.
const FADED: Duration = Duration::from_secs(60);

fn says(node: &GaungNode, level: &str, text: &str) -> bool {
    node.log().lines().any(|line| line.contains(level) && line.contains(text))
}

/// JetStream's answer to a request.
async fn request(nats: &mut RawNats, subject: &str, body: &str) -> String {
    nats.publish(&format!("$JS.API.STREAM.{subject} answers"), body.as_bytes()).await;
    String::from_utf8(nats.next().await.payload).expect("JetStream answers in JSON")
}

/// A node with a stream that somebody else made otherwise, until that is removed: the log has both, and the metric.
async fn check_stream(setting: Variable<'_>, stream: &str, config: &str, metric: &str, texts: [&str; 2]) {
    let server = NatsServer::start_with_jetstream().await;
    let mut nats = RawNats::connect(server.port).await;
    nats.subscribe("answers").await;
    let made = request(&mut nats, &format!("CREATE.{stream}"), config).await;
    assert!(made.contains("did_create"), "{made}");
    let cluster = Cluster::start_around(server, 1, &[("GAUNG_CLUSTER_NAME", "tests"), setting]).await;
    let node = &cluster[0];
    let [fails, works] = texts;
    eventually("it cannot be used", || async { says(node, "ERROR", fails) }).await;
    assert_eq!(node.metrics().await.sum(metric), 0.0);
    assert!(!says(node, "INFO", works), "{}", node.log());

    request(&mut nats, &format!("DELETE.{stream}"), "").await;
    eventually("the end is told", || async { says(node, "INFO", works) }).await;
    assert_eq!(node.metrics().await.sum(metric), 1.0);
}

#[actix::test]
async fn a_history_stream_that_works_again_is_told_of() {
    let stream = "gaung_v1_tests_history";
    let config = format!(r#"{{"name":"{stream}","subjects":["other"],"retention":"workqueue","storage":"memory"}}"#);
    let texts = ["the history stream cannot be used", "the history stream works again"];
    check_stream(("GAUNG_HISTORY_STREAM", "true"), stream, &config, "gaung_history_stream_up", texts).await;
}

#[actix::test]
async fn a_webhook_stream_that_works_again_is_told_of() {
    let config = r#"{"name":"hooks","subjects":["other"],"retention":"limits","storage":"memory"}"#;
    let texts = ["the webhook stream cannot be used", "the webhook stream works again"];
    check_stream(("GAUNG_WEBHOOK_STREAM", "hooks"), "hooks", config, "gaung_webhook_stream_up", texts).await;
}

const LOGIN: &str = "user: gaung, password: word";

#[actix::test]
async fn operations_that_the_nats_server_does_not_reject_any_more_are_told_of() {
    let user = |permissions: &str| format!("authorization {{ users: [{{ {LOGIN}{permissions} }}] }}\n");
    let server = NatsServer::start_with(&user(", permissions: { publish: { deny: \"gaung.>\" } }")).await;
    let login = [("GAUNG_NATS_USER", "gaung"), ("GAUNG_NATS_PASSWORD", "word")];
    let cluster = Cluster::prepare(server, 1, &login);
    let node = cluster.launch(&[]);
    eventually("it is rejected", || async { says(&node, "ERROR", "the NATS server rejected an operation") }).await;
    cluster.nats.reconfigure(&user(""));
    eventually("it is ready", || node.is_ready()).await;
    within(FADED, "the end is told", || async { says(&node, "INFO", "has not rejected an operation for a while") })
        .await;
}

#[actix::test]
async fn a_nats_server_that_takes_larger_messages_now_is_told_of() {
    let mut cluster = Cluster::start_around(NatsServer::start_with("max_payload: 65536\n").await, 1, &[]).await;
    eventually("it is too small", || async { says(&cluster[0], "WARN", "max_payload is too small") }).await;
    cluster.nats.reconfigure("");
    cluster.nats.kill();
    cluster.nats.start_again().await;
    eventually("the end is told", || async { says(&cluster[0], "INFO", "max_payload is large enough now") }).await;
}
