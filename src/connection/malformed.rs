//! What is spoken to the public port and is no request of HTTP/1.1, or of TLS where that is wanted: the log says what it was, at
//! once and then once a minute, because both sides see only a connection that ends, and anybody can cause it.

use std::{cell::RefCell, net::SocketAddr, sync::Arc};

use actix_http::error::{DispatchError, ParseError};
use gaung_cluster::seldom::Seldom;

use super::address::shown;

/// The first byte of a TLS connection: a record of the handshake (RFC 8446 §5.1). No method of HTTP begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// The beginning of HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// The beginning of the PROXY protocol's second version; the first begins with its name.
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What tells them all apart.
pub const OPENING_BYTES: usize = 16;

const METHODS: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// What came instead of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// TLS, to a plain port.
    Tls,
    /// HTTP without TLS, to a port that wants it.
    Plain,
    /// HTTP/2 without TLS.
    Http2,
    Ssh,
    Proxy,
    /// A request that does not say which host it is for.
    NoHost,
    /// A request whose head has too many bytes or headers.
    TooLarge,
    Other,
}

/// How often each came to one listener.
#[derive(Debug, Default)]
pub struct Log([Seldom; 8]);

thread_local! {
    /// What this thread read last. The dispatcher refuses a head in the turn in which it was read, and says only that.
    static LAST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what was read until more is read on this thread.
pub(super) fn remember(bytes: &[u8]) {
    LAST.with_borrow_mut(|last| {
        last.clear();
        last.extend_from_slice(bytes);
    });
}

impl Malformed {
    /// What a connection without TLS begins with; `None` if it may be TLS. Pure.
    pub fn instead_of_tls(opening: &[u8]) -> Option<Self> {
        let known = Self::opening(opening).unwrap_or(Self::Other);
        match opening.first() {
            None | Some(&TLS_HANDSHAKE) => None,
            Some(_) if known == Self::Http2 || is_method(opening) => Some(Self::Plain),
            Some(_) => Some(known),
        }
    }

    /// What the dispatcher refused, if it is the client's fault that it could not be read.
    fn refused(error: &DispatchError) -> Option<Self> {
        let DispatchError::Parse(error) = error else { return None };
        LAST.with_borrow(|last| Self::of_head(last, error))
    }

    /// `head` was read, and refused. Pure.
    fn of_head(head: &[u8], error: &ParseError) -> Option<Self> {
        match error {
            ParseError::Io(_) | ParseError::Timeout | ParseError::Incomplete => None,
            ParseError::TooLarge => Some(Self::TooLarge),
            ParseError::Header if lacks_host(head) => Some(Self::NoHost),
            _ => Some(Self::opening(head).unwrap_or(Self::Other)),
        }
    }

    fn opening(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [TLS_HANDSHAKE, ..] => Some(Self::Tls),
            _ if bytes.starts_with(PREFACE) => Some(Self::Http2),
            _ if bytes.starts_with(b"SSH-") => Some(Self::Ssh),
            _ if bytes.starts_with(b"PROXY ") || bytes.starts_with(PROXY_2) => Some(Self::Proxy),
            _ => None,
        }
    }

    fn tell(self, peer: Option<SocketAddr>, connections: u64) {
        let peer = shown(peer);
        let what = match self {
            Self::Tls => {
                "TLS was spoken to the public port, which is plain: let clients use http:// and ws://, or set \
                 GAUNG_TLS_CERT and GAUNG_TLS_KEY"
            }
            Self::Plain => {
                "plain HTTP was spoken to the public port, which wants TLS: let clients use https:// and wss://"
            }
            Self::Http2 => "HTTP/2 was spoken to the public port without TLS: there it takes HTTP/1.1 only",
            Self::Ssh => "SSH was spoken to the public port, which takes HTTP",
            Self::Proxy => {
                "the PROXY protocol was spoken to the public port, which does not take it: switch it off where the \
                 connection comes from, and let X-Forwarded-For tell clients' addresses (GAUNG_TRUSTED_PROXIES)"
            }
            Self::NoHost => "a request without the header Host was refused with 400",
            Self::TooLarge => {
                "a request with too large a head was refused with 431: it may have 131072 bytes and 96 headers"
            }
            Self::Other => "what was spoken to the public port is no request, and was refused with 400",
        };
        tracing::warn!(peer, connections, "{what}");
    }
}

impl Log {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A connection ended in this way. The line tells the last one's peer.
    pub fn count(&self, malformed: Malformed, peer: Option<SocketAddr>) {
        if let Some(connections) = self.0[malformed as usize].count() {
            malformed.tell(peer, connections);
        }
    }

    /// The dispatcher ended a connection with this error.
    pub fn look_at(&self, error: &DispatchError, peer: Option<SocketAddr>) {
        if let Some(malformed) = Malformed::refused(error) {
            self.count(malformed, peer);
        }
    }
}

/// A whole head of HTTP/1.1 in which no line begins with `Host`.
fn lacks_host(head: &[u8]) -> bool {
    let is_host = |line: &[u8]| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
    is_method(head) && head.ends_with(b"\n\r\n") && !head.split(|byte| *byte == b'\n').any(is_host)
}

fn is_method(bytes: &[u8]) -> bool {
    let method = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    METHODS.iter().any(|name| name.as_bytes() == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], error: ParseError, expected: Option<Malformed>) {
        assert_eq!(Malformed::of_head(head, &error), expected, "{}", String::from_utf8_lossy(head));
    }

    #[test]
    fn what_came_instead_of_a_request_is_told_by_its_beginning() {
        check(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", ParseError::Method, Some(Malformed::Tls));
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ParseError::Version, Some(Malformed::Http2));
        check(b"SSH-2.0-OpenSSH_9.6\r\n", ParseError::Method, Some(Malformed::Ssh));
        check(b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 443\r\n", ParseError::Version, Some(Malformed::Proxy));
        check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", ParseError::Method, Some(Malformed::Proxy));
        check(b"\x17\x03\x03\0\x10 nonsense", ParseError::Method, Some(Malformed::Other));
        check(b"GET / HTTP/1.1\r\nX-A: b\r\n\r\n", ParseError::Header, Some(Malformed::NoHost));
        check(b"GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n", ParseError::Header, Some(Malformed::Other));
        check(b"GET / HTTP/1.1\r\nHost: a\r\n", ParseError::TooLarge, Some(Malformed::TooLarge));
        check(b"GET / HTTP/1.1\r\n", ParseError::Incomplete, None);
    }

    #[test]
    fn a_port_with_tls_tells_what_is_none() {
        let of = Malformed::instead_of_tls;
        assert_eq!(of(b"\x16\x03\x01"), None);
        assert_eq!(of(b""), None);
        assert_eq!(of(b"GET / HTTP/1.1\r\n"), Some(Malformed::Plain));
        assert_eq!(of(b"PRI * HTTP/2.0\r\n"), Some(Malformed::Plain));
        assert_eq!(of(b"PROXY TCP4 203.0"), Some(Malformed::Proxy));
        assert_eq!(of(b"SSH-2.0-OpenSSH"), Some(Malformed::Ssh));
        assert_eq!(of(b"hello"), Some(Malformed::Other));
    }
}
