//! Handshakes that nobody should begin: each is refused with a status or cut off in time, and nobody else notices.

use std::time::Duration;

use crate::{
    harness::{start, start_configured},
    raw::{Bystander, Raw, UPGRADE},
};

/// The handshake with one part replaced.
fn broken(part: &str, replacement: &str) -> String {
    assert!(UPGRADE.contains(part), "{part}");
    UPGRADE.replace(part, replacement)
}

/// Sends these requests on connections of their own: each answer must begin with the status and contain the text.
async fn check(cases: &[(&str, String, u16, &str)]) {
    let node = start(|_| {}).await;
    let mut bystander = Bystander::watch(&node).await;
    for (what, request, status, text) in cases {
        let mut raw = Raw::connect(&node).await;
        raw.send(request.as_bytes()).await;
        raw.finish().await;
        let answer = raw.rest().await;
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{what}: {answer:?}");
        assert!(answer.to_ascii_lowercase().contains(text), "{what}: {answer:?}");
        bystander.publish(&node).await;
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn a_handshake_that_lacks_something_is_refused_with_a_status() {
    check(&[
        ("no key", broken("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 426, "lacks sec-websocket-key"),
        ("an old version", broken("Version: 13", "Version: 12"), 426, "\r\nsec-websocket-version: 13\r\n"),
        ("no version", broken("Sec-WebSocket-Version: 13\r\n", ""), 426, "lacks sec-websocket-version: 13"),
        ("another upgrade", broken("Upgrade: websocket", "Upgrade: h2c"), 426, "upgrade is not websocket"),
        ("no upgrade", broken("Upgrade: websocket\r\nConnection: Upgrade\r\n", ""), 426, "lacks upgrade: websocket"),
        (
            "what HTTP/1.0 proxies leave of it",
            broken("Upgrade: websocket\r\nConnection: Upgrade\r\n", "Connection: close\r\n"),
            426,
            "the request's connection is not upgrade. if a websocket client has sent this request, a proxy",
        ),
        (
            "another path",
            broken("/app/app-key?protocol=7", "/apps/app-id/events").replace("Upgrade: websocket\r\n", ""),
            405,
            "",
        ),
    ])
    .await;
}

#[actix::test]
async fn a_handshake_of_several_choices_is_taken_or_told_why_not() {
    let version = "Sec-WebSocket-Version: 13";
    check(&[
        ("two lines", broken("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"), 101, ""),
        ("two lines, the other way round", broken("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c"), 101, ""),
        ("two versions", broken(version, "Sec-WebSocket-Version: 13, 8"), 101, ""),
        ("two lines of versions", broken(version, "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13"), 101, ""),
        ("an old version", broken(version, "Sec-WebSocket-Version: 8"), 426, "version is not 13"),
        (
            "two protocols in a line",
            broken("Upgrade: websocket", "Upgrade: h2c, websocket"),
            426,
            "upgrade lists other protocols beside websocket",
        ),
        (
            "a body in chunks",
            broken(version, "Sec-WebSocket-Version: 13\r\nTransfer-Encoding: chunked")
                .replace("\r\n\r\n", "\r\n\r\n0\r\n\r\n"),
            426,
            "has a body (transfer-encoding)",
        ),
        (
            "a body",
            broken(version, "Sec-WebSocket-Version: 13\r\nContent-Length: 2").replace("\r\n\r\n", "\r\n\r\n{}"),
            426,
            "has a body (content-length)",
        ),
    ])
    .await;
}

#[actix::test]
async fn a_path_that_serves_nothing_is_told_with_the_prefix_and_without_the_key() {
    let node = start_configured(|config| config.server.path_prefix = "/realtime".to_owned(), |_| {}).await;
    for (path, told) in [
        ("/app/app-key", "Path not found: it is /app/{key}, and sockets are served at /realtime/app/{key} and"),
        ("/ws/app/app-key/more", "it is /ws/app/{key}/{id}, and"),
        (
            "/realtime/nothing",
            "it is /realtime/nothing, and sockets are served at /realtime/app/{key} and /realtime/ws ",
        ),
        ("/realtime/nothing", "(GAUNG_PATH_PREFIX is /realtime)"),
    ] {
        let mut raw = Raw::connect(&node).await;
        raw.send(broken("/app/app-key?protocol=7", path).as_bytes()).await;
        raw.expect_upgrade().await;
        let error = raw.message().await;
        assert_eq!(error["data"]["code"], 4005);
        let message = error["data"]["message"].as_str().expect("a text");
        assert!(message.contains(told), "{message}");
        assert_eq!(raw.close_code().await, Some(4005));
    }
}

#[actix::test]
async fn other_methods_and_versions_of_http_open_no_socket() {
    check(&[
        ("POST", broken("GET ", "POST "), 405, ""),
        ("POST with a body", broken("GET ", "POST ").replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n{}"), 405, ""),
        ("HEAD", broken("GET ", "HEAD "), 405, ""),
        ("CONNECT to a path", broken("GET ", "CONNECT "), 405, ""),
        ("CONNECT to a host", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n".to_owned(), 405, ""),
        ("HTTP/1.0", broken("HTTP/1.1", "HTTP/1.0"), 400, ""),
        ("HTTP/9.9", broken("HTTP/1.1", "HTTP/9.9"), 400, ""),
    ])
    .await;
}

#[actix::test]
async fn heads_that_no_server_should_believe_are_refused() {
    let with = |headers: &str| broken("Host: gaung\r\n", headers);
    check(&[
        ("two hosts", with("Host: gaung\r\nHost: other\r\n"), 400, ""),
        ("no host", with(""), 400, ""),
        ("a space before the colon", with("Host: gaung\r\nX-A : b\r\n"), 400, ""),
        ("a header without a colon", with("Host: gaung\r\nnonsense\r\n"), 400, ""),
        ("NUL in a header", with("Host: gaung\r\nX-A: \0\r\n"), 400, ""),
        ("two lengths", with("Host: gaung\r\nContent-Length: 1\r\nContent-Length: 2\r\n"), 400, ""),
        ("length and chunks", with("Host: gaung\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400, ""),
        ("a TLS greeting", "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".to_owned(), 400, ""),
    ])
    .await;
}

#[actix::test]
async fn a_giant_head_is_cut_off() {
    let node = start(|_| {}).await;
    let bystander = Bystander::watch(&node).await;
    let giant = "x".repeat(1 << 20);
    let many = "X-A: b\r\n".repeat(100_000);
    for head in [
        format!("GET /{giant}"),
        format!("GET /app/app-key HTTP/1.1\r\nHost: gaung\r\nX-A: {giant}"),
        format!("GET /app/app-key HTTP/1.1\r\nHost: gaung\r\n{many}"),
    ] {
        let mut raw = Raw::connect(&node).await;
        raw.send(head.as_bytes()).await;
        let answer = raw.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    bystander.noticed_nothing(&node).await;
}

#[actix::test]
async fn half_a_head_is_cut_off_when_the_handshake_time_is_over() {
    let node = start_configured(|config| config.limits.handshake_timeout = Duration::from_secs(1), |_| {}).await;
    let bystander = Bystander::watch(&node).await;
    let mut unfinished = Vec::new();
    for end in (1..UPGRADE.len()).step_by(10) {
        let mut raw = Raw::connect(&node).await;
        raw.send(&UPGRADE.as_bytes()[..end]).await;
        unfinished.push(raw);
    }
    for mut raw in unfinished {
        let answer = raw.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    bystander.noticed_nothing(&node).await;
}
