//! What can be set for one app. Read from the environment or the apps file by `config`; every limit that is refused
//! names the setting as it is written here.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{HistoryRules, Quotas, fields, webhook_endpoint::WebhookEndpoint};
use crate::protocol::{AppKey, Secret};

/// Credentials, switches and limits of one app. Everything but the keys is read by its name, as text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default = "AppSettings::without_keys")]
pub struct AppSettings {
    /// At least one; the first signs webhooks and checks tenant tokens first.
    #[serde(skip)]
    pub keys: Vec<AppKey>,
    /// `false`: new sockets get 4003, the API answers 403.
    pub enabled: bool,
    /// Open sockets; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub max_connections: Option<usize>,
    /// Subscriptions of all sockets; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub max_total_subscriptions: Option<u32>,
    /// Channels with subscribers; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub max_channels: Option<u32>,
    /// Members of all presence channels; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub max_members: Option<u32>,
    /// Events handed to sockets a second; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub deliveries_per_second: Option<u32>,
    /// WebSocket bytes of these; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub bytes_per_second: Option<u32>,
    /// Subscriptions that begin in a second; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub joins_per_second: Option<u32>,
    /// What each tenant of the app may have and do.
    #[serde(deserialize_with = "fields::quotas")]
    pub tenant_limits: Quotas,
    /// Whether clients may send `client-` events.
    pub client_events: bool,
    /// Whether they may send them in public channels too.
    pub public_client_events: bool,
    /// Whether `terminate_connections` also closes sockets that are in a presence channel as the user.
    pub terminate_members: bool,
    /// Whether sockets may sign in as a user.
    pub sign_in: bool,
    /// How long subscriptions wait for the sign-in that is to authorise them (30 s).
    #[serde(rename = "sign_in_within_seconds", deserialize_with = "fields::seconds")]
    pub sign_in_within: Duration,
    /// Whether signed-in users hear of their watchlist.
    pub watchlists: bool,
    /// Whether subscribers hear `pusher_internal:subscription_count`.
    pub subscription_counts: bool,
    /// Whether the HTTP transports of pusher-js are served.
    pub http_transports: bool,
    /// Distinct users in one presence channel (100).
    pub max_presence_members: usize,
    /// Bytes of one member's `user_info` (2,048).
    pub max_presence_member_bytes: usize,
    /// Characters of a channel name, prefix included (200).
    pub max_channel_name_length: usize,
    /// Characters of an event name (200).
    pub max_event_name_length: usize,
    /// Bytes of one event's `data` (10,240).
    pub max_event_bytes: usize,
    /// Channels of one event (100).
    pub max_event_channels: usize,
    /// Events of one batch (10).
    pub max_batch_events: usize,
    /// Subscriptions of one socket (1,000).
    pub max_subscriptions: usize,
    /// Events a second from back ends, an event counted once per channel; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub events_per_second: Option<u32>,
    /// Messages of any kind a second and socket (50), of which `max_subscriptions` and 100 may come at once; a socket that
    /// sends more is read more slowly. `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub messages_per_second: Option<u32>,
    /// Messages of one socket in `message_quota_seconds`; more are refused with 4301. `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub message_quota: Option<u32>,
    /// How long that quota lasts (60 s).
    #[serde(rename = "message_quota_seconds", deserialize_with = "fields::seconds")]
    pub message_quota_window: Duration,
    /// Whether a socket over that quota is closed.
    pub message_quota_closes: bool,
    /// Client events a second and socket (10); `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub client_events_per_second: Option<u32>,
    /// Read requests a second; `None` is unlimited.
    #[serde(deserialize_with = "fields::quota")]
    pub reads_per_second: Option<u32>,
    /// From how many bytes on events are compressed for sockets that can read that (512); `None` is never.
    #[serde(deserialize_with = "fields::quota")]
    pub compress_from_bytes: Option<usize>,
    /// Host patterns of browsers that may connect (`*`).
    #[serde(deserialize_with = "fields::list")]
    pub allowed_origins: Vec<String>,
    /// How long a cache channel keeps its event (1,800 s).
    #[serde(rename = "cache_ttl_seconds", deserialize_with = "fields::seconds")]
    pub cache_ttl: Duration,
    /// After how long a quiet client pings (30 s); told to the client.
    #[serde(rename = "activity_timeout_seconds", deserialize_with = "fields::seconds")]
    pub activity_timeout: Duration,
    /// How long a socket may stay without sign-in or an authorised channel; `None` is for ever.
    #[serde(rename = "authorised_within_seconds", deserialize_with = "fields::seconds_or_never")]
    pub authorised_within: Option<Duration>,
    /// What channels keep of their events, for subscribers that come back and for back ends (nothing).
    #[serde(deserialize_with = "fields::history")]
    pub history: HistoryRules,
    /// MiB that they may keep together; `None` is as much as the node has for all apps.
    #[serde(deserialize_with = "fields::quota")]
    pub history_mb: Option<usize>,
    /// Where webhook events are posted; shared by all events that wait for them.
    #[serde(deserialize_with = "fields::webhooks")]
    pub webhooks: Vec<Arc<WebhookEndpoint>>,
}

impl AppSettings {
    /// The defaults for an app with one key.
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            keys: vec![AppKey { key: key.into(), secret: Secret::new(secret) }],
            enabled: true,
            max_connections: None,
            max_total_subscriptions: None,
            max_channels: None,
            max_members: None,
            deliveries_per_second: None,
            bytes_per_second: None,
            joins_per_second: None,
            tenant_limits: Quotas::default(),
            client_events: false,
            public_client_events: false,
            terminate_members: true,
            sign_in: true,
            sign_in_within: Duration::from_secs(30),
            watchlists: true,
            subscription_counts: false,
            http_transports: true,
            max_presence_members: 100,
            max_presence_member_bytes: 2_048,
            max_channel_name_length: 200,
            max_event_name_length: 200,
            max_event_bytes: 10_240,
            max_event_channels: 100,
            max_batch_events: 10,
            max_subscriptions: 1_000,
            events_per_second: None,
            messages_per_second: Some(50),
            message_quota: None,
            message_quota_window: Duration::from_secs(60),
            message_quota_closes: false,
            client_events_per_second: Some(10),
            reads_per_second: None,
            compress_from_bytes: Some(512),
            allowed_origins: vec!["*".to_owned()],
            cache_ttl: Duration::from_secs(1_800),
            activity_timeout: Duration::from_secs(30),
            authorised_within: None,
            history: HistoryRules::default(),
            history_mb: None,
            webhooks: Vec::new(),
        }
    }

    /// What the app as a whole may have and do.
    pub fn limits(&self) -> Quotas {
        Quotas {
            max_connections: self.max_connections.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            max_total_subscriptions: self.max_total_subscriptions,
            max_channels: self.max_channels,
            max_members: self.max_members,
            max_event_bytes: u32::try_from(self.max_event_bytes).ok(),
            events_per_second: self.events_per_second,
            deliveries_per_second: self.deliveries_per_second,
            bytes_per_second: self.bytes_per_second,
            joins_per_second: self.joins_per_second,
        }
    }

    /// The defaults for an app that gets its keys later.
    pub(crate) fn without_keys() -> Self {
        Self { keys: Vec::new(), ..Self::new("", "") }
    }
}
