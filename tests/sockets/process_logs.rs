//! What a server writes to its log, and what it must never write there, however much it is asked to tell.

use std::io::{Read, Write};

use gaung::protocol::{
    AppKey, Secret,
    signature::{sign_channel, sign_request, sign_user},
};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::{
    common::{
        client::Client,
        process::{Process, serve},
        signer::Signer,
    },
    harness::{eventually, http_client, inner, now, upgrade},
    jwks::{Answer, Publisher},
    webhook_receiver::Receiver,
};

const SECRET: &str = "the-sensitive-secret";

fn key() -> AppKey {
    AppKey { key: "the-key".to_owned(), secret: Secret::new(SECRET) }
}

#[actix::test]
async fn a_log_at_trace_tells_no_secret_signature_payload_or_user_info() {
    let server = serve(&[
        ("GAUNG_APP_ID", "1"),
        ("GAUNG_APP_KEY", "the-key"),
        ("GAUNG_APP_SECRET", SECRET),
        ("GAUNG_ADMIN_TOKEN", "sensitive-token"),
        ("GAUNG_LOG", "trace"),
    ]);
    let mut client = server.connect("/app/the-key?protocol=7").await.greeted().await;
    let mut signatures = subscribe_and_sign_in(&mut client).await;
    signatures.extend(publish(&server, &mut client).await);
    subscribe_by_a_forged_signature(&mut client).await;
    let token = connect_by_token(&server).await;
    open_the_console(&server).await;

    server.signal("-TERM");
    server.wait_for("end", || server.stderr().contains("draining"));
    let log = server.stderr();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "the log tells everything: {log}");
    for (name, secret) in [("the secret", SECRET), ("the token", token.as_str()), ("anything else", "sensitive")] {
        assert!(!log.contains(secret), "{name} in {:?}", log.lines().find(|line| line.contains(secret)));
    }
    for signature in &signatures {
        let hex = signature.rsplit(':').next().expect("a signature ends in hex");
        assert!(!log.contains(hex), "a signature in {:?}", log.lines().find(|line| line.contains(hex)));
    }
}

/// The signatures with which it did.
async fn subscribe_and_sign_in(client: &mut Client) -> Vec<String> {
    let id = client.id.parse().expect("a socket id");
    let channel_auth = sign_channel(&key(), id, "private-a", None);
    client.send(json!({"event": "pusher:subscribe", "data": {"auth": channel_auth, "channel": "private-a"}})).await;
    client.expect("pusher_internal:subscription_succeeded").await;
    let user_data = r#"{"id":"42","user_info":{"name":"sensitive-name"}}"#;
    let user_auth = sign_user(&key(), id, user_data);
    client.send(json!({"event": "pusher:signin", "data": {"auth": user_auth, "user_data": user_data}})).await;
    assert_eq!(inner(&client.expect("pusher:signin_success").await)["user_data"], user_data);
    vec![channel_auth, user_auth]
}

/// Publishes what the client hears, and is refused with another body. Returns the signature of both.
async fn publish(server: &Process, client: &mut Client) -> Option<String> {
    let body = json!({"name": "e", "channel": "private-a", "data": "sensitive-payload"}).to_string();
    let query = sign_request(&key(), "POST", "/apps/1/events", &[], body.as_bytes(), now());
    let post = |query: &str, body: &str| {
        let request = http_client().post(format!("{}/apps/1/events?{query}", server.address("public")));
        request.send_body(body.to_owned())
    };
    assert_eq!(post(&query, &body).await.expect("the server answers").status().as_u16(), 200);
    client.expect("e").await;
    assert_eq!(post(&query, "another body").await.expect("the server answers").status().as_u16(), 401);
    query.split('&').find_map(|pair| pair.strip_prefix("auth_signature=")).map(str::to_owned)
}

async fn subscribe_by_a_forged_signature(client: &mut Client) {
    let forged = json!({"auth": "the-key:sensitive-forgery", "channel": "private-b"});
    client.send(json!({"event": "pusher:subscribe", "data": forged})).await;
    client.expect("pusher:subscription_error").await;
    client.expect("pusher:error").await;
}

