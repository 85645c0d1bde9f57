//! The node's configuration: one small struct per concern, each read from `GAUNG_*` variables, checked together.
//! Every problem is found before any is told. Pure but for reading files.

mod app;
mod app_settings;
mod check;
mod cluster;
mod describe;
mod environment;
pub(crate) mod fields;
mod file;
mod history;
mod http;
mod limits;
mod problems;
mod rule;
mod server;
mod settings;
mod soketi;
mod tenant;
mod variable;
mod webhooks;

use std::path::PathBuf;

pub use app_settings::{AppSettings, WebhookEndpoint};
pub use cluster::ClusterConfig;
pub use describe::{apps_of_file, describe, settings_in_force};
pub use file::parse_apps;
pub use history::{HistoryRules, HistoryWindow};
pub use http::HttpConfig;
pub use limits::LimitsConfig;
pub use problems::Problems;
pub use rule::Rule;
pub use server::{AdminConfig, DrainConfig, LogConfig, LogFormat, OutgoingConfig, ServerConfig, TlsConfig};
pub use tenant::{TenantAccess, TenantConfig};
pub use variable::{Section, Variable, sections, variables};

use environment::Environment;

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
    /// Certificate files of the public listener.
    pub tls: TlsConfig,
    pub outgoing: OutgoingConfig,
    /// The cluster that the node belongs to; `None` if it is alone.
    pub cluster: Option<ClusterConfig>,
    pub drain: DrainConfig,
    pub log: LogConfig,
}

/// A sound configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// The apps, and where they come from.
    pub apps: AppsSource,
    /// What is allowed but may not be meant; to be logged at the start.
    pub warnings: Vec<String>,
    environment: Environment,
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
    /// The app with publicly known credentials, on loopback only.
    Development(Vec<(String, AppSettings)>),
}

impl AppsSource {
    /// The apps at the start.
    pub fn apps(&self) -> &[(String, AppSettings)] {
        match self {
            Self::Fixed(apps) | Self::File { apps, .. } | Self::Development(apps) => apps,
        }
    }
}

/// Reads the configuration from the variables of the process. Text that is not UTF-8 is replaced, and so refused where
/// it matters.
pub fn load_environment() -> Result<Loaded, Problems> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    load(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

/// Reads the configuration from these variables. Empty ones count as unset, and space around values is dropped.
pub fn load(vars: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let mut environment = Environment::new(vars);
    environment.adopt("GAUNG_HOST", "REVERB_SERVER_HOST");
    environment.adopt("GAUNG_PORT", "REVERB_SERVER_PORT");
    environment.adopt("GAUNG_PATH_PREFIX", "REVERB_SERVER_PATH");
    let place = app::place(&mut environment, &mut problems);
    environment.check(&variables(), &mut problems);
    let config = Config::read(&environment, &mut problems);
    let apps = app::read(place, &environment, &mut problems);
    check::together(&config, &apps, &mut problems);
    problems.or(Loaded { warnings: check::warnings(&config, &apps, &environment), config, apps, environment })
}

impl Config {
    fn read(environment: &Environment, problems: &mut Problems) -> Self {
        let limits: LimitsConfig = environment.read("GAUNG_", problems).unwrap_or_default();
        let cache = limits.cache_bounds();
        Self {
            server: environment.read("GAUNG_", problems).unwrap_or_default(),
            admin: environment.read("GAUNG_", problems).unwrap_or_default(),
            limits,
            http: environment.read("GAUNG_", problems).unwrap_or_default(),
            tenant: environment.read("GAUNG_TENANT_", problems).unwrap_or_default(),
            tls: environment.read("GAUNG_", problems).unwrap_or_default(),
            outgoing: environment.read("GAUNG_", problems).unwrap_or_default(),
            cluster: ClusterConfig::read(environment, cache, problems),
            drain: environment.read("GAUNG_", problems).unwrap_or_default(),
            log: environment.read("GAUNG_", problems).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
