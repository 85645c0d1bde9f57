//! Rights that end: sockets that last as long as their tokens, newer tokens on open sockets, and tokens that are revoked.

use gaung::config::{AppSettings, TenantAccess};
use serde_json::{Value, json};

use crate::{
    common::signer::Signer,
    event_stream::EventStream,
    harness::{Client, TestNode, eventually, now, start, start_configured, start_with},
    jwks::{Answer, Publisher},
    tenant::{expect_error, expect_silence, greeted, subscribe, tenant_socket},
    tenant_access::{claims, expect_refusal, token},
};

const EXPIRED: &str = "The token has expired; connect with a new one";
const REVOKED: &str = "The token was revoked; connect with a new one";

/// A socket of tenant 7 with a token of these claims.
async fn with(node: &TestNode, others: Value) -> Client {
    tenant_socket(node, &format!("&token={}", token(others))).await
}

/// Claims of a token that was issued so many seconds ago.
fn of_user(user: &str, ago: u64) -> Value {
    json!({"user_id": user, "iat": now().as_secs() - ago, "channels": ["private-*.7", "presence-*.7"]})
}

async fn send_token(client: &mut Client, others: Value) {
    client.send(json!({"type": "token", "token": token(others)})).await;
}

async fn revoke(node: &TestNode, body: Value) {
    let (status, answer) = node.post("/tokens/revoke", &body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["issued_before"].as_u64().expect("an instant") <= now().as_secs() + 1);
}

async fn expect_revoked(mut client: Client) {
    client.expect_exactly(json!({"type": "error", "code": 4015, "message": REVOKED})).await;
    assert_eq!(client.expect_close().await, (4015, REVOKED.to_owned()));
}

#[actix::test]
async fn a_socket_is_told_before_its_token_ends_and_closed_after_that() {
    let node = start(|_| {}).await;
    let expires = now().as_secs() + 5;
    let mut client = with(&node, json!({"exp": expires})).await;
    let told = client.next().await;
    assert_eq!((&told["type"], &told["expires"]), (&json!("token_expires"), &json!(expires)), "{told}");
    assert!(told["seconds"].as_u64().expect("a number of seconds") <= 1, "{told}");
    client.expect_exactly(json!({"type": "error", "code": 4015, "message": EXPIRED})).await;
    assert!(now().as_secs() >= expires);
    assert_eq!(client.expect_close().await, (4015, EXPIRED.to_owned()));
    eventually("the end is counted", || async { node.counted().closes("token_expired") == 1 }).await;
}

