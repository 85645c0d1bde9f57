//! Tokens of plain sockets that somebody else signs than the application.

use serde_json::{Value, json};

use crate::{
    common::signer::{Signer, base64, with_header},
    harness::{TestNode, eventually, metrics, now},
    jwks::{Answer, Publisher, node},
    tenant::{subscribe, tenant_socket},
    tenant_access::{claims, expect_refusal, token},
};

async fn expect_refused(node: &TestNode, token: &str, text: &str) {
    expect_refusal(node.open(&format!("/ws?tenant_id=7&token={token}")).await, 4011, text).await;
}

#[actix::test]
async fn tokens_are_taken_whose_keys_the_issuer_publishes_and_open_what_they_say() {
    let (rsa, elliptic, edwards) = (Signer::rs256(), Signer::es256(), Signer::ed25519());
    let keys = [rsa.jwk("r", json!({"alg": "RS256"})), elliptic.jwk("p", json!({})), edwards.jwk("e", json!({}))];
    let publisher = Publisher::start(Answer::keys(&keys));
    let node = publisher.node("RS256,ES256,EdDSA", |_| {}).await;
    // A token that comes while they are first read may ask for newer ones right behind it.
    eventually("the keys are read", async || metrics(node.node.admin).await.contains("gaung_issuer_keys 3\n")).await;
    for (signer, id) in [(&rsa, "r"), (&elliptic, "p"), (&edwards, "e")] {
        let claims = claims(json!({"user_id": id, "channels": ["private-*.7"]}));
        let mut client =
            tenant_socket(&node, &format!("&user_id={id}&token={}", signer.token(Some(id), &claims))).await;
        subscribe(&mut client, "private-orders.7").await;
    }
    assert_eq!(publisher.asked(), 1);
}

#[actix::test]
async fn keys_in_pem_need_no_issuer_that_answers() {
    let (one, other) = (Signer::rs256(), Signer::rs256());
    let file = std::env::temp_dir().join(format!("gaung-issuer-{}.pem", std::process::id()));
    std::fs::write(&file, &other.pem).expect("a file of the test");
    let node = node("RS256", |issuer| {
        issuer.public_key = Some(one.pem.replace('\n', "\\n"));
        issuer.public_key_file = Some(file);
    })
    .await;
    for signer in [&one, &other] {
        // As Laravel Passport signs: without the name of a key.
        tenant_socket(&node, &format!("&token={}", signer.token(None, &claims(json!({}))))).await;
    }
    let stranger = Signer::rs256().token(None, &claims(json!({})));
    expect_refused(&node, &stranger, "the token's signature does not match the issuer's key").await;
    let named = Signer::rs256().token(Some("k"), &claims(json!({})));
    expect_refused(&node, &named, "the token is signed with none of the issuer's keys").await;
}

#[actix::test]
async fn a_token_that_is_not_what_is_configured_is_refused_for_good() {
    let signer = Signer::rs256();
    let publisher = Publisher::start(Answer::keys(&[signer.jwk("k", json!({}))]));
    let node = publisher
        .node("RS256", |issuer| {
            issuer.issuer = Some("https://issuer/".to_owned());
            issuer.audiences = vec!["gaung".to_owned()];
        })
        .await;
    let full = |others: Value| {
        let mut all = claims(json!({"iss": "https://issuer/", "aud": ["gaung", "account"]}));
        for (name, value) in others.as_object().expect("claims are an object") {
            all[name] = value.clone();
        }
        all
    };
    let signed = |others: Value| signer.token(Some("k"), &full(others));
    tenant_socket(&node, &format!("&token={}", signed(json!({})))).await;
    let now = now().as_secs();
    let none = format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(full(json!({})).to_string().as_bytes()));
    let by_public_key = with_header(&json!({"alg": "HS256", "kid": "k"}), &full(json!({})), &signer.pem);
    let stranger = Signer::rs256().token(Some("k"), &full(json!({})));
    let by_secret = with_header(&json!({"alg": "HS256"}), &full(json!({})), "app-secret");
    for (token, text) in [
        (none, "the token's algorithm is not RS256"),
        (by_public_key, "the token's algorithm is not RS256"),
        (by_secret, "the token's algorithm is not RS256"),
        (Signer::es256().token(Some("k"), &full(json!({}))), "the token's algorithm is not RS256"),
        (stranger, "the token's signature does not match the issuer's key"),
        (signed(json!({"exp": now - 60})), "the token has expired"),
        (signed(json!({"nbf": now + 120})), "the token is not valid yet"),
        (signed(json!({"iss": "https://issuer"})), "the token's issuer is not the one of GAUNG_TENANT_TOKEN_ISSUER"),
        (signed(json!({"aud": "account"})), "the token's audience is none of GAUNG_TENANT_TOKEN_AUDIENCE"),
        (signed(json!({"tenant_id": null})), "the token has no claim tenant_id"),
        (signed(json!({"tenant_id": "8"})), "the token is for another tenant or user"),
        ("rubbish".to_owned(), "the token is not a JWT"),
    ] {
        expect_refused(&node, &token, text).await;
    }
    assert_eq!(node.counted().auth_failures("tenant"), 12);
    assert_eq!(publisher.asked(), 1);
}

