//! Who the nodes are to the nats-server, and how the way there is encrypted.

use crate::harness::{
    certificates::Certificates,
    cluster::{Cluster, Variable},
    credentials::Credentials,
    eventually,
    nats::NatsServer,
};

const PASSWORD: &str = "authorization { user: gaung, password: \"the right one\" }\n";

/// Two nodes with these variables become a cluster around a nats-server with these lines.
async fn check_allowed(lines: &str, variables: &[Variable<'_>]) {
    let cluster = Cluster::start_around(NatsServer::start_with(lines).await, 2, variables).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    cluster[0].publish("orders", "e", "{}").await;
    client.expect("e").await;
}

/// A node with these variables is not ready, says why, goes on trying, and serves its own sockets.
async fn check_refused(lines: &str, variables: &[Variable<'_>], reason: &str) {
    let cluster = Cluster::prepare(NatsServer::start_with(lines).await, 1, variables);
    let node = cluster.launch(&[]);
    let lines = || node.log().lines().filter(|line| line.contains(reason)).count();
    eventually("the log says why", || async { lines() > 0 }).await;
    assert!(!node.is_ready().await, "a node that never reached NATS is ready");
    assert_eq!(node.ask_admin("/livez").await.map(|(status, _)| status), Some(200));
}

#[actix::test]
async fn nodes_log_in_with_user_and_password() {
    check_allowed(PASSWORD, &[("GAUNG_NATS_USER", "gaung"), ("GAUNG_NATS_PASSWORD", "the right one")]).await;
}

#[actix::test]
async fn nodes_log_in_with_a_token() {
    check_allowed("authorization { token: \"the token\" }\n", &[("GAUNG_NATS_TOKEN", "the token")]).await;
}

#[actix::test]
async fn nodes_log_in_with_a_credentials_file() {
    let credentials = Credentials::make();
    let file = credentials.file.to_str().expect("the path is text");
    check_allowed(&credentials.nats_lines, &[("GAUNG_NATS_CREDENTIALS", file)]).await;
}

#[actix::test]
async fn credentials_of_another_account_are_refused() {
    let (credentials, others) = (Credentials::make(), Credentials::make());
    let file = others.file.to_str().expect("the path is text");
    check_refused(&credentials.nats_lines, &[("GAUNG_NATS_CREDENTIALS", file)], "refuses our login").await;
}

#[actix::test]
async fn nodes_reach_a_nats_server_over_tls_whose_authority_they_were_given() {
    let certificates = Certificates::make();
    let ca = certificates.text("ca.pem");
    check_allowed(&certificates.nats_block(""), &[("GAUNG_NATS_TLS", "true"), ("GAUNG_NATS_CA", &ca)]).await;
}

#[actix::test]
async fn nodes_show_a_certificate_of_their_own_where_the_nats_server_asks_for_it() {
    let certificates = Certificates::make();
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| certificates.text(name));
    let variables =
        [("GAUNG_NATS_TLS", "true"), ("GAUNG_NATS_CA", &ca), ("GAUNG_NATS_CERT", &cert), ("GAUNG_NATS_KEY", &key)];
    check_allowed(&certificates.nats_block(", verify: true"), &variables).await;
}

#[actix::test]
async fn a_nats_server_of_an_unknown_authority_is_not_trusted() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let ca = others.text("ca.pem");
    let variables = [("GAUNG_NATS_TLS", "true"), ("GAUNG_NATS_CA", ca.as_str())];
    check_refused(&certificates.nats_block(""), &variables, "certificate").await;
}

#[actix::test]
async fn a_nats_server_without_tls_is_refused_where_tls_is_required() {
    check_refused("", &[("GAUNG_NATS_TLS", "true")], "TLS").await;
}

#[actix::test]
async fn a_node_with_the_wrong_password_says_so_tries_again_and_is_ready_once_it_is_right() {
    let login = [("GAUNG_NATS_USER", "gaung"), ("GAUNG_NATS_PASSWORD", "the wrong one")];
    let mut cluster = Cluster::prepare(NatsServer::start_with(PASSWORD).await, 1, &login);
    let node = cluster.launch(&[]);
    eventually("the log tells of the login", || async {
        node.log().lines().any(|line| line.contains("ERROR") && line.contains("refuses our login"))
    })
    .await;
    assert!(!node.log().contains("the wrong one"), "the log shows the password");
    assert!(!node.is_ready().await, "a node that never reached NATS is ready");
    let attempts = || cluster.nats.log().matches("authentication error").count();
    eventually("it tries again", || async { attempts() >= 3 }).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    node.publish("orders", "e", "{}").await;
    client.expect("e").await;

    cluster.nats.reconfigure(&PASSWORD.replace("right", "wrong"));
    eventually("it is ready", || node.is_ready()).await;
    let told = |line: &str| line.contains("INFO") && line.contains("the NATS server takes the connection now");
    assert!(node.log().lines().any(told), "{}", node.log());
    cluster.nats.kill();
    client.expect_silence().await;
    eventually("it has noticed", || async { node.metrics().await.sum(crate::harness::metrics::CONNECTED) == 0.0 })
        .await;
    assert!(node.is_ready().await, "a node goes on without NATS");
}
