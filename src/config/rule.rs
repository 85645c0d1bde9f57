//! What a variable may hold. A value is checked as text before it is read into its struct, so that the answer can name
//! the variable, the value and what is allowed. The `Display` of a rule completes "it must be …".

use std::{fmt, ops::RangeInclusive};

use gaung_cluster::{InvalidSubjects, Subjects};
use tracing_subscriber::EnvFilter;

use super::{HistoryRules, Quotas, apps_store, cluster::Servers, history, quotas, text, traces::Pairs, webhooks};
use crate::tenant::{TenantChannels, TokenAlgorithms};

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The address of a listener.
    Host,
    /// A whole number within the range.
    Number(RangeInclusive<u64>),
    /// A whole number within the range, or 0 for no limit.
    Quota(RangeInclusive<u64>),
    /// A whole number within the range, or 0 for never.
    Threshold(RangeInclusive<u64>),
    /// A number within the range, which may have decimals, or 0 for never.
    Ratio(RangeInclusive<f64>),
    /// A number from 0 to 1.
    Part,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The beginning of all public paths.
    PathPrefix,
    /// Where to send requests.
    Url,
    /// Networks in CIDR notation, comma-separated.
    Networks,
    /// Host patterns of browsers' origins, comma-separated.
    Origins,
    /// An id or a key: it stands in URLs and in signatures.
    Name,
    Text,
    /// Anything; never shown.
    Secret,
    Path,
    /// A key that apps are sealed with; never shown.
    SealKey,
    /// A `tracing` filter.
    LogFilter,
    /// Patterns of tenants' channels, comma-separated.
    TenantChannels,
    /// What tokens may be signed with, comma-separated.
    TokenAlgorithms,
    /// Texts, comma-separated, at least one: an empty list would ask for nothing.
    List,
    /// Public keys in PEM; never shown, because a private one may have got there.
    PublicKeys,
    /// Which channels keep how much of their events, comma-separated.
    History,
    /// Limits of each tenant, comma-separated.
    Quotas,
    /// Webhook endpoints as JSON.
    Webhooks,
    /// Headers of requests, as pairs; never shown.
    Headers,
    /// Pairs of names and values.
    Attributes,
    /// NATS servers, comma-separated.
    NatsUrls,
    /// A cluster's name: it stands in subjects.
    ClusterName,
    /// The beginning of all subjects.
    SubjectPrefix,
    /// The name of a JetStream stream.
    StreamName,
    /// The beginning of metrics' names.
    MetricPrefix,
}

