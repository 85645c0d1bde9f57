//! How texts become the fields of the configuration structs: named in `deserialize_with`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    HistoryRules, Quotas, cluster::Servers, history, quotas, text, webhook_endpoint::WebhookEndpoint, webhooks,
};
use crate::tenant::{TenantChannels, TokenAlgorithms};

pub(crate) fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::host(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not an address")))
}

/// `/x` for `x`, `/x/` and `/x`; empty for `/`.
pub(crate) fn path_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let inner = text.trim_matches('/');
    Ok(if inner.is_empty() { String::new() } else { format!("/{inner}") })
}

/// A whole number of seconds.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

/// A whole number of seconds, or 0 for ever.
pub(crate) fn seconds_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    quota(deserializer).map(|seconds| seconds.map(Duration::from_secs))
}

/// A number, or 0 for no limit.
pub(crate) fn quota<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Default + PartialEq,
{
    let number = N::deserialize(deserializer)?;
    Ok((number != N::default()).then_some(number))
}

/// Comma-separated texts.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text::pieces(&text).map(str::to_owned).collect())
}

/// Comma-separated networks.
pub(crate) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::pieces(&text)
        .map(|piece| text::network(piece).ok_or_else(|| D::Error::custom(format!("{piece:?} is not a network"))))
        .collect()
}

/// Comma-separated patterns of tenants' channels.
pub(super) fn tenant_channels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TenantChannels, D::Error> {
    let text = String::deserialize(deserializer)?;
    TenantChannels::parse(&text).ok_or_else(|| D::Error::custom("not patterns of tenants' channels"))
}

/// Comma-separated algorithms of tokens.
pub(super) fn token_algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenAlgorithms, D::Error> {
    let text = String::deserialize(deserializer)?;
    TokenAlgorithms::parse(&text).ok_or_else(|| D::Error::custom("not algorithms of tokens"))
}

/// Comma-separated rules of histories.
pub(crate) fn history<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HistoryRules, D::Error> {
    let text = String::deserialize(deserializer)?;
    HistoryRules::parse(&text).ok_or_else(|| D::Error::custom(history::FORM))
}

/// Comma-separated limits.
pub(crate) fn quotas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quotas, D::Error> {
    let text = String::deserialize(deserializer)?;
    Quotas::parse(&text).ok_or_else(|| D::Error::custom(quotas::FORM))
}

/// Comma-separated URLs of NATS servers.
pub(super) fn nats_servers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Servers, D::Error> {
    let text = String::deserialize(deserializer)?;
    Servers::parse(&text).map_err(D::Error::custom)
}

/// JSON text of webhook endpoints.
pub(crate) fn webhooks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<WebhookEndpoint>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    webhooks::parse(&text).map_err(|complaints| D::Error::custom(complaints.join("; ")))
}
