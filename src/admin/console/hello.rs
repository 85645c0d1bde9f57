//! What the page must know before anything else: the node, how clients reach it, and the apps with their limits. No
//! secrets.

use serde::Serialize;

use super::PublicPort;
use crate::{admin::Admin, app::App};

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
            max_event_channels: settings.max_event_channels,
            max_batch_events: settings.max_batch_events,
            cache_ttl_seconds: settings.cache_ttl.as_secs(),
            activity_timeout_seconds: settings.activity_timeout.as_secs(),
        }
    }
}
