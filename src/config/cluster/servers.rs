//! `GAUNG_NATS_URL`: where the NATS servers are, and who logs in there if the URLs tell. No text about a wrong one shows
//! a part of it, since that might be the password.

use gaung_cluster::bus::Auth;
use percent_encoding::percent_decode_str;

use crate::config::text;

/// The port of a server whose URL names none.
const PORT: u16 = 4222;

/// One or several servers of one cluster of NATS.
#[derive(Debug, Clone)]
pub(in crate::config) struct Servers {
    /// `scheme://host:port` each, without credentials.
    pub(super) addresses: Vec<String>,
    /// The credentials in the URLs.
    pub(super) auth: Auth,
}

impl Default for Servers {
    fn default() -> Self {
        Self { addresses: Vec::new(), auth: Auth::None }
    }
}

impl Servers {
    /// Reads comma-separated URLs, or says in a sentence what is wrong with one.
    pub(in crate::config) fn parse(list: &str) -> Result<Self, &'static str> {
        let mut servers = Self::default();
        for url in text::pieces(list) {
            let (address, auth) = parse_url(url)?;
            servers.addresses.push(address);
            match (&servers.auth, &auth) {
                (_, Auth::None) => {}
                (Auth::None, _) => servers.auth = auth,
                (known, new) if known == new => {}
                _ => return Err("all URLs that carry credentials must carry the same ones"),
            }
        }
        if servers.addresses.is_empty() { Err("it must be a NATS URL") } else { Ok(servers) }
    }

    /// The list with masked credentials; a list that cannot be read is masked whole if it might hold any.
    pub(in crate::config) fn shown(list: &str) -> String {
        const MASK: &str = "********";
        if !list.contains('@') {
            return list.to_owned();
        }
        let urls: Option<Vec<_>> = text::pieces(list).map(|url| url.split_once("://")).collect();
        let (Ok(_), Some(urls)) = (Self::parse(list), urls) else { return MASK.to_owned() };
        let shown = urls.into_iter().map(|(scheme, rest)| match rest.rsplit_once('@') {
            Some((_, server)) => format!("{scheme}://{MASK}@{server}"),
            None => format!("{scheme}://{rest}"),
        });
        shown.collect::<Vec<_>>().join(",")
    }
}

fn parse_url(url: &str) -> Result<(String, Auth), &'static str> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme @ ("nats" | "tls"), rest)) => (scheme, rest),
        Some(_) | None => return Err("each of its URLs must begin with nats:// or tls://"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("a NATS URL ends after the port: it has no path, no query and no fragment; in a password, these \
                    characters are written %2F, %3F and %23");
    }
    let (credentials, server) = match rest.rsplit_once('@') {
        Some((credentials, server)) => (Some(credentials), server),
        None => (None, rest),
    };
    let (host, port) = parse_server(server)?;
    let auth = credentials.map_or(Ok(Auth::None), parse_credentials)?;
    Ok((format!("{scheme}://{host}:{port}"), auth))
}

/// The host, in brackets if it is an IPv6 address, and the port.
fn parse_server(server: &str) -> Result<(&str, u16), &'static str> {
    const HOST: &str =
        "a NATS URL needs a host, and an IPv6 address brackets: nats://127.0.0.1:4222, nats://[::1]:4222";
    let end = if server.starts_with('[') {
        server.find(']').ok_or(HOST)? + 1
    } else {
        server.find(':').unwrap_or(server.len())
    };
    let (host, port) = server.split_at(end);
    if !is_host(host) {
        return Err(HOST);
    }
    if port.is_empty() {
        return Ok((host, PORT));
    }
    match port.strip_prefix(':').and_then(|port| port.parse().ok()) {
        None | Some(0) => {
            Err("the port of a NATS URL must be a whole number from 1 to 65535; a comma in a password is written %2C")
        }
        Some(port) => Ok((host, port)),
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

/// `user:password`, or a token alone.
fn parse_credentials(credentials: &str) -> Result<Auth, &'static str> {
    const WANTED: &str = "before its @, a NATS URL has user:password or a token, percent-encoded";
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.is_empty() => Ok(text.into_owned()),
        Ok(_) | Err(_) => Err(WANTED),
    };
    match credentials.split_once(':') {
        Some((user, password)) => Ok(Auth::User { user: decode(user)?, password: decode(password)? }),
        None => Ok(Auth::Token(decode(credentials)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, addresses: &[&str], auth: Auth) {
        let servers = Servers::parse(list).unwrap();
        assert_eq!((servers.addresses, servers.auth), (addresses.iter().map(|&text| text.to_owned()).collect(), auth));
    }

    #[test]
    fn each_url_becomes_an_address_with_a_port_and_without_credentials() {
        check("nats://nats", &["nats://nats:4222"], Auth::None);
        check("nats://127.0.0.1:4333/", &["nats://127.0.0.1:4333"], Auth::None);
        check("tls://[::1]", &["tls://[::1]:4222"], Auth::None);
        let user = || Auth::User { user: "me".to_owned(), password: "a@b/c:d".to_owned() };
        check("nats://me:a%40b%2Fc:d@a", &["nats://a:4222"], user());
        check("nats://me:a@b%2Fc:d@a:1, nats://b:2", &["nats://a:1", "nats://b:2"], user());
        check("nats://s3cret@a,tls://s3cret@b", &["nats://a:4222", "tls://b:4222"], Auth::Token("s3cret".to_owned()));
    }

    #[test]
    fn what_is_no_nats_url_is_refused_with_a_sentence() {
        for (wrong, list) in [
            ("begin with nats:// or tls://", "127.0.0.1:4222"),
            ("begin with nats:// or tls://", "http://a"),
            ("the port", "nats://me:s3,cret@a"),
            ("no path", "nats://a/b"),
            ("no path", "nats://a:1?b=c"),
            ("no path", "nats://me:s/3cret@a"),
            ("needs a host", "nats://"),
            ("needs a host", "nats://:4222"),
            ("needs a host", "nats://a b"),
            ("needs a host", "nats://[::1"),
            ("needs a host", "nats://[a]"),
            ("the port", "nats://a:0"),
            ("the port", "nats://a:65536"),
            ("the port", "nats://a:"),
            ("needs a host", "nats://::1"),
            ("the port", "nats://[::1]4222"),
            ("before its @", "nats://@a"),
            ("before its @", "nats://me:@a"),
            ("before its @", "nats://:s3cret@a"),
            ("before its @", "nats://me:%ff@a"),
            ("must carry the same", "nats://me:s3cret@a,nats://me:other@b"),
            ("must be a NATS URL", ","),
        ] {
            let problem = Servers::parse(list).unwrap_err();
            assert!(problem.contains(wrong), "{list}: {problem}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        for (list, shown) in [
            ("nats://a:4222, nats://b", "nats://a:4222, nats://b"),
            ("nats://me:s3cret@a,tls://b", "nats://********@a,tls://b"),
            ("nats://s3@cret@a:1", "nats://********@a:1"),
            ("nats://me:s3,cret@a", "********"),
            ("nats://me:s3cret@a/path", "********"),
        ] {
            assert_eq!(Servers::shown(list), shown);
        }
        let servers = Servers::parse("nats://me:s3cret@a").unwrap();
        assert!(!format!("{servers:?}").contains("s3cret"));
    }
}
