//! Listeners, threads, certificates, drain and logs.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

use super::{Rule, Variable, fields};
use crate::protocol::Secret;

/// The public listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ServerConfig {
    /// `GAUNG_HOST` (127.0.0.1), else `REVERB_SERVER_HOST`.
    #[serde(deserialize_with = "fields::host")]
    pub host: IpAddr,
    /// `GAUNG_PORT` (6001), else `REVERB_SERVER_PORT`; 0 takes any free port.
    pub port: u16,
    /// `GAUNG_REUSE_PORT` (false): whether another process of the same user may listen on the ports too.
    pub reuse_port: bool,
    /// `GAUNG_PATH_PREFIX` (empty), else `REVERB_SERVER_PATH`; starts with `/` and does not end with one.
    #[serde(deserialize_with = "fields::path_prefix")]
    pub path_prefix: String,
    /// `GAUNG_HTTP_THREADS`: threads that accept sockets and serve HTTP (half the cores, at least one).
    pub http_threads: usize,
    /// `GAUNG_ROOM_THREADS`: threads that run rooms (half the cores, at least one).
    pub room_threads: usize,
}

/// The admin listener: health, metrics, console. Not for the public.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct AdminConfig {
    /// `GAUNG_ADMIN_HOST` (127.0.0.1)
    #[serde(rename = "admin_host", deserialize_with = "fields::host")]
    pub host: IpAddr,
    /// `GAUNG_ADMIN_PORT` (9601); 0 takes any free port.
    #[serde(rename = "admin_port")]
    pub port: u16,
    /// `GAUNG_READY_WITHOUT_NATS` (true): whether a node that was in step stays ready without NATS.
    pub ready_without_nats: bool,
    /// `GAUNG_SOKETI_METRICS_PREFIX`: what the names begin with that `/metrics` has as Soketi has them; without it none.
    pub soketi_metrics_prefix: Option<String>,
    /// `GAUNG_ADMIN_TOKEN`: what opens the console; without it the console is for this machine only.
    #[serde(rename = "admin_token")]
    pub token: Option<Secret>,
    /// `GAUNG_CONSOLE_PAYLOADS` (false): whether the console shows what events say.
    pub console_payloads: bool,
}

/// Certificate files of the public listener; both or none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TlsConfig {
    /// `GAUNG_TLS_CERT`: PEM file with the certificate chain.
    #[serde(rename = "tls_cert")]
    pub cert: Option<PathBuf>,
    /// `GAUNG_TLS_KEY`: PEM file with the private key.
    #[serde(rename = "tls_key")]
    pub key: Option<PathBuf>,
}

/// What this node asks of others: webhooks, access callbacks and keys of issuers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OutgoingConfig {
    /// `GAUNG_CA`: PEM file with certificates that are believed besides those of public authorities; read at the start.
    pub ca: Option<PathBuf>,
}

/// How the node goes away after SIGTERM.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct DrainConfig {
    /// `GAUNG_DRAIN_LAG_SECONDS` (0): for how long load balancers are told before anything else happens.
    #[serde(rename = "drain_lag_seconds", deserialize_with = "fields::seconds")]
    pub lag: Duration,
    /// `GAUNG_DRAIN_SECONDS` (20): over how long sockets are closed.
    #[serde(rename = "drain_seconds", deserialize_with = "fields::seconds")]
    pub window: Duration,
    /// `GAUNG_DRAIN_REFUSES_UPGRADES` (false): new sockets get 503 from SIGTERM on, and not 4100 while others are closed.
    #[serde(rename = "drain_refuses_upgrades")]
    pub refuses_upgrades: bool,
}

impl DrainConfig {
    /// What going may take beyond lag and window: webhooks are posted, and given back, and events are stored.
    pub const MARGIN: Duration = Duration::from_secs(17);

    /// How long the node may take to end once sockets are closed.
    pub fn end(&self) -> Duration {
        self.window + Self::MARGIN
    }

    /// How long the node may take from SIGTERM to its end.
    pub fn limit(&self) -> Duration {
        self.lag + self.end()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `GAUNG_LOG` (info,async_nats=off): a `tracing` filter. What the NATS client logs, the bus says better.
    #[serde(rename = "log")]
    pub filter: String,
    /// `GAUNG_LOG_FORMAT` (text): `text` or `json`.
    #[serde(rename = "log_format")]
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let half = (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 512);
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6001,
            reuse_port: false,
            path_prefix: String::new(),
            http_threads: half,
            room_threads: half,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 9601,
            ready_without_nats: true,
            soketi_metrics_prefix: None,
            token: None,
            console_payloads: false,
        }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { lag: Duration::ZERO, window: Duration::from_secs(20), refuses_upgrades: false }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info,async_nats=off".to_owned(), format: LogFormat::Text }
    }
}

