//! Who may see more than the page. Decides by what a request says, and asks nobody.
//!
//! With a token, who knows it; without one, browsers on this machine. A name in `Host` that is no loopback name is another
//! page's, which has its own name resolve to this machine (DNS rebinding).

use std::net::IpAddr;

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap, HeaderName},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::protocol::Secret;

/// The cookie that a browser has instead of the token.
pub(super) const COOKIE: &str = "gaung_console";

/// The key of all seals: it keeps them apart from what other programs make of the same token.
const PURPOSE: &[u8] = b"gaung console";

/// Headers of which a proxy adds one or the other: who is behind it is not on this machine.
const PROXIED: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-forwarded-for")];

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Denied {
    /// The token, or a cookie made of it, is missing or wrong.
    TokenWanted,
    /// There is no token, and the request is not from this machine.
    Remote,
}

pub(super) fn check(token: Option<&Secret>, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Denied> {
    match token {
        Some(token) if has_cookie(token, headers) || has_bearer(token, headers) => Ok(()),
        Some(_) => Err(Denied::TokenWanted),
        None if is_local(peer, headers) => Ok(()),
        None => Err(Denied::Remote),
    }
}

/// Whether it is the token. Compares in constant time.
pub(super) fn is_right(token: &Secret, presented: &str) -> bool {
    seal(token.expose()).verify_slice(&seal(presented).finalize().into_bytes()).is_ok()
}

/// What stands in the cookie of one who knows the token.
pub(super) fn cookie(token: &Secret) -> String {
    hex::encode(seal(token.expose()).finalize().into_bytes())
}

fn seal(token: &str) -> Hmac<Sha256> {
    let mut seal = Hmac::<Sha256>::new_from_slice(PURPOSE).expect("a key may have any length");
    seal.update(token.as_bytes());
    seal
}

fn has_cookie(token: &Secret, headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        hex::decode(value).ok().filter(|_| name == COOKIE)
    });
    values.any(|value| seal(token.expose()).verify_slice(&value).is_ok())
}

fn has_bearer(token: &Secret, headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, presented)) = authorization.and_then(|value| value.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer") && is_right(token, presented.trim())
}

fn is_local(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && host.is_some_and(is_loopback_name)
        && !PROXIED.iter().any(|header| headers.contains_key(header))
}

/// 127.0.0.1, [::1] or localhost, with any port or none.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Denied {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TokenWanted => StatusCode::UNAUTHORIZED,
            Self::Remote => StatusCode::FORBIDDEN,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::TokenWanted => "the console asks for its token (GAUNG_ADMIN_TOKEN)",
            Self::Remote => {
                "without a token the console is for browsers on the node's own machine, at 127.0.0.1, [::1] or \
                 localhost; set GAUNG_ADMIN_TOKEN to open it from other machines"
            }
        }
    }

    /// Whether a token would help.
    pub(super) fn wants_login(self) -> bool {
        self == Self::TokenWanted
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn checked(token: Option<&str>, peer: &str, headers: &[(&str, &str)]) -> Result<(), Denied> {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
        let token = token.map(Secret::new);
        check(token.as_ref(), peer.parse().ok(), request.to_http_request().headers())
    }

    #[test]
    fn without_a_token_it_is_for_browsers_of_this_machine() {
        for host in ["127.0.0.1:9601", "127.0.0.1", "[::1]:9601", "[::1]", "localhost:1", "LOCALHOST"] {
            assert_eq!(checked(None, "127.0.0.1", &[("host", host)]), Ok(()), "{host}");
            assert_eq!(checked(None, "::1", &[("host", host)]), Ok(()), "{host}");
            assert_eq!(checked(None, "::ffff:127.0.0.1", &[("host", host)]), Ok(()), "{host}");
            assert_eq!(checked(None, "10.0.0.7", &[("host", host)]), Err(Denied::Remote), "{host}");
            assert_eq!(checked(None, "unknown", &[("host", host)]), Err(Denied::Remote), "{host}");
        }
    }

    #[test]
    fn a_name_that_only_resolves_to_this_machine_is_another_pages() {
        for host in
            ["rebound.example", "localhost.example:9601", "127.0.0.1.example", "10.0.0.7:9601", "[::2]:9601", "[", ""]
        {
            assert_eq!(checked(None, "127.0.0.1", &[("host", host)]), Err(Denied::Remote), "{host}");
        }
        assert_eq!(checked(None, "127.0.0.1", &[]), Err(Denied::Remote));
    }

    #[test]
    fn who_comes_through_a_proxy_is_not_on_this_machine() {
        for header in [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1")] {
            let headers = [("host", "localhost"), header];
            assert_eq!(checked(None, "127.0.0.1", &headers), Err(Denied::Remote), "{header:?}");
        }
    }

    #[test]
    fn with_a_token_everybody_needs_it_and_nobody_needs_more() {
        let here = ("host", "localhost");
        let denied = Err(Denied::TokenWanted);
        assert_eq!(checked(Some("open sesame"), "127.0.0.1", &[here]), denied);
        assert_eq!(checked(Some("open sesame"), "10.0.0.7", &[("authorization", "Bearer open sesame")]), Ok(()));
        assert_eq!(checked(Some("open sesame"), "10.0.0.7", &[("authorization", "bearer open sesame")]), Ok(()));
        for wrong in
            ["Bearer open sesam", "Bearer open sesamee", "Bearer ", "Bearer", "Basic open sesame", "open sesame"]
        {
            assert_eq!(checked(Some("open sesame"), "127.0.0.1", &[here, ("authorization", wrong)]), denied, "{wrong}");
        }
    }

    #[test]
    fn a_cookie_stands_for_the_token_that_it_was_made_of() {
        let cookie = |token: &str| format!("other=1; {COOKIE}={}; third=2", cookie(&Secret::new(token)));
        let denied = Err(Denied::TokenWanted);
        assert_eq!(checked(Some("a"), "10.0.0.7", &[("cookie", &cookie("a"))]), Ok(()));
        assert_eq!(checked(Some("a"), "10.0.0.7", &[("cookie", &cookie("b"))]), denied);
        for wrong in [
            format!("{COOKIE}=a"),
            format!("{COOKIE}="),
            cookie("a").replace(COOKIE, "gaung"),
            cookie("a")[..60].to_owned(),
        ] {
            assert_eq!(checked(Some("a"), "10.0.0.7", &[("cookie", &wrong)]), denied, "{wrong}");
        }
    }

    #[test]
    fn the_cookie_does_not_hold_the_token() {
        let cookie = cookie(&Secret::new("open sesame"));
        assert!(!cookie.contains("open") && !cookie.contains(&hex::encode("open sesame")), "{cookie}");
    }
}