impl Rule {
    /// Says what the value must be, if it is not.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        let permitted = match self {
            Self::Host => text::host(value).is_some(),
            Self::Number(range) => value.parse().is_ok_and(|number| range.contains(&number)),
            Self::Quota(range) | Self::Threshold(range) => {
                value.parse().is_ok_and(|number| number == 0 || range.contains(&number))
            }
            Self::Ratio(range) => value.parse().is_ok_and(|number| number == 0.0 || range.contains(&number)),
            Self::Part => value.parse().is_ok_and(|number: f64| (0.0..=1.0).contains(&number)),
            Self::Switch => matches!(value, "true" | "false"),
            Self::Choice(words) => words.contains(&value),
            Self::PathPrefix => text::is_path_prefix(value),
            Self::Url => text::is_url(value),
            Self::Networks => text::pieces(value).all(|piece| text::network(piece).is_some()),
            Self::Origins => text::pieces(value).all(|piece| !piece.contains(['/', ' '])),
            Self::TenantChannels => TenantChannels::parse(value).is_some(),
            Self::List => text::pieces(value).next().is_some(),
            Self::TokenAlgorithms => TokenAlgorithms::parse(value).is_some(),
            Self::History => HistoryRules::parse(value).is_some(),
            Self::Quotas => Quotas::parse(value).is_some(),
            Self::Name => (1..=200).contains(&value.len()) && value.chars().all(text::is_unreserved),
            Self::Text | Self::Secret | Self::Path | Self::PublicKeys => !value.is_empty(),
            Self::SealKey => apps_store::key(value).is_some(),
            Self::LogFilter => value.parse::<EnvFilter>().is_ok(),
            Self::Webhooks => return webhooks::parse(value).map(drop).map_err(|complaints| complaints.join("; ")),
            Self::Headers => Pairs::parse(value).is_some_and(|pairs| pairs.are_headers()),
            Self::Attributes => Pairs::parse(value).is_some(),
            Self::NatsUrls => return Servers::parse(value).map(drop).map_err(str::to_owned),
            Self::ClusterName => !matches!(Subjects::new("gaung", value), Err(InvalidSubjects::Cluster(_))),
            Self::SubjectPrefix => !matches!(Subjects::new(value, "gaung"), Err(InvalidSubjects::Prefix(_))),
            Self::StreamName => text::is_stream_name(value),
            Self::MetricPrefix => text::is_metric_prefix(value),
        };
        if permitted { Ok(()) } else { Err(format!("it must be {self}")) }
    }

    /// The value as it may be shown. Webhooks may carry credentials in their headers, URLs of NATS before the host.
    pub(super) fn shown(&self, value: &str) -> String {
        match self {
            Self::Secret | Self::SealKey | Self::Webhooks | Self::Headers | Self::PublicKeys if !value.is_empty() => {
                "********".to_owned()
            }
            Self::NatsUrls => Servers::shown(value),
            _ => value.to_owned(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("an IP address, for example 127.0.0.1, 0.0.0.0 or ::, or localhost"),
            Self::Number(range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Self::Quota(range) => {
                write!(f, "a whole number from {} to {}, or 0 for no limit", range.start(), range.end())
            }
            Self::Threshold(range) => {
                write!(f, "a whole number from {} to {}, or 0 for never", range.start(), range.end())
            }
            Self::Ratio(range) => write!(f, "a number from {} to {}, or 0 for never", range.start(), range.end()),
            Self::Part => f.write_str("a number from 0 to 1"),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(words) => f.write_str(&words.join(" or ")),
            Self::PathPrefix => f.write_str("a path like /realtime, of letters, digits and - . _ ~ between single /"),
            Self::Url => f.write_str("an http:// or https:// URL without user and password"),
            Self::Networks => f.write_str("comma-separated networks in CIDR notation, for example 10.0.0.0/8"),
            Self::Origins => f.write_str("comma-separated hosts without scheme and path, for example *.example.com"),
            Self::TenantChannels => f.write_str(
                "comma-separated channel patterns with {tenant} once, * within a segment and .** for further ones",
            ),
            Self::TokenAlgorithms => f.write_str("one or more of HS256, RS256, ES256 and EdDSA, comma-separated"),
            Self::List => f.write_str("comma-separated texts, at least one"),
            Self::PublicKeys => f.write_str("public keys in PEM (BEGIN PUBLIC KEY)"),
            Self::Name => f.write_str("1 to 200 letters, digits and - . _ ~"),
            Self::Text | Self::Secret => f.write_str("a text that is not empty"),
            Self::SealKey => f.write_str("32 bytes, as 64 hexadecimal digits or in base64"),
            Self::Path => f.write_str("the path of a file"),
            Self::LogFilter => f.write_str("a log filter, for example info or warn,gaung=debug"),
            Self::History => f.write_str(history::FORM),
            Self::Quotas => f.write_str(quotas::FORM),
            Self::Webhooks => f.write_str("a JSON list of webhook endpoints"),
            Self::Headers => f.write_str("comma-separated headers like api-key=value, percent-encoded where need be"),
            Self::Attributes => f.write_str("comma-separated pairs like name=value, percent-encoded where need be"),
            Self::NatsUrls => f.write_str("comma-separated URLs that begin with nats:// or tls://"),
            Self::ClusterName => f.write_str("1 to 32 lower-case letters, digits and hyphens"),
            Self::SubjectPrefix => f.write_str("1 to 128 letters, digits, _ and -, in parts joined by dots"),
            Self::StreamName => f.write_str("1 to 64 letters, digits, _ and -"),
            Self::MetricPrefix => {
                f.write_str("a letter, then letters, digits and _, the last a _, for example soketi_")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &Rule, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(rule.check(value), Ok(()), "{rule:?} permits {value:?}");
        }
        for value in bad {
            assert_eq!(rule.check(value), Err(format!("it must be {rule}")), "{rule:?} refuses {value:?}");
        }
    }

    #[test]
    fn each_rule_permits_what_it_says_and_refuses_the_rest() {
        check(&Rule::Host, &["127.0.0.1", "0.0.0.0", "::", "localhost"], &["example.com", "127.0.0.1:80", "*"]);
        check(&Rule::Number(1..=9), &["1", "9"], &["0", "10", "-1", "1.5", "one", "99999999999999999999"]);
        check(&Rule::Ratio(1.05..=10.0), &["0", "1.05", "1.2", "10"], &["1", "11", "-1.2", "NaN", "1,2", ""]);
        check(&Rule::Part, &["0", "1", "0.05", "1e-3"], &["-0.1", "1.1", "NaN", "half", ""]);
        check(&Rule::Headers, &["a=b", "a=b, x-token=c%20d=", ""], &["a", "=b", "a b=c", "a=%0a", "a=%ff", "é=1"]);
        check(&Rule::Attributes, &["a=b", "a.b=%C3%A9,c="], &["a", "=b", "a=%ff"]);
        check(&Rule::Quota(10..=99), &["0", "10", "99"], &["9", "100", "-1"]);
        check(&Rule::Threshold(10..=99), &["0", "10", "99"], &["9", "100", "-1"]);
        check(&Rule::Switch, &["true", "false"], &["1", "yes", "TRUE"]);
        check(&Rule::Choice(&["text", "json"]), &["text", "json"], &["xml", "texts"]);
        check(&Rule::PathPrefix, &["/x", "x/", "/a/b.c", "/"], &["/a//b", "/a?b", "/a b", "/{x}", "https://x"]);
        check(&Rule::Url, &["http://x", "https://x:1/y?z"], &["x", "ftp://x", "/x", "http://", "http://me:pass@x"]);
        check(&Rule::TokenAlgorithms, &["HS256", "RS256, ES256,EdDSA"], &["", "none", "RS512", "rs256", "RS256;ES256"]);
        check(&Rule::List, &["a", "a, https://b"], &["", ",", " , "]);
        check(&Rule::Networks, &["10.0.0.0/8, ::1/128", "10.1.2.3"], &["10.0.0.0/33", "2", "10.0.0.0/8;"]);
        check(&Rule::Origins, &["*", "*.example.com, localhost"], &["https://example.com", "a b"]);
        check(&Rule::Name, &["app-key", "a.b_c~1"], &["", "a:b", "a/b", "a b", "é", &"x".repeat(201)]);
        check(&Rule::Secret, &["any: thing/at all"], &[""]);
        check(&Rule::Path, &["/etc/gaung/apps.json"], &[""]);
        check(&Rule::ClusterName, &["gaung", "eu-1"], &["EU", "a.b", "a b", &"x".repeat(33)]);
        check(&Rule::SubjectPrefix, &["gaung", "acme.Prod_1"], &["a..b", ".a", "*", "a.>", "a b", &"x".repeat(129)]);
        check(&Rule::StreamName, &["WEBHOOKS", "web-hooks_1"], &["a.b", "a b", "*", &"x".repeat(65)]);
        check(&Rule::MetricPrefix, &["soketi_", "soketi_6001_"], &["soketi", "6001_", "_", "a-b_", "a b_"]);
        check(&Rule::LogFilter, &["info", "warn,gaung=debug"], &["gaung=loud"]);
    }

    #[test]
    fn secrets_and_webhooks_are_never_shown() {
        assert_eq!(Rule::Secret.shown("s3cret"), "********");
        assert_eq!(Rule::Webhooks.shown("[]"), "********");
        assert_eq!(Rule::Headers.shown("a=b"), "********");
        assert_eq!(Rule::PublicKeys.shown("-----BEGIN PRIVATE KEY-----"), "********");
        assert_eq!(Rule::Secret.shown(""), "");
        assert_eq!(Rule::Name.shown("app-key"), "app-key");
    }
}