impl ServerConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let Self { host, port, reuse_port, path_prefix, http_threads, room_threads } = Self::default();
        vec![
            Variable::new("GAUNG_HOST", host, Rule::Host, "address of the public listener"),
            Variable::new("GAUNG_PORT", port, Rule::Number(0..=65_535), "its port; 0 takes any free one"),
            Variable::new(
                "GAUNG_REUSE_PORT",
                reuse_port,
                Rule::Switch,
                "whether the next process may listen on both ports beside this one, which leaves it all new connections on \
                 SIGTERM; Linux only",
            ),
            Variable::new("GAUNG_PATH_PREFIX", path_prefix, Rule::PathPrefix, "prefix of all its paths"),
            Variable::new(
                "GAUNG_HTTP_THREADS",
                http_threads,
                // What the listener underneath can have at most.
                Rule::Number(1..=512),
                "threads that accept sockets and serve HTTP; half the cores unless set",
            ),
            Variable::new(
                "GAUNG_ROOM_THREADS",
                room_threads,
                Rule::Number(1..=1_024),
                "threads that run rooms; half the cores unless set",
            ),
        ]
    }
}

impl AdminConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let Self { host, port, ready_without_nats, soketi_metrics_prefix: _, token: _, console_payloads } =
            Self::default();
        vec![
            Variable::new("GAUNG_ADMIN_HOST", host, Rule::Host, "address of the admin listener; not for the public"),
            Variable::new("GAUNG_ADMIN_PORT", port, Rule::Number(0..=65_535), "its port; 0 takes any free one"),
            Variable::new(
                "GAUNG_READY_WITHOUT_NATS",
                ready_without_nats,
                Rule::Switch,
                "whether a node that was in step stays ready when it loses NATS",
            ),
            Variable::new(
                "GAUNG_SOKETI_METRICS_PREFIX",
                "",
                Rule::MetricPrefix,
                "prefix under which metrics also have Soketi's names, for dashboards that use them; unset: none",
            ),
            Variable::new(
                "GAUNG_ADMIN_TOKEN",
                "",
                Rule::Secret,
                "token that the console asks for; unset: the console is for browsers on this machine only",
            ),
            Variable::new(
                "GAUNG_CONSOLE_PAYLOADS",
                console_payloads,
                Rule::Switch,
                "whether the console shows the payloads of events",
            ),
        ]
    }
}

impl TlsConfig {
    pub(super) fn variables() -> Vec<Variable> {
        vec![
            Variable::new(
                "GAUNG_TLS_CERT",
                "",
                Rule::Path,
                "PEM file with the certificate chain, for TLS without a proxy",
            ),
            Variable::new("GAUNG_TLS_KEY", "", Rule::Path, "PEM file with its private key"),
        ]
    }
}

impl OutgoingConfig {
    pub(super) fn variables() -> Vec<Variable> {
        vec![Variable::new(
            "GAUNG_CA",
            "",
            Rule::Path,
            "PEM file with CA certificates that webhooks, access callbacks and GAUNG_TENANT_JWKS_URL trust besides those of public authorities",
        )]
    }
}

impl DrainConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let Self { lag, window, refuses_upgrades } = Self::default();
        vec![
            Variable::new(
                "GAUNG_DRAIN_LAG_SECONDS",
                lag.as_secs(),
                Rule::Number(0..=3_600),
                "how long load balancers may take to notice SIGTERM; until then the node reports not ready and serves on",
            ),
            Variable::new(
                "GAUNG_DRAIN_SECONDS",
                window.as_secs(),
                Rule::Number(0..=3_600),
                "time over which sockets are closed after that",
            ),
            Variable::new(
                "GAUNG_DRAIN_REFUSES_UPGRADES",
                refuses_upgrades,
                Rule::Switch,
                "whether new sockets are answered with 503 from SIGTERM on, for proxies that then try the next node",
            ),
        ]
    }
}

impl LogConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let Self { filter, format: _ } = Self::default();
        vec![
            Variable::new("GAUNG_LOG", filter, Rule::LogFilter, "log filter"),
            Variable::new("GAUNG_LOG_FORMAT", "text", Rule::Choice(&["text", "json"]), "format of log lines"),
        ]
    }
}
