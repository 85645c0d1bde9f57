//! Which web pages may connect (protocol.md §1.1, Reverb's rule). Pure.

/// The most characters of an origin in the log.
const MAX_LOGGED: usize = 100;

/// Whether the host of an `Origin` header matches one of the patterns. `*` stands for any characters; port and scheme do
/// not count; a missing header matches only the pattern `*`.
pub fn is_allowed(origin: Option<&str>, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| pattern == "*" || origin.and_then(host).is_some_and(|host| matches(pattern, host)))
}

/// What of an origin may stand in the log: anybody can send anything of any length.
pub fn for_log(origin: Option<&str>) -> String {
    let Some(origin) = origin else { return "none".to_owned() };
    let escaped: String = origin.chars().take(MAX_LOGGED).flat_map(char::escape_debug).collect();
    if origin.chars().nth(MAX_LOGGED).is_some() { format!("{escaped}…") } else { escaped }
}

/// The host of an origin such as `https://shop.example.com:8443`; `null` has none. Clients that are no browsers send one
/// without a scheme: .NET's names its server so.
fn host(origin: &str) -> Option<&str> {
    if origin.eq_ignore_ascii_case("null") {
        return None;
    }
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let authority = authority.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = host.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(position) = rest.find(part) else { return false };
        rest = &rest[position + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, origin: Option<&str>, expected: bool) {
        assert_eq!(is_allowed(origin, &[pattern.to_owned()]), expected, "{pattern} {origin:?}");
    }

    #[test]
    fn only_the_host_is_compared() {
        check("shop.example.com", Some("https://shop.example.com"), true);
        check("shop.example.com", Some("http://SHOP.example.com:8080"), true);
        check("localhost", Some("http://localhost:3000"), true);
        check("::1", Some("http://[::1]:3000"), true);
    }

    #[test]
    fn an_origin_without_a_scheme_is_a_host() {
        check("ws.example.com", Some("ws.example.com"), true);
        check("ws.example.com", Some("ws.example.com:8443"), true);
        check("127.0.0.1", Some("127.0.0.1"), true);
        check("::1", Some("[::1]"), true);
        check("example.com", Some("ws.example.com"), false);
        check("example.com", Some("/example.com"), false);
        check("n*", Some("null"), false);
    }

    #[test]
    fn a_wildcard_does_not_match_the_bare_domain_or_a_lookalike() {
        check("*.example.com", Some("https://a.example.com"), true);
        check("*.example.com", Some("https://a.b.example.com"), true);
        check("*.example.com", Some("https://example.com"), false);
        check("example.com", Some("https://evil-example.com"), false);
        check("example.com", Some("https://example.com.evil.net"), false);
        check("*.example.com", Some("https://example.com.evil.net"), false);
        check("a*c*e.com", Some("https://abcde.com"), true);
        check("a*c*e.com", Some("https://ae.com"), false);
    }

    #[test]
    fn a_missing_or_opaque_origin_needs_the_pattern_that_allows_everything() {
        check("*", None, true);
        check("*", Some("null"), true);
        check("example.com", None, false);
        check("example.com", Some("null"), false);
    }

    #[test]
    fn a_logged_origin_is_short_and_cannot_break_the_line() {
        assert_eq!(for_log(None), "none");
        assert_eq!(for_log(Some("https://a.example.com")), "https://a.example.com");
        assert_eq!(for_log(Some("a\n\u{1b}[2J")), "a\\n\\u{1b}[2J");
        assert_eq!(for_log(Some(&"a".repeat(101))), format!("{}…", "a".repeat(100)));
        assert_eq!(for_log(Some(&"a".repeat(100))), "a".repeat(100));
    }
}
