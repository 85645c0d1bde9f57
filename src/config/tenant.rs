//! Who may open tenant sockets at `/ws`.

use std::time::Duration;

/// How a tenant socket is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
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
#[derive(Debug, Clone)]
pub struct TenantConfig {
    /// `GAUNG_TENANT_ACCESS` (token)
    pub access: TenantAccess,
    /// `GAUNG_TENANT_APP`: the id of the app whose channels they hear (the only app).
    pub app: Option<String>,
    /// `GAUNG_TENANT_CALLBACK_URL`: where `callback` asks.
    pub callback_url: Option<String>,
    /// `GAUNG_TENANT_CALLBACK_SECONDS` (5): how long an answer may take.
    pub callback_timeout: Duration,
    /// `GAUNG_TENANT_CALLBACK_CACHE_SECONDS` (0): for how long an answer holds.
    pub callback_cache: Duration,
    /// `GAUNG_TENANT_MESSAGES_PER_SECOND` (20): messages from one tenant socket.
    pub messages_per_second: u32,
}

impl Default for TenantConfig {
    fn default() -> Self {
        Self {
            access: TenantAccess::Token,
            app: None,
            callback_url: None,
            callback_timeout: Duration::from_secs(5),
            callback_cache: Duration::ZERO,
            messages_per_second: 20,
        }
    }
}
