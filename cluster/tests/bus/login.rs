//! Who a node says it is, and what an operator hears when the server does not agree.

use gaung_cluster::bus::{Auth, BusSettings};

use crate::{
    bystanders::Log,
    node::{Node, settings},
    server::NatsServer,
};

const USER: &str = "authorization { users: [{ user: gaung, password: right-s3cret }] }";

fn user(server: &NatsServer, password: &str) -> BusSettings {
    let auth = Auth::User { user: "gaung".to_owned(), password: password.to_owned() };
    BusSettings { auth, ..settings(server) }
}

async fn expect_echo(node: &Node) {
    node.until("its beats come back", |core| core.canary_age().is_some()).await;
}

#[tokio::test]
async fn a_user_and_a_password_log_in() {
    let server = NatsServer::start_with(USER);
    expect_echo(&Node::start_with(user(&server, "right-s3cret"))).await;
}

#[tokio::test]
async fn a_token_logs_in() {
    let server = NatsServer::start_with(r#"authorization { token: "t0ken-s3cret" }"#);
    let auth = Auth::Token("t0ken-s3cret".to_owned());
    expect_echo(&Node::start_with(BusSettings { auth, ..settings(&server) })).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_once_without_its_value_and_tried_until_it_is_right() {
    let log = Log::catch();
    let mut server = NatsServer::start_with(USER);
    let node = Node::start_with(user(&server, "wrong-s3cret"));
    let status = node.until_status("the refusal is known", |status| status.last_error.is_some()).await;
    let error = status.last_error.unwrap();
    assert!(error.contains("check GAUNG_NATS_USER and GAUNG_NATS_PASSWORD"), "{error}");
    node.until_status("it tries again and again", |_| server.log().matches("authentication error").count() >= 5).await;
    let lines = log.lines("gaung_cluster", &format!("127.0.0.1:{}", server.port()));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("GAUNG_NATS_PASSWORD"), "{lines:#?}");
    server.restart_with(&USER.replace("right", "wrong"));
    node.until_status("it is let in", |status| status.connected && status.last_error.is_none()).await;
    expect_echo(&node).await;
    assert!(!log.text().contains("s3cret") && !error.contains("s3cret"));
}
