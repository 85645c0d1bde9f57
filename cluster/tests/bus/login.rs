//! Logins, and what an operator sees when the server rejects one.

use std::{fs, path::Path};

use data_encoding::BASE64URL_NOPAD;
use gaung_cluster::bus::{Auth, BusSettings};
use nkeys::KeyPair;

use crate::{bystanders::Log, node::Node, server::NatsServer};

const USER: &str = "authorization { users: [{ user: gaung, password: right-s3cret }] }";

fn user(server: &NatsServer, password: &str) -> BusSettings {
    let auth = Auth::User { user: "gaung".to_owned(), password: password.to_owned() };
    BusSettings { auth, ..server.settings() }
}

async fn expect_echo(node: &Node) {
    node.until("its beats come back", |core| core.loopback_age().is_some()).await;
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
    expect_echo(&Node::start_with(BusSettings { auth, ..server.settings() })).await;
}

#[tokio::test]
async fn a_wrong_password_is_logged_once_without_its_value_and_retried_until_it_is_right() {
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

/// A JWT as NATS wants it, signed by its issuer.
fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: &str) -> String {
    let header = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
    let (iss, sub) = (issuer.public_key(), subject.public_key());
    let claims = format!(r#"{{"jti":"1","iat":1,"iss":"{iss}","sub":"{sub}","name":"test","nats":{claims}}}"#);
    let text = format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Writes a credentials file; returns the configuration of a server that knows its user.
fn make_credentials(file: &Path) -> String {
    const NO_LIMITS: &str = r#""subs":-1,"data":-1,"payload":-1"#;
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let operator_jwt = jwt(&operator, &operator, r#"{"type":"operator","version":2}"#);
    let limits = format!(r#""limits":{{{NO_LIMITS},"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}}"#);
    let account_jwt = jwt(&operator, &account, &format!(r#"{{{limits},"type":"account","version":2}}"#));
    let user_jwt = jwt(&account, &user, &format!(r#"{{{NO_LIMITS},"type":"user","version":2}}"#));
    let seed = user.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(file, text).unwrap();
    let account = account.public_key();
    format!("operator: \"{operator_jwt}\"\nresolver: MEMORY\nresolver_preload: {{ {account}: \"{account_jwt}\" }}\n")
}

#[tokio::test]
async fn a_credentials_file_logs_in_also_when_it_was_replaced_meanwhile() {
    let mut server = NatsServer::absent();
    let file = server.folder().join("gaung.creds");
    server.restart_with(&make_credentials(&server.folder().join("other.creds")));
    let node = Node::start_with(BusSettings { auth: Auth::Credentials(file.clone()), ..server.settings() });
    let is_named = |error: &str| error.contains("GAUNG_NATS_CREDENTIALS") && error.contains("cannot be read");
    node.until_status("the file is missed", |status| status.last_error.as_deref().is_some_and(is_named)).await;
    fs::copy(server.folder().join("other.creds"), &file).unwrap();
    expect_echo(&node).await;
    server.restart_with(&make_credentials(&file));
    node.until_status("the new file is read", |status| status.connected && status.reconnects == 1).await;
}
