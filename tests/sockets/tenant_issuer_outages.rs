//! An issuer whose keys cannot be had: what is in force stays, and nobody waits for it who does not have to.

use std::time::Duration;

use gaung::config::IssuerConfig;
use serde_json::{Value, json};

use crate::{
    common::signer::Signer,
    event_stream::EventStream,
    harness::{TestNode, eventually, http_client, metrics, upgrade},
    jwks::{Answer, Publisher},
    tenant::tenant_socket,
    tenant_access::{claims, expect_refusal},
};

const LATER: &str = "Admission could not be checked; try again";

async fn expect_later(node: &TestNode, token: &str) {
    expect_refusal(node.open(&format!("/ws?tenant_id=7&token={token}")).await, 4101, LATER).await;
}

fn good(signer: &Signer) -> Answer {
    Answer::keys(&[signer.jwk("k", json!({}))])
}

fn by(signer: &Signer, id: &str) -> String {
    signer.token(Some(id), &claims(json!({})))
}

/// How many readings have failed.
async fn failures(node: &TestNode) -> usize {
    let shown = metrics(node.node.admin).await;
    let counted =
        shown.lines().find_map(|line| line.strip_prefix(r#"gaung_issuer_key_reads_total{outcome="failed"} "#));
    counted.expect("it is shown").parse().expect("a number")
}

/// Whether a socket with this token is let in now.
async fn is_admitted(node: &TestNode, token: &str) -> bool {
    node.open(&format!("/ws?tenant_id=7&token={token}")).await.next().await["type"] == "connected"
}

/// Everything that an issuer can say instead of its keys, except nothing.
fn bad_answers(signer: &Signer) -> Vec<Answer> {
    let (key, head) = (signer.jwk("k", json!({})), "HTTP/1.1 200 OK\r\n");
    let set = |keys: &[Value]| json!({"keys": keys}).to_string();
    let padded = set(&[key.clone(), json!({"x5c": "A".repeat(262_144)})]);
    vec![
        Answer::page("500 Oops", &set(std::slice::from_ref(&key))),
        Answer::page("404 Not Found", ""),
        Answer::page("302 Found\r\nLocation: /jwks", &set(std::slice::from_ref(&key))),
        Answer::page("204 No Content", ""),
        Answer::page("200 OK", "<html>please log in</html>"),
        Answer::page("200 OK", "{\"keys\":["),
        Answer::page("200 OK", &set(&[])),
        Answer::page("200 OK", &set(&[signer.jwk("k", json!({"use": "enc"})), Signer::ed25519().jwk("e", json!({}))])),
        Answer::page("200 OK", &set(&[json!({"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "ES256"})])),
        Answer::page("200 OK", &set(&vec![key.clone(); 65])),
        Answer::page("200 OK", &padded),
        Answer::Endless(format!("{head}\r\n")),
        Answer::Endless(format!("{head}X-Filler: ")),
        Answer::Text(format!("{head}Content-Length: 9999\r\n\r\n{{\"keys\":")),
        Answer::Text(String::new()),
        Answer::Text("SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
    ]
}

#[actix::test]
async fn an_answer_that_is_no_set_of_keys_puts_new_clients_off_and_harms_nobody_whose_key_is_known() {
    let signer = Signer::es256();
    let publisher = Publisher::start(Answer::Text(String::new()));
    let node = publisher.node("ES256", soon).await;
    let (known, unknown) = (by(&signer, "k"), by(&signer, "other"));
    for answer in bad_answers(&signer) {
        publisher.set(answer);
        expect_failures(&node, &known).await;
    }
    publisher.set(good(&signer));
    eventually("the keys are read", || async { is_admitted(&node, &known).await }).await;
    for answer in bad_answers(&signer) {
        publisher.set(answer);
        expect_failures(&node, &unknown).await;
        tenant_socket(&node, &format!("&token={known}")).await;
    }
    assert_eq!(node.counted().auth_failures("tenant"), 0);
}

/// Asks with a token whose key is not known until two readings have failed: the first may have had an older answer.
async fn expect_failures(node: &TestNode, token: &str) {
    let before = failures(node).await;
    let fail = || async {
        expect_later(node, token).await;
        failures(node).await > before + 1
    };
    eventually("readings fail", fail).await;
}

/// Reads again soon after a failure.
fn soon(issuer: &mut IssuerConfig) {
    issuer.jwks_pause = Duration::from_millis(10);
    issuer.jwks_interval = Duration::from_millis(20);
}

#[actix::test]
async fn an_issuer_that_is_gone_takes_no_keys_with_it() {
    let signer = Signer::es256();
    let publisher = Publisher::start(good(&signer));
    let node = publisher.node("ES256", |issuer| issuer.jwks_interval = Duration::from_millis(1)).await;
    tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
    publisher.set(Answer::page("503 Down", ""));
    let asked = publisher.asked();
    eventually("it is asked again", || async { publisher.asked() > asked + 5 }).await;
    tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
}

#[actix::test]
async fn keys_that_cannot_be_read_again_come_to_their_end_and_are_back_when_they_can() {
    let signer = Signer::es256();
    let publisher = Publisher::start(good(&signer));
    let node = publisher
        .node("ES256", |issuer| {
            issuer.jwks_interval = Duration::from_millis(1);
            issuer.jwks_keep = Duration::from_secs(3);
        })
        .await;
    tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
    publisher.set(Answer::page("503 Down", ""));
    eventually("they end", || async { !is_admitted(&node, &by(&signer, "k")).await }).await;
    expect_later(&node, &by(&signer, "k")).await;
    publisher.set(good(&signer));
    eventually("they are back", || async { is_admitted(&node, &by(&signer, "k")).await }).await;
}

#[actix::test]
async fn whatever_strangers_write_into_tokens_keys_are_read_once_in_a_pause() {
    let signer = Signer::es256();
    let publisher = Publisher::start(good(&signer));
    let node = publisher.node("ES256", |issuer| issuer.jwks_pause = Duration::from_secs(3_600)).await;
    tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
    for number in 0..20 {
        expect_later(&node, &by(&signer, &format!("junk-{number}"))).await;
    }
    assert_eq!(publisher.asked(), 1);
}

#[actix::test]
async fn only_who_needs_an_unknown_key_waits_for_an_issuer_that_says_nothing_and_not_for_ever() {
    let signer = Signer::es256();
    let publisher = Publisher::start(good(&signer));
    let node = publisher.node("ES256", soon).await;
    tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{";
    for answer in [Answer::Start(String::new()), Answer::Start(head.to_owned())] {
        let (asked, failed) = (publisher.asked(), failures(&node).await);
        publisher.set(answer);
        // The reading under way may have had the answer before.
        eventually("it is asked", || async { publisher.asked() > asked + 1 }).await;
        let unknown = node.url(&format!("/ws?tenant_id=7&token={}", by(&signer, "other")));
        let waits = actix::spawn(async move { upgrade(http_client().ws(unknown)).await.next().await });
        tenant_socket(&node, &format!("&token={}", by(&signer, "k"))).await;
        let told = waits.await.expect("the client is not cancelled");
        assert_eq!(told, json!({"type": "error", "code": 4101, "message": LATER}));
        eventually("the reading has failed", || async { failures(&node).await > failed }).await;
    }
}

#[actix::test]
async fn a_stream_of_server_sent_events_is_refused_for_good_or_told_to_come_back() {
    let signer = Signer::es256();
    let publisher = Publisher::start(good(&signer));
    let node = publisher.node("ES256", |_| {}).await;
    const PRODUCTS: &str = "/sse?tenant_id=7&channels=products.7";
    let open = async |token: String| EventStream::open(&node, &format!("{PRODUCTS}&token={token}"), "").await;
    open(by(&signer, "k")).await.expect_greeting().await;
    assert_eq!(open(by(&signer, "other")).await.status(), 401);
    publisher.set(Answer::page("500 Oops", ""));
    let mut put_off = open(by(&signer, "other")).await;
    assert_eq!(put_off.json().await, json!({"type": "error", "code": 4101, "message": LATER}));
}
