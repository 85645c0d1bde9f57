//! The texts that open a socket, subscribe it, and trigger events; and where an HTTP answer ends. Pure.

use std::{net::SocketAddr, time::Duration};

use gaung::protocol::{AppKey, signature};

/// The WebSocket upgrade request of one client. The key is fixed: nobody reads the answer's hash here.
pub fn upgrade(public: SocketAddr, app_key: &str, resume_id: &str) -> Vec<u8> {
    format!(
        "GET /app/{app_key}{resume_id}?protocol=7&client=bench&version=1 HTTP/1.1\r\nHost: {public}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// A signed trigger request, whole.
pub fn trigger(host: SocketAddr, app_id: &str, key: &AppKey, body: &str, now: Duration) -> Vec<u8> {
    let path = format!("/apps/{app_id}/events");
    let query = signature::sign_request(key, "POST", &path, &[], body.as_bytes(), now);
    post(host, &format!("{path}?{query}"), body)
}

/// The path and signed query of a GET.
pub fn signed_query(app_id: &str, key: &AppKey, path: &str, params: &[(&str, &str)], now: Duration) -> String {
    let path = format!("/apps/{app_id}{path}");
    let query = signature::sign_request(key, "GET", &path, params, b"", now);
    format!("{path}?{query}")
}

/// A POST with a JSON body on a connection that stays open.
pub fn post(host: SocketAddr, path_and_query: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path_and_query} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A GET on a connection that stays open.
pub fn get(host: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// An answer, or its head: its status and the bytes that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Bytes up to its end.
    pub length: usize,
}

/// The first answer in `bytes`, once it is complete. Reads `Content-Length` only: our own routes send no chunks.
pub fn answer(bytes: &[u8]) -> Option<Answer> {
    let head = head(bytes)?;
    let text = std::str::from_utf8(&bytes[..head.length]).ok()?;
    let length = head.length + content_length(text);
    (bytes.len() >= length).then_some(Answer { length, ..head })
}

/// The head of the first answer in `bytes`, once it is complete.
pub fn head(bytes: &[u8]) -> Option<Answer> {
    let length = head_length(bytes)?;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    Some(Answer { status, length })
}

/// Bytes of an HTTP head with its empty line, once it is complete.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::protocol::Secret;

    const HOST: &str = "127.0.0.1:6001";

    #[test]
    fn an_upgrade_request_ends_with_an_empty_line_and_names_the_key() {
        let text = String::from_utf8(upgrade(HOST.parse().unwrap(), "k", "")).unwrap();
        assert!(text.starts_with("GET /app/k?protocol=7&"), "{text}");
        assert!(text.ends_with("Sec-WebSocket-Version: 13\r\n\r\n"), "{text}");
        assert!(!text.contains("\r\n "), "{text}");
    }

    #[test]
    fn a_trigger_is_signed_over_its_path_and_body() {
        let key = AppKey { key: "app-key".into(), secret: Secret::new("app-secret") };
        let body = r#"{"name":"order.shipped","channels":["orders"],"data":"{\"id\":7}"}"#;
        let request = trigger(HOST.parse().unwrap(), "app-id", &key, body, Duration::from_secs(1_700_000_000));
        let text = String::from_utf8(request).unwrap();
        let signature = "auth_signature=f704d0561ba4df2c361f8cfdf3c7877e0e40ee45bb2895a2bd88ff75640468da";
        assert!(text.starts_with("POST /apps/app-id/events?"), "{text}");
        assert!(text.contains(signature), "{text}");
        assert!(text.ends_with(&format!("Content-Length: {}\r\n\r\n{body}", body.len())), "{text}");
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for cut in 0..bytes.len() {
            assert_eq!(answer(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(answer(bytes), Some(Answer { status: 200, length: bytes.len() }));
    }

    #[test]
    fn an_answer_without_a_length_has_no_body() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n";
        assert_eq!(answer(bytes), Some(Answer { status: 503, length: bytes.len() }));
    }
}