#[actix::test]
async fn a_newer_token_keeps_the_socket_with_all_that_it_has() {
    let node = start(|_| {}).await;
    let (exp, later) = (now().as_secs() + 5, now().as_secs() + 600);
    let mut client = with(&node, json!({"exp": exp, "channels": ["private-a.7"]})).await;
    subscribe(&mut client, "private-a.7").await;
    assert_eq!(client.next().await["type"], "token_expires");
    send_token(&mut client, json!({"exp": later, "channels": ["private-a.7"]})).await;
    client.expect_exactly(json!({"type": "token_accepted", "expires": later})).await;
    // Later than any socket would have been closed for the first token.
    eventually("the first token is over", || async { now().as_secs() > exp + 6 }).await;
    node.publish("private-a.7", "paid", "{}").await;
    client.expect_text(r#"{"type":"paid","channel":"private-a.7","data":{"tenantId":"7"}}"#).await;
}

#[actix::test]
async fn what_a_newer_token_does_not_grant_ends_and_what_it_grants_begins() {
    let node = start(|_| {}).await;
    let mut client = with(&node, json!({"user_id": "ada", "channels": ["private-a.7", "presence-a.7"]})).await;
    subscribe(&mut client, "private-a.7").await;
    subscribe(&mut client, "products.7").await;
    let exp = now().as_secs() + 600;
    send_token(&mut client, json!({"user_id": "ada", "exp": exp, "channels": ["private-b.7"]})).await;
    let refusal = "a private or presence channel needs a token whose claim channels names it";
    client.expect_exactly(json!({"type": "error", "code": 403, "message": refusal, "channel": "private-a.7"})).await;
    client.expect_exactly(json!({"type": "unsubscribed", "channel": "private-a.7"})).await;
    client.expect_exactly(json!({"type": "token_accepted", "expires": exp})).await;
    subscribe(&mut client, "private-b.7").await;
    for channel in ["private-a.7", "products.7", "private-b.7"] {
        node.publish(channel, "said", "{}").await;
    }
    for channel in ["products.7", "private-b.7"] {
        client.expect_exactly(json!({"type": "said", "channel": channel, "data": {"tenantId": "7"}})).await;
    }
    client.send(json!({"type": "subscribe", "channel": "presence-a.7"})).await;
    expect_error(&mut client, 403, Some("presence-a.7"), refusal).await;
}

#[actix::test]
async fn a_token_that_is_refused_changes_nothing_and_the_socket_stays() {
    let node = start(|_| {}).await;
    let mut client = with(&node, json!({"user_id": "ada", "channels": ["private-a.7"]})).await;
    subscribe(&mut client, "private-a.7").await;
    let other = "the token is for another tenant or user than the socket";
    for (others, code, text) in [
        (json!({"tenant_id": "8", "user_id": "ada"}), 403, other),
        (json!({"user_id": "bob"}), 403, other),
        (json!({}), 403, other),
        (json!({"user_id": "ada", "exp": now().as_secs() - 60}), 401, "the token has expired"),
    ] {
        send_token(&mut client, others).await;
        expect_error(&mut client, code, None, text).await;
    }
    client.send(json!({"type": "token", "token": "nonsense"})).await;
    expect_error(&mut client, 401, None, "the token is not a JWT").await;
    client.send(json!({"type": "token"})).await;
    expect_error(&mut client, 400, None, "the message has no string member \"token\"").await;
    node.publish("private-a.7", "said", "{}").await;
    client.expect_exactly(json!({"type": "said", "channel": "private-a.7", "data": {"tenantId": "7"}})).await;
    assert_eq!(node.counted().auth_failures("tenant"), 2);
}

#[actix::test]
async fn where_sockets_have_no_tokens_none_is_taken() {
    let node = start_configured(|config| config.tenant.access = TenantAccess::Open, |_| {}).await;
    let mut client = tenant_socket(&node, "").await;
    send_token(&mut client, json!({})).await;
    expect_error(&mut client, 400, None, "sockets have no tokens here (GAUNG_TENANT_ACCESS)").await;
    let (status, _) = node.post("/tokens/revoke", &json!({"tenant": "7"})).await;
    assert_eq!(status, 400);
}

#[actix::test]
async fn a_newer_token_is_checked_with_keys_that_must_be_read_first() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let publisher = Publisher::start(Answer::keys(&[old.jwk("old", json!({}))]));
    let node = publisher.node("ES256", |_| {}).await;
    let first = old.token(Some("old"), &claims(json!({})));
    let mut client = tenant_socket(&node, &format!("&token={first}")).await;
    let exp = now().as_secs() + 600;
    let second = new.token(Some("new"), &claims(json!({"exp": exp})));
    client.send(json!({"type": "token", "token": second})).await;
    expect_error(&mut client, 401, None, "the token is signed with none of the issuer's keys").await;
    publisher.set(Answer::page("500 Internal Server Error", "{}"));
    client.send(json!({"type": "token", "token": second})).await;
    let refusal = "the keys of the token's issuer cannot be read now; send it again in a while";
    expect_error(&mut client, 503, None, refusal).await;
    publisher.set(Answer::keys(&[old.jwk("old", json!({})), new.jwk("new", json!({}))]));
    // A reading that is under way may have asked before.
    let answer = loop {
        client.send(json!({"type": "token", "token": second})).await;
        let answer = client.next().await;
        if answer["code"] != 503 {
            break answer;
        }
    };
    assert_eq!(answer, json!({"type": "token_accepted", "expires": exp}));
    expect_silence(&mut client).await;
}

#[actix::test]
async fn revoked_tokens_of_a_user_end_its_sockets_and_open_none() {
    let node = start(|_| {}).await;
    let old = format!("&token={}", token(of_user("ada", 5)));
    let ada = tenant_socket(&node, &old).await;
    let mut bob = with(&node, of_user("bob", 5)).await;
    let mut without_user = with(&node, json!({"iat": now().as_secs() - 5})).await;
    revoke(&node, json!({"tenant": "7", "user": "ada"})).await;
    expect_revoked(ada).await;
    expect_silence(&mut bob).await;
    expect_silence(&mut without_user).await;
    expect_refusal(node.open(&format!("/ws?tenant_id=7{old}")).await, 4015, REVOKED).await;
    let newer = json!({"user_id": "ada", "iat": now().as_secs() + 2});
    with(&node, newer).await;
    assert_eq!(node.counted().refusals("token_revoked"), 1);
    eventually("the end is counted", || async { node.counted().closes("token_revoked") == 1 }).await;
}

