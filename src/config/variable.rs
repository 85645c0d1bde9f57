//! The one table of all variables: unknown names, checks, `gaung check` and the tables of docs/configuration.md come from
//! it.

use std::fmt::Display;

use super::{
    AdminConfig, ClusterConfig, DrainConfig, HttpConfig, LimitsConfig, LogConfig, OutgoingConfig, Rule, ServerConfig,
    TenantConfig, TlsConfig, app, settings,
};
use crate::config::AppSettings;

/// One variable that the server reads.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its full name.
    pub name: &'static str,
    /// What holds if it is not set; empty if nothing does.
    pub default: String,
    /// What it may hold.
    pub rule: Rule,
    /// What it is for.
    pub meaning: &'static str,
}

impl Variable {
    pub(super) fn new(name: &'static str, default: impl Display, rule: Rule, meaning: &'static str) -> Self {
        Self { name, default: default.to_string(), rule, meaning }
    }
}

/// A row of a table: name, default, rule and meaning.
impl From<(&'static str, &dyn Display, Rule, &'static str)> for Variable {
    fn from((name, default, rule, meaning): (&'static str, &dyn Display, Rule, &'static str)) -> Self {
        Self::new(name, default, rule, meaning)
    }
}

/// All variables, by concern.
pub fn variables() -> Vec<Variable> {
    [
        ServerConfig::variables(),
        AdminConfig::variables(),
        TlsConfig::variables(),
        OutgoingConfig::variables(),
        app::variables(),
        settings::variables(&AppSettings::without_keys()),
        TenantConfig::variables(),
        LimitsConfig::variables(),
        HttpConfig::variables(),
        ClusterConfig::variables(),
        DrainConfig::variables(),
        LogConfig::variables(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_the_prefix_and_is_listed_once() {
        let mut names: Vec<_> = variables().iter().map(|variable| variable.name).collect();
        assert!(names.iter().all(|name| name.starts_with("GAUNG_")));
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
