//! Listeners, threads, certificates, drain and logs.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// The public listener.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `GAUNG_HOST` (127.0.0.1), else `REVERB_SERVER_HOST`.
    pub host: IpAddr,
    /// `GAUNG_PORT` (6001), else `REVERB_SERVER_PORT`; 0 takes any free port.
    pub port: u16,
    /// `GAUNG_PATH_PREFIX` (empty), else `REVERB_SERVER_PATH`; starts with `/` and does not end with one.
    pub path_prefix: String,
    /// `GAUNG_HTTP_THREADS`: threads that accept sockets and serve HTTP (half the cores, at least one).
    pub http_threads: usize,
    /// `GAUNG_ROOM_THREADS`: threads that run rooms (half the cores, at least one).
    pub room_threads: usize,
}

/// The admin listener: health, metrics, console. Not for the public.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// `GAUNG_ADMIN_HOST` (127.0.0.1)
    pub host: IpAddr,
    /// `GAUNG_ADMIN_PORT` (9601); 0 takes any free port.
    pub port: u16,
}

/// Certificate files of the public listener; both or none.
#[derive(Debug, Clone, Default)]
pub struct TlsConfig {
    /// `GAUNG_TLS_CERT`: PEM file with the certificate chain.
    pub cert: Option<PathBuf>,
    /// `GAUNG_TLS_KEY`: PEM file with the private key.
    pub key: Option<PathBuf>,
}

/// How the node goes away after SIGTERM.
#[derive(Debug, Clone)]
pub struct DrainConfig {
    /// `GAUNG_DRAIN_SECONDS` (20): over how long sockets are closed.
    pub window: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `GAUNG_LOG` (info): a `tracing` filter.
    pub filter: String,
    /// `GAUNG_LOG_FORMAT` (text): `text` or `json`.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let half = (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1);
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 6001,
            path_prefix: String::new(),
            http_threads: half,
            room_threads: half,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 9601 }
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { window: Duration::from_secs(20) }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}
