//! Limits of the node; those of an app are in `app::settings`.

use std::{fmt::Display, time::Duration};

use gaung_cluster::newest::CacheBounds;
use ipnet::IpNet;
use serde::Deserialize;

use super::{
    Rule::{Networks, Number, Quota},
    Variable, fields,
};

const MIB: u64 = 1_048_576;

/// What one node accepts. Every refusal names the variable.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct LimitsConfig {
    /// `GAUNG_MAX_FRAME_BYTES` (65,536): one message from a client, all fragments together.
    pub max_frame_bytes: usize,
    /// `GAUNG_MAX_OUTBOX_BYTES` (1,048,576): what may wait for a client that does not read.
    pub max_outbox_bytes: usize,
    /// `GAUNG_MAX_BODY_BYTES` (1,048,576): one request body.
    pub max_body_bytes: usize,
    /// `GAUNG_MAX_QUEUED_EVENTS` (16,384): events between the trigger API and the rooms.
    pub max_queued_events: usize,
    /// `GAUNG_MAX_QUEUED_EVENT_BYTES` (67,108,864): what these events may have together.
    pub max_queued_event_bytes: usize,
    /// `GAUNG_MAX_WEBHOOK_BYTES` (67,108,864): webhook events that wait, for all endpoints of all apps.
    pub max_webhook_bytes: usize,
    /// `GAUNG_MAX_CACHE_BYTES` (134,217,728): the last events of all cache channels.
    pub max_cache_bytes: usize,
    /// `GAUNG_MAX_APP_CACHE_BYTES` (33,554,432): those of one app.
    pub max_app_cache_bytes: usize,
    /// `GAUNG_HISTORY_MB` (64): MiB of the events that channels keep for subscribers that come back.
    #[serde(rename = "history_mb")]
    pub max_history_mb: usize,
    /// `GAUNG_MAX_IDEMPOTENCY_BYTES` (33,554,432): keys of idempotent posts, half of it for one app.
    pub max_idempotency_bytes: usize,
    /// `GAUNG_MAX_CONNECTIONS` (unlimited): sockets of the node.
    #[serde(deserialize_with = "fields::quota")]
    pub max_connections: Option<usize>,
    /// `GAUNG_MAX_MEMORY_MB` (unlimited): MiB of resident memory above which the node wants no new sockets.
    #[serde(deserialize_with = "fields::quota")]
    pub max_memory_mb: Option<u64>,
    /// `GAUNG_MAX_CONNECTIONS_PER_IP` (0, unlimited): sockets of one client address.
    pub max_connections_per_ip: usize,
    /// `GAUNG_MAX_CONNECTION_RATE` (2,000; 0 is unlimited): new sockets a second for each HTTP thread.
    pub max_connection_rate: u32,
    /// `GAUNG_MAX_CONNECTION_RATE_PER_IP` (0, unlimited): new sockets a second of one client address.
    pub max_connection_rate_per_ip: u32,
    /// `GAUNG_IPV6_CLIENT_PREFIX` (64): how many leading bits two IPv6 addresses of one client have in common.
    pub ipv6_client_prefix: u8,
    /// `GAUNG_TRUSTED_PROXIES` (none): networks whose `X-Forwarded-For` is believed, comma-separated CIDR.
    #[serde(deserialize_with = "fields::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// `GAUNG_HANDSHAKE_SECONDS` (5): until the request head, and TLS before it, must be complete.
    #[serde(rename = "handshake_seconds", deserialize_with = "fields::seconds")]
    pub handshake_timeout: Duration,
    /// `GAUNG_PING_SECONDS` (60): silence after which a client is pinged.
    #[serde(rename = "ping_seconds", deserialize_with = "fields::seconds")]
    pub ping_interval: Duration,
    /// `GAUNG_PONG_SECONDS` (30): silence after that ping that closes with 4201.
    #[serde(rename = "pong_seconds", deserialize_with = "fields::seconds")]
    pub pong_timeout: Duration,
    /// `GAUNG_SIGNATURE_SECONDS` (600): how old a signed request may be; 0 does not check.
    #[serde(rename = "signature_seconds", deserialize_with = "fields::seconds")]
    pub signature_window: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: 65_536,
            max_outbox_bytes: 1_048_576,
            max_body_bytes: 1_048_576,
            max_queued_events: 16_384,
            max_queued_event_bytes: 67_108_864,
            max_webhook_bytes: 67_108_864,
            max_cache_bytes: CacheBounds::default().node,
            max_app_cache_bytes: CacheBounds::default().app,
            max_history_mb: 64,
            max_idempotency_bytes: 33_554_432,
            max_connections: None,
            max_memory_mb: None,
            max_connections_per_ip: 0,
            max_connection_rate: 2_000,
            max_connection_rate_per_ip: 0,
            ipv6_client_prefix: 64,
            trusted_proxies: Vec::new(),
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(30),
            signature_window: Duration::from_secs(600),
        }
    }
}

impl LimitsConfig {
    /// How many bytes of cached events are kept.
    pub fn cache_bounds(&self) -> CacheBounds {
        CacheBounds { app: self.max_app_cache_bytes, node: self.max_cache_bytes }
    }

    pub(super) fn variables() -> Vec<Variable> {
        let default = Self::default();
        let rows = [default.message_rows(), default.memory_rows(), default.client_rows(), default.time_rows()];
        rows.concat()
    }

