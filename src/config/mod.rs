//! The node's configuration: one small struct per concern, each read from `GAUNG_*` variables, checked together.
//! Every problem is found before any is told. Pure but for reading files.

mod app;
mod app_settings;
mod apps_store;
mod check;
mod cluster;
mod describe;
mod environment;
pub(crate) mod fields;
mod file;
mod history;
mod http;
mod issuer;
mod limits;
mod loaded;
mod pages;
mod problems;
mod quotas;
mod rule;
mod sections;
mod server;
mod settings;
mod soketi;
mod tenant;
mod text;
mod traces;
mod variable;
mod webhook_endpoint;
mod webhooks;

pub use app_settings::AppSettings;
pub use apps_store::AppsStoreConfig;
pub use cluster::{ClusterConfig, HistoryStreamConfig, RebalanceConfig, read_nodes};
pub use describe::{apps_of_file, describe, settings_in_force, settings_of_its_own};
pub use file::parse_apps;
pub use history::{HistoryRules, HistoryWindow};
pub use http::HttpConfig;
pub use issuer::IssuerConfig;
pub use limits::LimitsConfig;
pub use loaded::{AppsSource, Config, Loaded};
pub use pages::PagesConfig;
pub use problems::Problems;
pub use quotas::Quotas;
pub use rule::Rule;
pub use sections::{Section, sections, variables};
pub use server::{AdminConfig, DrainConfig, LogConfig, LogFormat, OutgoingConfig, ServerConfig, TlsConfig};
pub use soketi::own_name;
pub use tenant::{TenantAccess, TenantConfig};
pub use traces::{Collector, TracesConfig};
pub use variable::Variable;
pub use webhook_endpoint::WebhookEndpoint;

use environment::Environment;

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

#[cfg(test)]
mod tests;