/// A tenant socket by a token, which is returned, and one that is refused with a spoilt one.
async fn connect_by_token(server: &Process) -> String {
    let claims = json!({"tenant_id": "7", "user_id": "sensitive-user", "exp": now().as_secs() + 60});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token");
    let mut tenant = server.connect(&format!("/ws?tenant_id=7&token={token}")).await;
    assert_eq!(tenant.next().await["type"], "connected");
    let refused = format!("{token}x");
    assert_eq!(server.connect(&format!("/ws?tenant_id=7&token={refused}")).await.expect_close().await.0, 4011);
    token
}

async fn open_the_console(server: &Process) {
    for token in ["sensitive-token", "sensitive-guess"] {
        let visit = awc::Client::builder().disable_redirects().finish();
        let page =
            visit.get(format!("{}/?token={token}", server.address("admin"))).insert_header(("Accept", "text/html"));
        assert_eq!(page.send().await.expect("the console answers").status().as_u16(), 303);
    }
}

#[actix::test]
async fn the_first_refused_origin_of_an_app_is_logged_with_what_to_set_and_the_others_are_not() {
    let server = serve(&[
        ("GAUNG_APP_ID", "shop"),
        ("GAUNG_APP_KEY", "the-key"),
        ("GAUNG_APP_SECRET", SECRET),
        ("GAUNG_APP_ALLOWED_ORIGINS", "*.example.com"),
        ("GAUNG_LOG", "info"),
    ]);
    for origin in ["https://first.test", "https://second.test"] {
        let request = http_client().ws(format!("{}/app/the-key", server.address("public"))).origin(origin);
        assert_eq!(upgrade(request).await.expect_close().await.0, 4009);
    }
    server.signal("-TERM");
    server.wait_for("end", || server.stderr().contains("draining"));
    let log = server.stderr();
    let told: Vec<_> = log.lines().filter(|line| line.contains("origin refused")).collect();
    let [line] = told[..] else { panic!("one line: {log}") };
    for part in [" WARN ", "GAUNG_APP_ALLOWED_ORIGINS", "app=shop", "https://first.test"] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn quotes_around_a_secret_are_told_of_at_the_start() {
    let quoted = format!("\"{SECRET}\"");
    let server = serve(&[("GAUNG_APP_ID", "shop"), ("GAUNG_APP_KEY", "the-key"), ("GAUNG_APP_SECRET", &quoted)]);
    let log = server.stderr();
    let told: Vec<_> = log.lines().filter(|line| line.contains("quotation mark")).collect();
    let [line] = told[..] else { panic!("one line: {log}") };
    assert!(line.contains(" WARN ") && line.contains("GAUNG_APP_SECRET") && !line.contains(SECRET), "{line}");
}

#[actix::test]
async fn an_endpoint_that_fails_is_told_of_once_and_so_is_the_end_of_it() {
    let mut receiver = Receiver::start().await;
    let webhooks = json!([{ "url": receiver.url }]).to_string();
    let server = serve(&[
        ("GAUNG_APP_ID", "shop"),
        ("GAUNG_APP_KEY", "the-key"),
        ("GAUNG_APP_SECRET", SECRET),
        ("GAUNG_APP_WEBHOOKS", &webhooks),
        ("GAUNG_LOG", "info"),
    ]);
    let mut client = server.connect("/app/the-key?protocol=7").await.greeted().await;
    client.subscribe("orders").await;
    for status in ["500 Internal Server Error", "500 Internal Server Error", "200 OK"] {
        receiver.next().await.answer(status, "");
    }
    eventually("the end is told", || async { server.stderr().contains("webhooks are delivered again") }).await;
    let log = server.stderr();
    let failures: Vec<_> = log.lines().filter(|line| line.contains("webhook failed")).collect();
    let [line] = failures[..] else { panic!("one line: {log}") };
    assert!(line.contains(" WARN ") && line.contains("app=shop") && line.contains("500"), "{line}");
}

#[actix::test]
async fn an_application_that_says_nothing_usable_about_tenants_is_told_of_once_with_who_came_and_so_is_the_end_of_it() {
    // What listens there closes at once.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let answers = std::thread::spawn(move || {
        for (number, socket) in listener.incoming().take(11).enumerate() {
            let mut socket = socket.expect("a question");
            let _ = socket.read(&mut [0; 4_096]);
            if let Some(status) = [(5, "500 Oops"), (10, "403 Forbidden")].iter().rfind(|(from, _)| number >= *from) {
                let answer = format!("HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status.1);
                let _ = socket.write_all(answer.as_bytes());
            }
        }
    });
    let server = serve(&[
        ("GAUNG_APP_ID", "shop"),
        ("GAUNG_APP_KEY", "the-key"),
        ("GAUNG_APP_SECRET", SECRET),
        ("GAUNG_TENANT_ACCESS", "callback"),
        ("GAUNG_TENANT_CALLBACK_URL", &url),
        ("GAUNG_LOG", "info"),
    ]);
    for _ in 0..10 {
        assert_eq!(server.connect("/ws?tenant_id=7").await.expect_close().await.0, 4101);
    }
    assert!(!server.stderr().contains("GAUNG_TENANT_CALLBACK_URL answers again"), "{}", server.stderr());
    // A refusal is an answer.
    server.connect("/ws?tenant_id=7").await.expect_close().await;
    answers.join().expect("all questions were asked");
    server.signal("-TERM");
    server.wait_for("end", || server.stderr().contains("draining"));
    let log = server.stderr();
    let told: Vec<_> = log.lines().filter(|line| line.contains("GAUNG_TENANT_CALLBACK_URL answers again")).collect();
    assert!(told.len() == 1 && told[0].contains(" INFO "), "{log}");
    for text in ["no response from", "expected 2xx, 401 or 403"] {
        let told: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        let [line] = told[..] else { panic!("one line: {log}") };
        assert!(line.contains(" WARN ") && line.contains("127.0.0.1") && line.contains("sockets=1"), "{line}");
    }
}

