//! Who may open a tenant socket with a token, and which channels the token opens.

use awc::http::header;
use gaung::config::AppSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestNode, http_client, inner, now, start, start_with},
    tenant::{expect_error, expect_silence, greeted, open_node, subscribe, tenant_socket},
};

/// Claims for tenant 7 that hold for a minute, with these besides or instead.
pub fn claims(others: Value) -> Value {
    let mut claims = json!({"tenant_id": "7", "exp": now().as_secs() + 60});
    for (name, value) in others.as_object().expect("claims are an object") {
        claims[name] = value.clone();
    }
    claims
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).expect("claims are JSON")
}

/// A good token with these claims besides.
pub fn token(others: Value) -> String {
    signed(&claims(others), Algorithm::HS256, "app-secret")
}

async fn with_token(node: &TestNode, others: Value) -> Client {
    tenant_socket(node, &format!("&token={}", token(others))).await
}

/// The upgrade succeeds, an error frame names code and reason, and a close frame with the code follows.
pub async fn expect_refusal(mut client: Client, code: u16, text: &str) {
    client.expect_exactly(json!({"type": "error", "code": code, "message": text})).await;
    assert_eq!(client.expect_close().await.0, code, "{text}");
}

#[actix::test]
async fn a_token_is_taken_from_the_query_the_authorization_or_the_sub_protocols() {
    let node = start(|_| {}).await;
    with_token(&node, json!({})).await;
    let bearer = format!("Bearer {}", token(json!({})));
    let by_header = node.open_with("/ws?tenant_id=7", |request| request.header(header::AUTHORIZATION, bearer)).await;
    greeted(by_header).await;
    let request = http_client().ws(node.url("/ws?tenant_id=7"));
    let request = request.protocols(["bearer".to_owned(), token(json!({}))]);
    let (response, socket) = request.connect().await.expect("the upgrade is answered");
    assert_eq!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).expect("one is selected"), "bearer");
    greeted(Client { id: String::new(), socket }).await;
}

#[actix::test]
async fn a_socket_without_a_good_token_is_told_why_and_closed_with_4011() {
    let node = start(|_| {}).await;
    let old = claims(json!({"exp": now().as_secs() - 60}));
    let hs256 = |claims: &Value, secret| format!("&token={}", signed(claims, Algorithm::HS256, secret));
    let good = claims(json!({}));
    let parts = signed(&good, Algorithm::HS256, "app-secret");
    let (_, payload_and_signature) = parts.split_once('.').expect("a token has three parts");
    // {"alg":"none"}
    let none = format!("&token=eyJhbGciOiJub25lIn0.{payload_and_signature}");
    for (query, reason) in [
        (String::new(), "the socket has no access token"),
        ("&token=rubbish".to_owned(), "the token is not a JWT"),
        (hs256(&old, "app-secret"), "the token has expired"),
        (hs256(&good, "other-secret"), "the token's signature does not match the app's secret"),
        (none, "the token's algorithm is not HS256"),
        (format!("&token={}", signed(&good, Algorithm::HS512, "app-secret")), "the token's algorithm is not HS256"),
        (hs256(&json!({"tenant_id": "7"}), "app-secret"), "the token has no claim exp"),
        (hs256(&claims(json!({"tenant_id": "8"})), "app-secret"), "the token is for another tenant or user"),
        (
            format!("{}&user_id=2", hs256(&claims(json!({"user_id": "1"})), "app-secret")),
            "the token is for another tenant or user",
        ),
    ] {
        expect_refusal(node.open(&format!("/ws?tenant_id=7{query}")).await, 4011, reason).await;
    }
    assert_eq!(node.counted().auth_failures("tenant"), 9);
}

#[actix::test]
async fn a_socket_without_a_possible_tenant_id_is_closed_with_4010() {
    let node = start(|_| {}).await;
    for path in ["/ws", "/ws?user_id=1", "/ws?tenant_id=", "/ws?tenant_id=a.b"] {
        let mut client = node.open(path).await;
        assert_eq!(client.next().await["code"], 4010, "{path}");
        assert_eq!(client.expect_close().await.0, 4010, "{path}");
    }
}

#[actix::test]
async fn ids_that_the_token_says_as_numbers_are_the_querys() {
    let node = start(|_| {}).await;
    let token = token(json!({"tenant_id": 7, "user_id": 42}));
    tenant_socket(&node, &format!("&user_id=42&token={token}")).await;
}

#[actix::test]
async fn each_secret_of_the_app_signs_tokens() {
    let node = start(|app| app.keys.extend(AppSettings::new("new-key", "new-secret").keys)).await;
    for secret in ["app-secret", "new-secret"] {
        tenant_socket(&node, &format!("&token={}", signed(&claims(json!({})), Algorithm::HS256, secret))).await;
    }
}

