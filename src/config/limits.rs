//! Limits of the node; those of an app are in `app::settings`.

use std::time::Duration;

use ipnet::IpNet;

/// What one node accepts. Every refusal names the variable.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// `GAUNG_MAX_FRAME_BYTES` (65,536): one message from a client, all fragments together.
    pub max_frame_bytes: usize,
    /// `GAUNG_MAX_OUTBOX_BYTES` (1,048,576): what may wait for a client that does not read.
    pub max_outbox_bytes: usize,
    /// `GAUNG_MAX_BODY_BYTES` (1,048,576): one request body.
    pub max_body_bytes: usize,
    /// `GAUNG_MAX_QUEUED_EVENTS` (16,384): events between the trigger API and the rooms.
    pub max_queued_events: usize,
    /// `GAUNG_MAX_CONNECTIONS_PER_IP` (0, unlimited): sockets of one client address.
    pub max_connections_per_ip: usize,
    /// `GAUNG_TRUSTED_PROXIES` (none): networks whose `X-Forwarded-For` is believed, comma-separated CIDR.
    pub trusted_proxies: Vec<IpNet>,
    /// `GAUNG_HANDSHAKE_SECONDS` (5): until the request head, and TLS before it, must be complete.
    pub handshake_timeout: Duration,
    /// `GAUNG_PING_SECONDS` (60): silence after which a client is pinged.
    pub ping_interval: Duration,
    /// `GAUNG_PONG_SECONDS` (30): silence after that ping that closes with 4201.
    pub pong_timeout: Duration,
    /// `GAUNG_SIGNATURE_SECONDS` (600): how old a signed request may be; 0 does not check.
    pub signature_window: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_frame_bytes: 65_536,
            max_outbox_bytes: 1_048_576,
            max_body_bytes: 1_048_576,
            max_queued_events: 16_384,
            max_connections_per_ip: 0,
            trusted_proxies: Vec::new(),
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(30),
            signature_window: Duration::from_secs(600),
        }
    }
}