#[actix::test]
async fn the_pem_of_a_public_key_is_no_secret_where_secrets_are_taken_too() {
    let signer = Signer::rs256();
    let node = node("HS256,RS256", |issuer| {
        issuer.public_key = Some(signer.pem.clone());
        issuer.audiences = vec!["gaung".to_owned()];
    })
    .await;
    tenant_socket(&node, &format!("&token={}", signer.token(None, &claims(json!({"aud": "gaung"}))))).await;
    // The application's own tokens are as they were: without an audience.
    tenant_socket(&node, &format!("&token={}", token(json!({})))).await;
    for secret in [signer.pem.as_str(), signer.pem.trim()] {
        let forged = with_header(&json!({"alg": "HS256"}), &claims(json!({"aud": "gaung"})), secret);
        expect_refused(&node, &forged, "the token's signature does not match the app's secret").await;
    }
}

#[actix::test]
async fn claims_are_read_by_the_issuers_names() {
    let signer = Signer::es256();
    let publisher = Publisher::start(Answer::keys(&[signer.jwk("k", json!({}))]));
    let node = publisher
        .node("ES256", |issuer| {
            issuer.tenant_claim = "https://example.com/tenant_id".to_owned();
            issuer.user_claim = "sub".to_owned();
        })
        .await;
    let claims = json!({"https://example.com/tenant_id": "7", "sub": "ada", "exp": now().as_secs() + 60});
    tenant_socket(&node, &format!("&user_id=ada&token={}", signer.token(Some("k"), &claims))).await;
    let by_our_names = signer.token(Some("k"), &crate::tenant_access::claims(json!({})));
    expect_refused(&node, &by_our_names, "the token has no claim https://example.com/tenant_id").await;
}

#[actix::test]
async fn a_new_key_is_read_for_the_first_token_that_names_it_and_an_old_one_that_is_gone_is_refused() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let publisher = Publisher::start(Answer::keys(&[old.jwk("old", json!({}))]));
    let node = publisher.node("ES256", |_| {}).await;
    let by = |signer: &Signer, id: &str| signer.token(Some(id), &claims(json!({})));
    tenant_socket(&node, &format!("&token={}", by(&old, "old"))).await;
    publisher.set(Answer::keys(&[old.jwk("old", json!({})), new.jwk("new", json!({}))]));
    for token in [by(&new, "new"), by(&old, "old"), by(&new, "new")] {
        tenant_socket(&node, &format!("&token={token}")).await;
    }
    assert_eq!(publisher.asked(), 2);
    publisher.set(Answer::keys(&[new.jwk("new", json!({}))]));
    expect_refused(&node, &by(&old, "older"), "the token is signed with none of the issuer's keys").await;
    expect_refused(&node, &by(&old, "old"), "the token is signed with none of the issuer's keys").await;
    tenant_socket(&node, &format!("&token={}", by(&new, "new"))).await;
}

#[actix::test]
async fn keys_are_shown_with_their_age_and_how_often_they_were_read() {
    let (signer, beside) = (Signer::es256(), Signer::ed25519());
    let publisher = Publisher::start(Answer::keys(&[signer.jwk("k", json!({}))]));
    let node = publisher.node("ES256,EdDSA", |issuer| issuer.public_key = Some(beside.pem.clone())).await;
    tenant_socket(&node, &format!("&token={}", signer.token(Some("k"), &claims(json!({}))))).await;
    let shown = metrics(node.node.admin).await;
    for line in [
        "gaung_issuer_keys 2",
        r#"gaung_issuer_key_reads_total{outcome="read"} 1"#,
        r#"gaung_issuer_key_reads_total{outcome="failed"} 0"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in:\n{shown}");
    }
    assert!(shown.contains("\ngaung_issuer_keys_age_seconds "), "{shown}");
    let without = crate::harness::start(|_| {}).await;
    assert!(!metrics(without.node.admin).await.contains("gaung_issuer_"));
}
