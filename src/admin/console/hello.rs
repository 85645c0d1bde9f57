//! What the page must know before anything else: the node, how clients reach it, and the apps with their limits. No
//! secrets.

use serde::Serialize;

use super::settings::PublicPort;
use crate::{admin::shown::Admin, app::App};

#[derive(Serialize)]
#[serde(tag = "type", rename = "hello")]
struct Hello<'a> {
    version: &'static str,
    /// `None` for a node alone, which has no name.
    node: Option<String>,
    payloads: bool,
    public: &'a PublicPort,
    apps: Vec<AppHello>,
}

/// An app as its settings are called, with one of its keys, which are no secrets.
#[derive(Serialize)]
struct AppHello {
    id: String,
    key: Option<String>,
    enabled: bool,
    client_events: bool,
    sign_in: bool,
    watchlists: bool,
    subscription_counts: bool,
    http_transports: bool,
    max_connections: Option<usize>,
    events_per_second: Option<u32>,
    messages_per_second: Option<u32>,
    client_events_per_second: Option<u32>,
    reads_per_second: Option<u32>,
    max_subscriptions: usize,
    max_presence_members: usize,
    max_presence_member_bytes: usize,
    max_channel_name_length: usize,
    max_event_name_length: usize,
    max_event_bytes: usize,
    max_event_channels: usize,
    max_batch_events: usize,
    compress_from_bytes: Option<usize>,
    cache_ttl_seconds: u64,
    activity_timeout_seconds: u64,
}

pub(super) fn frame(admin: &Admin) -> String {
    let hello = Hello {
        version: admin.version,
        node: admin.link.as_ref().map(|link| link.node().to_string()),
        payloads: admin.console.shows_payloads,
        public: &admin.console.public,
        apps: admin.registry.all().iter().map(|app| AppHello::of(app)).collect(),
    };
    serde_json::to_string(&hello).expect("numbers and strings are always JSON")
}

impl AppHello {
    fn of(app: &App) -> Self {
        let settings = app.settings();
        Self {
            id: app.id().to_string(),
            key: settings.keys.first().map(|pair| pair.key.clone()),
            enabled: settings.enabled,
            client_events: settings.client_events,
            sign_in: settings.sign_in,
            watchlists: settings.watchlists,
            subscription_counts: settings.subscription_counts,
            http_transports: settings.http_transports,
            max_connections: settings.max_connections,
            events_per_second: settings.events_per_second,
            messages_per_second: settings.messages_per_second,
            client_events_per_second: settings.client_events_per_second,
            reads_per_second: settings.reads_per_second,
            max_subscriptions: settings.max_subscriptions,
            max_presence_members: settings.max_presence_members,
            max_presence_member_bytes: settings.max_presence_member_bytes,
            max_channel_name_length: settings.max_channel_name_length,
            max_event_name_length: settings.max_event_name_length,
            max_event_bytes: settings.max_event_bytes,
            compress_from_bytes: settings.compress_from_bytes,
            max_event_channels: settings.max_event_channels,
            max_batch_events: settings.max_batch_events,
            cache_ttl_seconds: settings.cache_ttl.as_secs(),
            activity_timeout_seconds: settings.activity_timeout.as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::config::{self, AppSettings};

    /// What the console does not show: secrets, lists, and settings that few apps change.
    const HIDDEN: [&str; 19] = [
        "max_total_subscriptions",
        "max_channels",
        "max_members",
        "deliveries_per_second",
        "bytes_per_second",
        "joins_per_second",
        "tenant_limits",
        "history",
        "history_mb",
        "secret",
        "public_client_events",
        "terminate_members",
        "message_quota",
        "message_quota_seconds",
        "message_quota_closes",
        "authorised_within_seconds",
        "sign_in_within_seconds",
        "allowed_origins",
        "webhooks",
    ];

    #[test]
    fn every_setting_of_an_app_is_shown_or_deliberately_hidden() {
        let app = App::new("1", AppSettings::new("key", "secret"));
        let Ok(Value::Object(shown)) = serde_json::to_value(AppHello::of(&app)) else { panic!("an app is an object") };
        let shown: BTreeSet<String> = shown.into_iter().map(|(name, _)| name).collect();
        let variables = config::variables();
        let settings = variables.iter().filter_map(|variable| variable.name.strip_prefix("GAUNG_APP_"));
        let settings: BTreeSet<String> = settings.map(str::to_lowercase).collect();
        let hidden: BTreeSet<String> = HIDDEN.map(str::to_owned).into();
        assert_eq!(settings.difference(&shown).cloned().collect::<BTreeSet<_>>(), hidden);
        assert!(shown.is_subset(&settings), "{shown:?}");
    }
}
