//! The answer to a WebSocket handshake (RFC 6455 §4.2), and what is missing where there is none.

use std::{fmt, io};

use actix_codec::Framed;
use actix_http::{
    HttpMessage, Method, Request, Response, StatusCode, Version,
    body::BodySize,
    h1,
    header::{self, HeaderMap, HeaderValue},
    ws,
};
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::protocol::deflate::{self, Encoding};

/// Whether the request is a handshake. HTTP/1.0 knows no upgrade, whatever such a request says (RFC 9110 §7.8).
pub fn is_sound(request: &Request) -> bool {
    let headers = request.headers();
    let is_request = request.version() >= Version::HTTP_11 && request.method() == Method::GET;
    is_request && faults(headers).is_empty() && lines(headers, "Sec-WebSocket-Key").all(is_key)
}

/// What keeps a request from being a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A header is not there, and what it should say; the key says something else each time.
    Missing(&'static str, &'static str),
    /// A header says something else.
    Wrong(&'static str, &'static str),
    /// One line of `Upgrade` names websocket beside other protocols. actix-http hands a socket over only where a line
    /// names it alone.
    Beside,
    /// The request has a body, by this header: what follows the head would be no frames.
    Body(&'static str),
}

/// What keeps a request from being a handshake. Lists are read as lists, in however many lines they come.
pub fn faults(headers: &HeaderMap) -> Vec<Fault> {
    let wanted = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", ""),
    ];
    let told = wanted.into_iter().filter_map(|(name, value)| match headers.contains_key(name) {
        false => Some(Fault::Missing(name, value)),
        true if value.is_empty() || lists(headers, name, value) => None,
        true => Some(Fault::Wrong(name, value)),
    });
    let mut faults: Vec<_> = told.collect();
    let is_alone = lines(headers, "Upgrade").any(|line| line.trim().eq_ignore_ascii_case("websocket"));
    if lists(headers, "Upgrade", "websocket") && !is_alone {
        faults.push(Fault::Beside);
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        faults.push(Fault::Body("Transfer-Encoding"));
    }
    if lines(headers, "Content-Length").any(|length| length.trim() != "0") {
        faults.push(Fault::Body("Content-Length"));
    }
    faults
}

fn lines<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    headers.get_all(name).filter_map(|line| line.to_str().ok())
}

fn lists(headers: &HeaderMap, name: &str, value: &str) -> bool {
    lines(headers, name).flat_map(|line| line.split(',')).any(|option| option.trim().eq_ignore_ascii_case(value))
}

/// A key is 16 bytes in base64 (RFC 6455 §4.1): 22 characters and the padding.
fn is_key(key: &str) -> bool {
    let digits = key.trim().strip_suffix("==");
    digits.is_some_and(|digits| {
        digits.len() == 22 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
    })
}

/// What is told of them.
pub fn faults_text(faults: &[Fault]) -> String {
    let (missing, others): (Vec<_>, Vec<_>) = faults.iter().partition(|fault| matches!(fault, Fault::Missing(..)));
    let listed = |faults: &[&Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let missing = if missing.is_empty() { String::new() } else { format!("the request lacks {}", listed(&missing)) };
    let told: Vec<_> = [missing, listed(&others)].into_iter().filter(|text| !text.is_empty()).collect();
    format!(
        "this path serves WebSockets only; {}. If a WebSocket client has sent this request, a proxy on the way has dropped or changed its upgrade headers: the proxy must speak HTTP/1.1 to this server and forward Upgrade and Connection",
        told.join(", and ")
    )
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name, "") => f.write_str(name),
            Self::Missing(name, value) => write!(f, "{name}: {value}"),
            Self::Wrong(name, value) => write!(f, "the request's {name} is not {value}"),
            Self::Beside => {
                f.write_str("the request's Upgrade lists other protocols beside websocket, which must stand alone")
            }
            Self::Body(name) => write!(f, "the request has a body ({name}), which a handshake must not have"),
        }
    }
}

/// Whether the client can read compressed messages and write them.
pub fn offers_compression(headers: &HeaderMap) -> bool {
    deflate::is_offered(lines(headers, "Sec-WebSocket-Extensions"))
}

/// Says yes, and names the sub-protocol and the compression that were selected.
pub async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, h1::Codec>,
    request: &Request,
    protocol: Option<&'static str>,
    encoding: Encoding,
) -> io::Result<()> {
    let mut response = ws::handshake_response(request.head());
    if let Some(protocol) = protocol {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)));
    }
    if encoding != Encoding::Plain {
        response.insert_header((header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(deflate::ACCEPTED)));
    }
    framed.send((response.finish().drop_body(), BodySize::None).into()).await
}

