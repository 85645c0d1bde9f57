//! The one table of all variables: unknown names, checks, `gaung check` and the tables of docs/configuration.md come from
//! it.

use super::{
    AdminConfig, AppSettings, ClusterConfig, DrainConfig, HttpConfig, IssuerConfig, LimitsConfig, LogConfig,
    OutgoingConfig, PagesConfig, ServerConfig, TenantConfig, TlsConfig, TracesConfig, Variable, app, settings,
};

/// A table of docs/configuration.md.
#[derive(Debug)]
pub struct Section {
    /// Its heading on that page.
    pub title: &'static str,
    pub variables: Vec<Variable>,
}

/// All variables, by concern.
pub fn sections() -> Vec<Section> {
    let server =
        [ServerConfig::variables(), AdminConfig::variables(), TlsConfig::variables(), OutgoingConfig::variables()];
    let section = |title, variables| Section { title, variables };
    vec![
        section("The server", server.concat()),
        section("Apps", app::variables()),
        section("Settings of an app", settings::variables(&AppSettings::without_keys())),
        section("Plain sockets of tenants", TenantConfig::variables()),
        section("Tokens that others sign", IssuerConfig::variables()),
        section("Limits of the node", [LimitsConfig::variables(), HttpConfig::variables()].concat()),
        section("Pages that come back", PagesConfig::variables()),
        section("Many nodes", ClusterConfig::variables()),
        section("Shutdown and log", [DrainConfig::variables(), LogConfig::variables()].concat()),
        section("Traces", TracesConfig::variables()),
    ]
}

/// All variables, in the order of their sections.
pub fn variables() -> Vec<Variable> {
    sections().into_iter().flat_map(|section| section.variables).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::traces;

    #[test]
    fn every_variable_has_the_prefix_and_is_listed_once() {
        let mut names: Vec<_> = variables().iter().map(|variable| variable.name).collect();
        assert!(names.iter().all(|name| name.starts_with("GAUNG_") || name.starts_with(traces::PREFIX)));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_default_obeys_its_own_rule() {
        for variable in variables().iter().filter(|variable| !variable.default.is_empty()) {
            assert_eq!(variable.rule.check(&variable.default), Ok(()), "{}", variable.name);
        }
    }
}