#[actix::test]
async fn revoked_tokens_of_a_tenant_are_those_of_all_its_users_and_of_no_other_tenant() {
    let node = start(|_| {}).await;
    let before = now().as_secs() - 100;
    let old = with(&node, json!({"user_id": "ada", "iat": before - 1})).await;
    let mut new = with(&node, json!({"user_id": "ada", "iat": before})).await;
    let undated = with(&node, json!({})).await;
    let other = format!("/ws?tenant_id=8&token={}", token(json!({"tenant_id": "8", "iat": before - 1})));
    let mut other = greeted(node.open(&other).await).await;
    revoke(&node, json!({"tenant": 7, "issued_before": before})).await;
    expect_revoked(old).await;
    expect_silence(&mut new).await;
    revoke(&node, json!({"tenant": 7})).await;
    expect_revoked(new).await;
    // Without iat it counts from when it was taken.
    expect_revoked(undated).await;
    expect_silence(&mut other).await;
}

#[actix::test]
async fn a_socket_that_was_given_a_newer_token_has_that_ones_age() {
    let node = start(|_| {}).await;
    let before = now().as_secs() - 100;
    let mut client = with(&node, json!({"user_id": "ada", "iat": before - 1})).await;
    send_token(&mut client, json!({"user_id": "ada", "iat": before})).await;
    assert_eq!(client.next().await["type"], "token_accepted");
    revoke(&node, json!({"tenant": "7", "user": "ada", "issued_before": before})).await;
    expect_silence(&mut client).await;
    send_token(&mut client, json!({"user_id": "ada", "iat": before - 1})).await;
    expect_error(&mut client, 401, None, "the token was revoked; send a newer one").await;
}

#[actix::test]
async fn streams_end_with_their_tokens_and_a_browser_that_comes_back_is_told_why() {
    let node = start(|_| {}).await;
    let path = |token: &str| format!("/sse?tenant_id=7&channels=products.7&token={token}");
    let mut stream = EventStream::open(&node, &path(&token(json!({"exp": now().as_secs() + 5}))), "").await;
    stream.expect_greeting().await;
    assert_eq!(stream.json().await["type"], "subscribed");
    assert_eq!(stream.json().await["type"], "token_expires");
    assert_eq!(stream.json().await, json!({"type": "error", "code": 4015, "message": EXPIRED}));
    stream.expect_end().await;
    let over = path(&token(json!({"exp": now().as_secs() - 60})));
    let mut back = EventStream::open(&node, &over, "Last-Event-ID: products.7:k3x09a-17\r\n").await;
    assert_eq!(back.status(), 200);
    assert_eq!(back.json().await, json!({"type": "error", "code": 4015, "message": EXPIRED}));
    back.expect_end().await;
    assert_eq!(EventStream::open(&node, &over, "").await.status(), 401);
}

#[actix::test]
async fn streams_of_revoked_tokens_end_and_a_browser_that_comes_back_is_told_why() {
    let node = start(|_| {}).await;
    let path = format!("/sse?tenant_id=7&channels=products.7&token={}", token(of_user("ada", 5)));
    let mut stream = EventStream::open(&node, &path, "").await;
    stream.expect_greeting().await;
    assert_eq!(stream.json().await["type"], "subscribed");
    revoke(&node, json!({"tenant": "7", "user": "ada"})).await;
    assert_eq!(stream.json().await, json!({"type": "error", "code": 4015, "message": REVOKED}));
    stream.expect_end().await;
    let mut back = EventStream::open(&node, &path, "").await;
    assert_eq!(back.status(), 200);
    assert_eq!(back.json().await, json!({"type": "error", "code": 4015, "message": REVOKED}));
    let end = back.expect_end().await;
    assert!(end.iter().any(|message| message.retry.is_some_and(|retry| retry >= 5_000)), "{end:?}");
}

#[actix::test]
async fn a_revocation_that_is_not_understood_or_of_an_app_without_tenants_is_refused() {
    let node = start(|_| {}).await;
    for (body, text) in [
        (json!({}), "missing field `tenant`"),
        (json!({"tenant": "7.8"}), "the tenant id contains '.'"),
        (json!({"tenant": "7", "user": ""}), "user must have 1 to 128 characters"),
        (json!({"tenant": "7", "issued_before": now().as_secs() + 600}), "issued_before is in the future"),
    ] {
        let (status, answer) = node.post("/tokens/revoke", &body).await;
        let error = answer["error"].as_str().expect("a text");
        assert!(status == 400 && error.contains(text), "{status} {error}");
    }
    assert_eq!(node.counted().refusals("revocation_invalid"), 4);
    let apps = [("app-id", "app-key", "app-secret"), ("b", "b-key", "b-secret")];
    let apps = apps.map(|(id, key, secret)| (id.to_owned(), AppSettings::new(key, secret)));
    let two = start_with(|config| config.tenant.app = Some("b".to_owned()), apps.into()).await;
    let (status, answer) = two.post("/tokens/revoke", &json!({"tenant": "7"})).await;
    assert_eq!((status, answer["code"].as_u64()), (400, Some(400)), "{answer}");
}