#[actix::test]
async fn an_issuer_without_usable_keys_is_told_of_once_and_so_is_the_end_of_it_and_no_token_is() {
    let signer = Signer::es256();
    let publisher = Publisher::start(Answer::page("500 Oops", ""));
    let server = serve(&[
        ("GAUNG_APP_ID", "shop"),
        ("GAUNG_APP_KEY", "the-key"),
        ("GAUNG_APP_SECRET", SECRET),
        ("GAUNG_TENANT_TOKEN_ALGORITHMS", "ES256"),
        ("GAUNG_TENANT_JWKS_URL", &publisher.url),
        ("GAUNG_TENANT_JWKS_PAUSE_SECONDS", "1"),
        ("GAUNG_TENANT_TOKEN_AUDIENCE", "gaung"),
        ("GAUNG_LOG", "info"),
    ]);
    eventually("it is read a second time", || async { publisher.asked() > 1 }).await;
    let token = signer.token(Some("k"), &json!({"tenant_id": "7", "aud": "gaung", "exp": now().as_secs() + 60}));
    let path = format!("/ws?tenant_id=7&token={token}");
    assert_eq!(server.connect(&path).await.expect_close().await.0, 4101);
    publisher.set(Answer::keys(&[signer.jwk("k", json!({}))]));
    eventually("the end is told", || async { server.stderr().contains("GAUNG_TENANT_JWKS_URL can be read again") })
        .await;
    assert_eq!(server.connect(&path).await.next().await["type"], "connected");
    let log = server.stderr();
    for (text, level) in [
        ("no keys of GAUNG_TENANT_JWKS_URL are in force", " ERROR "),
        ("keys of GAUNG_TENANT_JWKS_URL taken keys=1", " INFO "),
        ("GAUNG_TENANT_JWKS_URL can be read again", " INFO "),
    ] {
        let told: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        assert!(told.len() == 1 && told[0].contains(level), "{text}: {log}");
    }
    assert!(log.contains("the answer has status 500 Internal Server Error, not 200"), "{log}");
    assert!(!log.contains(&token) && !log.contains(token.rsplit('.').next().expect("a signature")), "{log}");
}
