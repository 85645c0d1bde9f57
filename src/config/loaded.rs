//! What a node is configured to be, once it is sound.

use std::path::PathBuf;

use super::{
    AdminConfig, AppSettings, AppsStoreConfig, ClusterConfig, DrainConfig, HttpConfig, IssuerConfig, LimitsConfig,
    LogConfig, OutgoingConfig, PagesConfig, Problems, ServerConfig, TenantConfig, TlsConfig, TracesConfig,
    environment::Environment, traces,
};

/// Everything but the apps.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The public listener and the threads behind it.
    pub server: ServerConfig,
    pub admin: AdminConfig,
    pub limits: LimitsConfig,
    /// What requests, and connections that are no sockets, are granted.
    pub http: HttpConfig,
    pub tenant: TenantConfig,
    /// Who signs the tokens of tenant sockets.
    pub issuer: IssuerConfig,
    /// What is kept of clients that name themselves by a resume id.
    pub pages: PagesConfig,
    /// Certificate files of the public listener.
    pub tls: TlsConfig,
    pub outgoing: OutgoingConfig,
    /// The cluster that the node belongs to; `None` if it is alone.
    pub cluster: Option<ClusterConfig>,
    pub drain: DrainConfig,
    pub log: LogConfig,
    /// The collector that traces are exported to, if there is one, and which.
    pub traces: TracesConfig,
}

/// A sound configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// The apps, and where they come from.
    pub apps: AppsSource,
    /// What is allowed but may not be meant; to be logged at the start.
    pub warnings: Vec<String>,
    pub(super) environment: Environment,
}

/// The apps: pairs of an id and its settings.
#[derive(Debug, Clone)]
pub enum AppsSource {
    /// The app of the environment.
    Fixed(Vec<(String, AppSettings)>),
    /// The apps of a file that is to be watched (`app::watch`).
    File {
        /// `GAUNG_APPS_FILE`
        path: PathBuf,
        /// What stood in it at the start.
        apps: Vec<(String, AppSettings)>,
    },
    /// The apps in NATS, which are known once the node runs.
    Nats(AppsStoreConfig),
    /// The app with publicly known credentials, on loopback only.
    Development(Vec<(String, AppSettings)>),
}

impl AppsSource {
    /// The apps at the start.
    pub fn apps(&self) -> &[(String, AppSettings)] {
        match self {
            Self::Fixed(apps) | Self::File { apps, .. } | Self::Development(apps) => apps,
            Self::Nats(_) => &[],
        }
    }
}

impl Config {
    pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Self {
        let limits: LimitsConfig = environment.read("GAUNG_", problems).unwrap_or_default();
        let cache = limits.cache_bounds();
        let tenant: TenantConfig = environment.read("GAUNG_TENANT_", problems).unwrap_or_default();
        let cluster = ClusterConfig::read(environment, cache, problems);
        Self {
            server: environment.read("GAUNG_", problems).unwrap_or_default(),
            admin: environment.read("GAUNG_", problems).unwrap_or_default(),
            limits,
            http: environment.read("GAUNG_", problems).unwrap_or_default(),
            cluster: cluster.map(|cluster| ClusterConfig { tenant_channels: tenant.channels.clone(), ..cluster }),
            tenant,
            issuer: environment.read("GAUNG_TENANT_", problems).unwrap_or_default(),
            pages: environment.read("GAUNG_", problems).unwrap_or_default(),
            tls: environment.read("GAUNG_", problems).unwrap_or_default(),
            outgoing: environment.read("GAUNG_", problems).unwrap_or_default(),
            drain: environment.read("GAUNG_", problems).unwrap_or_default(),
            log: environment.read("GAUNG_", problems).unwrap_or_default(),
            traces: environment.read(traces::PREFIX, problems).unwrap_or_default(),
        }
    }
}
