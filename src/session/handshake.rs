//! The answer to a WebSocket handshake (RFC 6455 §4.2), and what is missing where there is none.

use std::io;

use actix_codec::Framed;
use actix_http::{
    HttpMessage, Request, Response, StatusCode, Version,
    body::BodySize,
    h1,
    header::{self, HeaderMap, HeaderValue},
    ws,
};
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

/// Whether the request is a handshake. HTTP/1.0 knows no upgrade, whatever such a request says (RFC 9110 §7.8).
pub fn is_sound(request: &Request) -> bool {
    request.version() >= Version::HTTP_11 && ws::verify_handshake(request.head()).is_ok()
}

/// The headers of a handshake that a request does not have, as they should be.
pub fn missing(headers: &HeaderMap) -> Vec<&'static str> {
    let names = |header: header::HeaderName, value: &str| {
        let values = headers.get_all(header);
        let mut options = values.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        options.any(|option| option.trim().eq_ignore_ascii_case(value))
    };
    [
        ("Upgrade: websocket", names(header::UPGRADE, "websocket")),
        ("Connection: Upgrade", names(header::CONNECTION, "upgrade")),
        ("Sec-WebSocket-Version: 13", names(header::SEC_WEBSOCKET_VERSION, "13")),
        ("Sec-WebSocket-Key", headers.contains_key(header::SEC_WEBSOCKET_KEY)),
    ]
    .into_iter()
    .filter_map(|(header, is_there)| (!is_there).then_some(header))
    .collect()
}

/// What is told of them.
pub fn missing_text(missing: &[&str]) -> String {
    format!("this path serves WebSockets only; the request lacks {}", missing.join(", "))
}

/// Says yes, and names the sub-protocol that was selected.
pub async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, h1::Codec>,
    request: &Request,
    protocol: Option<&'static str>,
) -> io::Result<()> {
    let mut response = ws::handshake_response(request.head());
    if let Some(protocol) = protocol {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)));
    }
    framed.send((response.finish().drop_body(), BodySize::None).into()).await
}

/// Says what is missing, and ends the connection.
pub async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, h1::Codec>,
    request: &Request,
) -> io::Result<()> {
    let (status, error) = match missing(request.headers()) {
        _ if request.method() != "GET" => {
            (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET request".to_owned())
        }
        _ if request.version() < Version::HTTP_11 => {
            (StatusCode::BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1".to_owned())
        }
        missing if missing.is_empty() => (StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is no key".to_owned()),
        missing => (StatusCode::UPGRADE_REQUIRED, missing_text(&missing)),
    };
    let body = Bytes::from(json!({"error": error, "code": status.as_u16()}).to_string());
    let mut response = Response::build(status);
    response.insert_header((header::CONTENT_TYPE, "application/json")).force_close();
    response.insert_header((header::UPGRADE, "websocket")).insert_header((header::SEC_WEBSOCKET_VERSION, "13"));
    let head = (response.finish().drop_body(), BodySize::Sized(body.len() as u64));
    framed.send(head.into()).await?;
    framed.send(h1::Message::Chunk(Some(body))).await?;
    framed.send(h1::Message::Chunk(None)).await?;
    framed.close().await
}
