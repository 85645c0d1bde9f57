//! How the text of a value is taken apart, and what it may look like. Knows no variables.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// A listener's address. `localhost` is IPv4's.
pub(super) fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

/// A network; a plain address is the network of that address alone.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The pieces of a comma-separated list.
pub(super) fn pieces(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|piece| !piece.is_empty())
}

/// Strict enough that a request can be sent there; credentials in a URL would end up in logs.
pub(super) fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !authority.is_empty() && !authority.contains('@') && text.chars().all(|c| c.is_ascii_graphic())
}

pub(super) fn is_path_prefix(text: &str) -> bool {
    let inner = text.trim_matches('/');
    inner.is_empty() || inner.split('/').all(|segment| !segment.is_empty() && segment.chars().all(is_unreserved))
}

pub(super) fn is_stream_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

pub(super) fn is_metric_prefix(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.ends_with('_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The characters that no URL escapes (RFC 3986 §2.3).
pub(super) fn is_unreserved(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '~')
}

/// A header name is a token, and a value has no control characters (RFC 9110 §5.1, §5.5).
pub(super) fn is_header(name: &str, text: &str) -> bool {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_token) && text.chars().all(|c| (' '..='~').contains(&c))
}