    fn message_rows(&self) -> Vec<Variable> {
        let rows: [(_, &dyn Display, _, _); 5] = [
            (
                "GAUNG_MAX_FRAME_BYTES",
                &self.max_frame_bytes,
                Number(1_024..=MIB * 16),
                "bytes of one message from a client",
            ),
            (
                "GAUNG_MAX_OUTBOX_BYTES",
                &self.max_outbox_bytes,
                Number(65_536..=MIB * 1_024),
                "bytes that may wait for a client that does not read; over it the client is closed",
            ),
            ("GAUNG_MAX_BODY_BYTES", &self.max_body_bytes, Number(1_024..=MIB * 256), "bytes of one request body"),
            (
                "GAUNG_MAX_QUEUED_EVENTS",
                &self.max_queued_events,
                Number(1..=MIB),
                "events between the trigger API and the rooms; over it the API answers 503",
            ),
            (
                "GAUNG_MAX_QUEUED_EVENT_BYTES",
                &self.max_queued_event_bytes,
                Number(MIB..=MIB * 65_536),
                "bytes of these events; over it the API answers 503",
            ),
        ];
        rows.map(Variable::from).into()
    }

    fn memory_rows(&self) -> Vec<Variable> {
        let rows: [(_, &dyn Display, _, _); 5] = [
            (
                "GAUNG_MAX_WEBHOOK_BYTES",
                &self.max_webhook_bytes,
                Number(MIB..=MIB * 16_384),
                "webhook events that wait, for all endpoints of all apps; over it the newest are dropped",
            ),
            (
                "GAUNG_MAX_CACHE_BYTES",
                &self.max_cache_bytes,
                Number(MIB * 2..=MIB * 16_384),
                "last events of cache channels, of all apps; over it the oldest are forgotten",
            ),
            (
                "GAUNG_MAX_APP_CACHE_BYTES",
                &self.max_app_cache_bytes,
                Number(MIB * 2..=MIB * 16_384),
                "the same for one app",
            ),
            (
                "GAUNG_HISTORY_MB",
                &self.max_history_mb,
                Number(1..=65_536),
                "MiB of the events that channels keep (GAUNG_APP_HISTORY); over it the oldest are forgotten",
            ),
            (
                "GAUNG_MAX_IDEMPOTENCY_BYTES",
                &self.max_idempotency_bytes,
                Number(MIB..=MIB * 16_384),
                "keys of idempotent posts, half of it for one app; over it the oldest are forgotten",
            ),
        ];
        rows.map(Variable::from).into()
    }

    fn client_rows(&self) -> Vec<Variable> {
        let rows: [(_, &dyn Display, _, _); 7] = [
            (
                "GAUNG_MAX_CONNECTIONS",
                &self.max_connections.unwrap_or(0),
                Quota(1..=u64::from(u32::MAX)),
                "sockets of the node; from 90 % of it until below 85 % the node is not ready",
            ),
            (
                "GAUNG_MAX_MEMORY_MB",
                &self.max_memory_mb.unwrap_or(0),
                Quota(1..=u64::from(u32::MAX)),
                "MiB of resident memory above which, until below 95 % of it, the node is not ready",
            ),
            (
                "GAUNG_MAX_CONNECTIONS_PER_IP",
                &self.max_connections_per_ip,
                Quota(1..=u64::from(u32::MAX)),
                "sockets of one client address, of IPv6 one network (GAUNG_IPV6_CLIENT_PREFIX)",
            ),
            (
                "GAUNG_MAX_CONNECTION_RATE",
                &self.max_connection_rate,
                Quota(1..=1_000_000),
                "new sockets a second for each HTTP thread; the others wait for up to a second, or hear 4100 and come back",
            ),
            (
                "GAUNG_MAX_CONNECTION_RATE_PER_IP",
                &self.max_connection_rate_per_ip,
                Quota(1..=1_000_000),
                "new sockets a second of one client address; over it a client hears 4100",
            ),
            (
                "GAUNG_IPV6_CLIENT_PREFIX",
                &self.ipv6_client_prefix,
                Number(1..=128),
                "leading bits that IPv6 addresses of one client have in common; 128 counts each address by itself",
            ),
            ("GAUNG_TRUSTED_PROXIES", &"", Networks, "networks whose X-Forwarded-For is trusted"),
        ];
        rows.map(Variable::from).into()
    }

    fn time_rows(&self) -> Vec<Variable> {
        let rows: [(_, &dyn Display, _, _); 4] = [
            (
                "GAUNG_HANDSHAKE_SECONDS",
                &self.handshake_timeout.as_secs(),
                Number(1..=300),
                "time for the request head, and for TLS before it",
            ),
            (
                "GAUNG_PING_SECONDS",
                &self.ping_interval.as_secs(),
                Number(1..=3_600),
                "silence until a client is pinged",
            ),
            (
                "GAUNG_PONG_SECONDS",
                &self.pong_timeout.as_secs(),
                Number(1..=3_600),
                "silence after that ping until the socket is closed with 4201",
            ),
            (
                "GAUNG_SIGNATURE_SECONDS",
                &self.signature_window.as_secs(),
                Number(0..=86_400),
                "how old a signed request may be; 0 does not check",
            ),
        ];
        rows.map(Variable::from).into()
    }
}
