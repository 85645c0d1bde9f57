//! The node's configuration: one small struct per concern, each read from `GAUNG_*` variables, checked together.

mod limits;
mod server;
mod tenant;

pub use limits::LimitsConfig;
pub use server::{AdminConfig, DrainConfig, LogConfig, LogFormat, ServerConfig, TlsConfig};
pub use tenant::{TenantAccess, TenantConfig};

/// Everything but the apps.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The public listener and the threads behind it.
    pub server: ServerConfig,
    /// The admin listener.
    pub admin: AdminConfig,
    /// Limits of the node.
    pub limits: LimitsConfig,
    /// Who may open tenant sockets.
    pub tenant: TenantConfig,
    /// Certificate files of the public listener.
    pub tls: TlsConfig,
    /// How the node goes away.
    pub drain: DrainConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}
