//! The trigger API on the wire: how bodies arrive (in chunks, after a `100 Continue`, over a connection that stays, too
//! large, cut off) and what a socket's path answers (protocol.md §1.1, §3.1). Byte by byte, because an HTTP client
//! would hide what matters.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

use crate::http::{BackEnd, back_end, default_back_end, event};

const EVENTS: &str = "/apps/app-id/events";

/// A connection on which requests are written by hand.
struct Wire(TcpStream);

impl Wire {
    async fn open(back_end: &BackEnd) -> Self {
        let url = back_end.node.url("");
        Self(TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what was read ends with `end`, and returns it.
    async fn read_to(&mut self, end: &str) -> String {
        let mut read = String::new();
        while !read.ends_with(end) {
            let byte = timeout(Duration::from_secs(10), self.0.read_u8()).await;
            match byte.unwrap_or_else(|_| panic!("no {end:?} in {read:?}")) {
                Ok(byte) => read.push(byte.into()),
                Err(_) => panic!("closed before {end:?} in {read:?}"),
            }
        }
        read
    }
}

fn head(back_end: &BackEnd, body: &str, headers: &str) -> String {
    format!("POST {} HTTP/1.1\r\nHost: gaung\r\n{headers}\r\n\r\n", back_end.signed("POST", EVENTS, &[], body))
}

#[actix_web::test]
async fn a_connection_stays_open_for_requests_in_chunks_and_of_known_length() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let (first, second) = body.split_at(7);
    let mut wire = Wire::open(&back_end).await;
    for _ in 0..2 {
        wire.write(&head(&back_end, &body, "Transfer-Encoding: chunked")).await;
        wire.write(&format!("{:x}\r\n{first}\r\n", first.len())).await;
        wire.write(&format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len())).await;
        assert!(wire.read_to("{}").await.starts_with("HTTP/1.1 200"));
        wire.write(&head(&back_end, &body, &format!("Content-Length: {}", body.len()))).await;
        wire.write(&body).await;
        assert!(wire.read_to("{}").await.starts_with("HTTP/1.1 200"));
    }
}

#[actix_web::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let mut wire = Wire::open(&back_end).await;
    wire.write(&head(&back_end, &body, &format!("Content-Length: {}\r\nExpect: 100-continue", body.len()))).await;
    assert_eq!(wire.read_to("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.write(&body).await;
    assert!(wire.read_to("{}").await.starts_with("HTTP/1.1 200"));
}

#[actix_web::test]
async fn the_content_type_is_not_looked_at() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let mut wire = Wire::open(&back_end).await;
    let headers = format!("Content-Length: {}\r\nContent-Type: application/x-www-form-urlencoded", body.len());
    wire.write(&head(&back_end, &body, &headers)).await;
    wire.write(&body).await;
    assert!(wire.read_to("{}").await.starts_with("HTTP/1.1 200"));
}

#[actix_web::test]
async fn a_length_over_the_limit_is_refused_before_a_byte_of_the_body_was_sent() {
    let back_end = default_back_end().await;
    let mut wire = Wire::open(&back_end).await;
    wire.write(&head(&back_end, "", "Content-Length: 1048577")).await;
    let refusal = wire.read_to("}").await;
    assert!(refusal.starts_with("HTTP/1.1 413"), "{refusal}");
    assert!(refusal.contains("1048577 bytes or more, the limit is 1048576 (GAUNG_MAX_BODY_BYTES)"), "{refusal}");
}

#[actix_web::test]
async fn chunks_over_the_limit_are_refused_as_soon_as_they_are_over_it() {
    let back_end = back_end(|config| config.limits.max_body_bytes = 10, |_| {}).await;
    let mut wire = Wire::open(&back_end).await;
    wire.write(&head(&back_end, "", "Transfer-Encoding: chunked")).await;
    wire.write("6\r\nabcdef\r\n6\r\nabcdef\r\n").await;
    let refusal = wire.read_to("}").await;
    assert!(refusal.starts_with("HTTP/1.1 413"), "{refusal}");
}

#[actix_web::test]
async fn a_request_that_nobody_signed_is_refused_before_a_byte_of_its_body_was_sent() {
    let back_end = default_back_end().await;
    for length in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut wire = Wire::open(&back_end).await;
        let signed = head(&back_end, "{}", length).replace("auth_signature=", "auth_signature=00");
        wire.write(&signed).await;
        let refusal = wire.read_to("}").await;
        assert!(refusal.starts_with("HTTP/1.1 401"), "{refusal}");
        assert!(refusal.contains("auth_signature must be 64 lower-case hex digits"), "{refusal}");
    }
}

#[actix_web::test]
async fn a_client_that_goes_on_sending_its_refused_body_still_hears_why() {
    let back_end = default_back_end().await;
    let mut wire = Wire::open(&back_end).await;
    let body = "x".repeat(1_000_000);
    let unsigned = format!("POST {EVENTS} HTTP/1.1\r\nHost: gaung\r\nContent-Length: {}\r\n\r\n", body.len());
    wire.write(&unsigned).await;
    wire.write(&body).await;
    assert!(wire.read_to("}").await.contains("auth_key is missing"));
}

