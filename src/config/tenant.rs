//! Who may open tenant sockets at `/ws` and streams at `/sse`.

use std::time::Duration;

use serde::Deserialize;

use super::{Rule, Variable, fields};
use crate::tenant::{TenantChannels, channels};

/// How a tenant socket is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantAccess {
    /// By a token signed with the app's secret.
    Token,
    /// By a request to the application.
    Callback,
    /// Everyone; public channels only.
    Open,
}

/// Tenant sockets.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct TenantConfig {
    /// `GAUNG_TENANT_ACCESS` (token)
    pub access: TenantAccess,
    /// `GAUNG_TENANT_APP`: the id of the app whose channels they hear (the only app).
    pub app: Option<String>,
    /// `GAUNG_TENANT_CHANNELS` (`*.{tenant}.**`): which channels are whose.
    #[serde(deserialize_with = "fields::tenant_channels")]
    pub channels: TenantChannels,
    /// `GAUNG_TENANT_CALLBACK_URL`: where `callback` asks.
    pub callback_url: Option<String>,
    /// `GAUNG_TENANT_CALLBACK_SECONDS` (5): how long an answer may take.
    #[serde(rename = "callback_seconds", deserialize_with = "fields::seconds")]
    pub callback_timeout: Duration,
    /// `GAUNG_TENANT_CALLBACK_CACHE_SECONDS` (0): for how long an answer holds.
    #[serde(rename = "callback_cache_seconds", deserialize_with = "fields::seconds")]
    pub callback_cache: Duration,
    /// `GAUNG_TENANT_MESSAGES_PER_SECOND` (20): messages from one tenant socket.
    pub messages_per_second: u32,
    /// `GAUNG_TENANT_HEARTBEAT_SECONDS` (15): how often a stream of server-sent events is sent a comment.
    #[serde(rename = "heartbeat_seconds", deserialize_with = "fields::seconds")]
    pub heartbeat: Duration,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            access: TenantAccess::Token,
            app: None,
            channels: TenantChannels::default(),
            callback_url: None,
            callback_timeout: Duration::from_secs(5),
            callback_cache: Duration::ZERO,
            messages_per_second: 20,
            heartbeat: Duration::from_secs(15),
        }
    }
}

impl TenantConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let default = Self::default();
        vec![
            Variable::new(
                "GAUNG_TENANT_ACCESS",
                "token",
                Rule::Choice(&["token", "callback", "open"]),
                "who may open tenant sockets; open is for public channels only",
            ),
            Variable::new(
                "GAUNG_TENANT_APP",
                "",
                Rule::Name,
                "id of the app whose channels they hear; the only app unless set",
            ),
            Variable::new(
                "GAUNG_TENANT_CHANNELS",
                channels::DEFAULT,
                Rule::TenantChannels,
                "patterns of tenants' channels, without the prefix of their kind; the first that matches decides",
            ),
            Variable::new("GAUNG_TENANT_CALLBACK_URL", "", Rule::Url, "URL that access callback asks"),
            Variable::new(
                "GAUNG_TENANT_CALLBACK_SECONDS",
                default.callback_timeout.as_secs(),
                Rule::Number(1..=60),
                "how long its answer may take",
            ),
            Variable::new(
                "GAUNG_TENANT_CALLBACK_CACHE_SECONDS",
                default.callback_cache.as_secs(),
                Rule::Number(0..=3_600),
                "how long its answer is cached",
            ),
            Variable::new(
                "GAUNG_TENANT_MESSAGES_PER_SECOND",
                default.messages_per_second,
                Rule::Number(1..=100_000),
                "messages from one tenant socket",
            ),
            Variable::new(
                "GAUNG_TENANT_HEARTBEAT_SECONDS",
                default.heartbeat.as_secs(),
                Rule::Number(1..=300),
                "how often a stream of server-sent events is sent a comment; less than any proxy's timeout",
            ),
        ]
    }
}