#[actix::test]
async fn a_token_opens_the_private_channels_that_its_patterns_name() {
    let node = start(|_| {}).await;
    let mut tenant = with_token(&node, json!({"channels": ["private-orders.*", "private-*.7.x", "*"]})).await;
    for channel in ["private-orders.7", "private-a.7.x", "products.7"] {
        subscribe(&mut tenant, channel).await;
    }
    for channel in ["private-orders.7.lines", "private-invoices.7", "private-b.7.c.x", "presence-orders.7"] {
        tenant.send(json!({"type": "subscribe", "channel": channel})).await;
        let refusal = "a private or presence channel needs a token whose claim channels names it";
        expect_error(&mut tenant, 403, Some(channel), refusal).await;
    }
    tenant.send(json!({"type": "subscribe", "channel": "private-orders.8"})).await;
    let refusal = "the channel is not tenant 7's: those are *.{tenant}.** (GAUNG_TENANT_CHANNELS)";
    expect_error(&mut tenant, 403, Some("private-orders.8"), refusal).await;
    node.publish("private-orders.7", "paid", "{}").await;
    tenant.expect_text(r#"{"type":"paid","channel":"private-orders.7","data":{"tenantId":"7"}}"#).await;
}

#[actix::test]
async fn the_tokens_user_is_the_member_that_pusher_clients_see_and_the_other_way_round() {
    let node = start(|_| {}).await;
    let mut echo = node.connect().await;
    echo.join("presence-room.7", r#"{"user_id":"1","user_info":{"name":"Ada"}}"#).await;
    let mut tenant = with_token(&node, json!({"user_id": "2", "channels": ["presence-*.*"]})).await;
    subscribe(&mut tenant, "presence-room.7").await;
    let members = json!([{"id": "1", "info": {"name": "Ada"}}, {"id": "2", "info": {}}]);
    let members = json!({"type": "members", "channel": "presence-room.7", "members": members});
    tenant.expect_exactly(members).await;
    assert_eq!(inner(&echo.expect("pusher_internal:member_added").await), json!({"user_id": "2", "user_info": {}}));
    echo.unsubscribe("presence-room.7").await;
    tenant.expect_exactly(json!({"type": "member_removed", "channel": "presence-room.7", "id": "1"})).await;
    echo.join("presence-room.7", r#"{"user_id":"1"}"#).await;
    let added = json!({"type": "member_added", "channel": "presence-room.7", "id": "1", "info": {}});
    tenant.expect_exactly(added).await;
    drop(tenant);
    assert_eq!(inner(&echo.expect("pusher_internal:member_removed").await), json!({"user_id": "2"}));
}

#[actix::test]
async fn a_presence_channel_needs_a_user_in_the_token() {
    let node = start(|_| {}).await;
    let token = token(json!({"channels": ["presence-*.*"]}));
    let mut tenant = tenant_socket(&node, &format!("&user_id=2&token={token}")).await;
    tenant.send(json!({"type": "subscribe", "channel": "presence-room.7"})).await;
    let refusal = "a presence channel needs a token with the claim user_id";
    expect_error(&mut tenant, 403, Some("presence-room.7"), refusal).await;
}

#[actix::test]
async fn a_full_presence_channel_refuses_with_the_setting_and_the_socket_stays() {
    let node = start(|app| app.max_presence_members = 1).await;
    let mut echo = node.connect().await;
    echo.join("presence-room.7", r#"{"user_id":"1"}"#).await;
    let mut tenant = with_token(&node, json!({"user_id": "2", "channels": ["presence-*.*"]})).await;
    tenant.send(json!({"type": "subscribe", "channel": "presence-room.7"})).await;
    let refusal = "the channel has 1 members already (app setting max_presence_members)";
    expect_error(&mut tenant, 409, Some("presence-room.7"), refusal).await;
    echo.expect_silence().await;
}

/// Two apps, `a` and `b`, each with a secret of its own name.
async fn two_apps(chosen: Option<&str>) -> TestNode {
    let apps = ["a", "b"].map(|id| (id.to_owned(), AppSettings::new(format!("key-{id}"), id)));
    start_with(|config| config.tenant.app = chosen.map(str::to_owned), apps.into()).await
}

#[actix::test]
async fn without_a_chosen_app_among_two_tenant_sockets_are_closed_with_4012() {
    let node = two_apps(None).await;
    let client = node.open(&format!("/ws?tenant_id=7&token={}", token(json!({})))).await;
    expect_refusal(client, 4012, "No app serves tenant sockets (GAUNG_TENANT_APP)").await;
}

#[actix::test]
async fn the_chosen_app_checks_the_tokens() {
    let node = two_apps(Some("b")).await;
    let by = |secret| format!("/ws?tenant_id=7&token={}", signed(&claims(json!({})), Algorithm::HS256, secret));
    let mut admitted = greeted(node.open(&by("b")).await).await;
    expect_silence(&mut admitted).await;
    let refusal = "the token's signature does not match the app's secret";
    expect_refusal(node.open(&by("a")).await, 4011, refusal).await;
}

#[actix::test]
async fn the_apps_own_conditions_hold_for_tenant_sockets_too() {
    let disabled = open_node(|app| app.enabled = false).await;
    expect_refusal(disabled.open("/ws?tenant_id=7").await, 4003, "Application is disabled").await;
    let elsewhere = open_node(|app| app.allowed_origins = vec!["shop.example.com".to_owned()]).await;
    expect_refusal(elsewhere.open("/ws?tenant_id=7").await, 4009, "Origin not allowed (allowed_origins)").await;
    let full = open_node(|app| app.max_connections = Some(1)).await;
    let _first = tenant_socket(&full, "").await;
    let refusal = "Application is over connection quota (max_connections)";
    expect_refusal(full.open("/ws?tenant_id=7").await, 4004, refusal).await;
}