#[actix_web::test]
async fn bodies_over_what_the_node_may_hold_are_refused_for_now() {
    let body = event("e", "a");
    let length = format!("Content-Length: {}", body.len());
    let most = body.len();
    let back_end =
        back_end(|config| (config.http.max_held_body_bytes, config.limits.max_body_bytes) = (1, most), |_| {}).await;
    let mut slow = Wire::open(&back_end).await;
    slow.write(&head(&back_end, &body, &length)).await;
    slow.write(&body[..most - 1]).await;
    let refusal = loop {
        let mut wire = Wire::open(&back_end).await;
        wire.write(&head(&back_end, &body, &length)).await;
        wire.write(&body).await;
        let answer = wire.read_to("}").await;
        // Until the slow one's bytes have arrived.
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
    };
    assert!(refusal.starts_with("HTTP/1.1 503"), "{refusal}");
    assert!(refusal.contains("retry-after: 1\r\n"), "{refusal}");
    let words = format!("already holds {most} bytes of request bodies (GAUNG_MAX_HELD_BODY_BYTES)");
    assert!(refusal.contains(&words), "{refusal}");
    slow.write(&body[most - 1..]).await;
    assert!(slow.read_to("{}").await.starts_with("HTTP/1.1 200"));
}

#[actix_web::test]
async fn a_compressed_body_is_refused_by_that_name() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let length = format!("Content-Length: {}", body.len());
    let mut wire = Wire::open(&back_end).await;
    wire.write(&head(&back_end, &body, &format!("{length}\r\nContent-Encoding: identity"))).await;
    wire.write(&body).await;
    assert!(wire.read_to("{}").await.starts_with("HTTP/1.1 200"));
    wire.write(&head(&back_end, &body, &format!("{length}\r\nContent-Encoding: gzip"))).await;
    let refusal = wire.read_to("}").await;
    assert!(refusal.starts_with("HTTP/1.1 415"), "{refusal}");
    assert!(refusal.contains("compressed (Content-Encoding: gzip)"), "{refusal}");
}

#[actix_web::test]
async fn pages_of_the_origins_that_are_set_may_ask_and_read_and_no_others() {
    let ask = |origin: &str| {
        format!(
            "OPTIONS {EVENTS} HTTP/1.1\r\nHost: gaung\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type\r\n\r\n"
        )
    };
    let back_end = back_end(|config| config.http.cors_origins = vec!["*.example.com".to_owned()], |_| {}).await;
    let mut wire = Wire::open(&back_end).await;
    wire.write(&ask("https://shop.example.com")).await;
    let answer = wire.read_to("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    for header in [
        "access-control-allow-origin: https://shop.example.com\r\n",
        "access-control-allow-methods: GET, POST\r\n",
        "access-control-allow-headers: content-type\r\n",
        "vary: Origin\r\n",
    ] {
        assert!(answer.contains(header), "{answer}");
    }
    let body = event("e", "a");
    let headers = format!("Content-Length: {}\r\nOrigin: https://shop.example.com", body.len());
    wire.write(&head(&back_end, &body, &headers)).await;
    wire.write(&body).await;
    let answer = wire.read_to("{}").await;
    assert!(answer.contains("access-control-allow-origin: https://shop.example.com\r\n"), "{answer}");
    wire.write(&ask("https://example.net")).await;
    let answer = wire.read_to("}").await;
    assert!(answer.starts_with("HTTP/1.1 405") && !answer.contains("access-control"), "{answer}");
    let closed = default_back_end().await;
    let mut wire = Wire::open(&closed).await;
    wire.write(&ask("https://shop.example.com")).await;
    let answer = wire.read_to("}").await;
    assert!(answer.starts_with("HTTP/1.1 405") && !answer.contains("access-control"), "{answer}");
}

#[actix_web::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_body_publishes_nothing_and_harms_nobody() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let mut wire = Wire::open(&back_end).await;
    wire.write(&head(&back_end, &body, &format!("Content-Length: {}", body.len()))).await;
    wire.write(&body[..5]).await;
    drop(wire);
    back_end.post(EVENTS, &body).await.expect(200, &serde_json::json!({}));
}

#[actix_web::test]
async fn a_plain_request_to_a_socket_is_told_what_an_upgrade_needs() {
    let back_end = default_back_end().await;
    let mut wire = Wire::open(&back_end).await;
    for (path, headers, lacking) in [
        (
            "/app/app-key",
            "Accept: */*",
            "lacks Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Version: 13, Sec-WebSocket-Key. If a",
        ),
        (
            "/ws?tenant_id=t",
            "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==",
            "lacks Upgrade: websocket. If a",
        ),
    ] {
        wire.write(&format!("GET {path} HTTP/1.1\r\nHost: gaung\r\n{headers}\r\n\r\n")).await;
        let answer = wire.read_to("}").await;
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
        assert!(answer.contains("\r\nupgrade: websocket\r\n"), "{answer}");
        assert!(answer.contains(lacking), "{answer}");
    }
}