/// Says what is missing, and ends the connection.
pub async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, h1::Codec>,
    request: &Request,
) -> io::Result<()> {
    let (status, error) = objection(request);
    answer(framed, status, &error).await
}

/// What a proxy reads, and a client only where the proxy has no other node.
pub const NEXT_NODE: &str = "this node goes away (GAUNG_DRAIN_REFUSES_UPGRADES): let the proxy try the next one";

/// Lets a proxy try the next node, and ends the connection.
pub async fn send_on<T: AsyncRead + AsyncWrite + Unpin>(framed: &mut Framed<T, h1::Codec>) -> io::Result<()> {
    answer(framed, StatusCode::SERVICE_UNAVAILABLE, NEXT_NODE).await
}

async fn answer<T: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<T, h1::Codec>,
    status: StatusCode,
    error: &str,
) -> io::Result<()> {
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

/// Why a request is no handshake: status and text.
pub fn objection(request: &Request) -> (StatusCode, String) {
    match faults(request.headers()) {
        _ if request.method() != "GET" => {
            (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket handshake is a GET request".to_owned())
        }
        _ if request.version() < Version::HTTP_11 => {
            (StatusCode::BAD_REQUEST, "a WebSocket handshake needs HTTP/1.1".to_owned())
        }
        faults if faults.is_empty() => (StatusCode::BAD_REQUEST, "the header Sec-WebSocket-Key is no key".to_owned()),
        faults => (StatusCode::UPGRADE_REQUIRED, faults_text(&faults)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(header::HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let told: Vec<_> = faults(&map).iter().map(Fault::to_string).collect();
        assert_eq!(told, expected, "{headers:?}");
    }

    #[test]
    fn each_header_is_told_as_missing_or_as_wrong() {
        check(&[], &["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key"]);
        check(
            &[
                ("upgrade", "h2c"),
                ("connection", "keep-alive"),
                ("sec-websocket-version", "8"),
                ("sec-websocket-key", "a"),
            ],
            &[
                "the request's Upgrade is not websocket",
                "the request's Connection is not Upgrade",
                "the request's Sec-WebSocket-Version is not 13",
            ],
        );
    }

    #[test]
    fn an_option_may_stand_among_others_in_any_case() {
        check(
            &[
                ("upgrade", "WebSocket"),
                ("connection", "keep-alive, upgrade"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "a"),
            ],
            &[],
        );
    }

    #[test]
    fn lists_are_read_as_lists_in_one_line_or_in_several() {
        let sound = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", "a")];
        check(&[&sound[..], &[("upgrade", "h2c"), ("sec-websocket-version", "13, 8")]].concat(), &[]);
        check(&[&sound[..], &[("sec-websocket-version", "8"), ("sec-websocket-version", "13")]].concat(), &[]);
        check(&[&sound[..], &[("sec-websocket-version", "13"), ("content-length", "0")]].concat(), &[]);
        let beside = [("upgrade", "h2c, websocket"), ("sec-websocket-version", "13")];
        check(
            &[&sound[1..], &beside].concat(),
            &["the request's Upgrade lists other protocols beside websocket, which must stand alone"],
        );
    }

    #[test]
    fn a_handshake_has_no_body() {
        for (name, value) in [("transfer-encoding", "chunked"), ("content-length", "2")] {
            let sound = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", "a")];
            let body = [("sec-websocket-version", "13"), (name, value)];
            let named = if name == "content-length" { "Content-Length" } else { "Transfer-Encoding" };
            check(
                &[&sound[..], &body].concat(),
                &[&format!("the request has a body ({named}), which a handshake must not have")],
            );
        }
    }

    #[test]
    fn the_text_says_who_may_have_done_it() {
        let text = faults_text(&faults(&HeaderMap::new()));
        assert!(text.starts_with("this path serves WebSockets only; the request lacks Upgrade: websocket, "), "{text}");
        assert!(text.contains("a proxy on the way has dropped"), "{text}");
        let headers = [("upgrade", "websocket"), ("connection", "close"), ("sec-websocket-key", "a")];
        let headers =
            headers.map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        let text = faults_text(&faults(&headers.into_iter().collect()));
        let both = "the request lacks Sec-WebSocket-Version: 13, and the request's Connection is not Upgrade. If a";
        assert!(text.contains(both), "{text}");
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        for (key, is_one) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            (" +/hlIHNhbXBsZSBub25jZQ== ", true),
            ("short", false),
            ("", false),
            ("==", false),
            ("dGhlIHNhbXBsZSBub25jZQ", false),
            ("dGhlIHNhbXBsZSBub25jZ-==", false),
            ("dGhlIHNhbXBsZSBub25jZQQQ==", false),
        ] {
            assert_eq!(is_key(key), is_one, "{key}");
        }
    }
}
