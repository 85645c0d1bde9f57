//! The effective configuration as text, for `gaung check`.

use std::fmt::Write;

use super::{AppsSource, Loaded, app, file::setting_name, variables};
use crate::app::AppSettings;

/// One line `VARIABLE=value  # source` for each variable in force, then one for each app of the apps file. Secrets are
/// masked.
pub fn describe(loaded: &Loaded) -> String {
    let mut text = String::new();
    let from_file = matches!(loaded.apps, AppsSource::File { .. });
    for variable in variables().iter().filter(|variable| !(from_file && variable.name.starts_with("GAUNG_APP_"))) {
        let (value, source) = match loaded.environment.get(variable.name) {
            Some(given) if given.source == variable.name => (given.value.as_str(), "environment"),
            Some(given) => (given.value.as_str(), given.source.as_str()),
            None => (variable.default.as_str(), "default"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}={}  # {source}", variable.name, variable.rule.shown(value));
    }
    if from_file {
        for (id, settings) in loaded.apps.apps() {
            let _ = writeln!(text, "# app {id}: {}", describe_app(settings));
        }
    }
    text
}

/// The keys, and the settings that are not the default.
fn describe_app(settings: &AppSettings) -> String {
    let keys: Vec<_> = settings.keys.iter().map(|pair| pair.key.as_str()).collect();
    let defaults = app::setting_variables(&AppSettings::without_keys());
    let own = app::setting_variables(settings);
    let differing = own.iter().zip(&defaults).filter(|(own, default)| own.default != default.default);
    let mut parts = vec![format!("key={}", keys.join(","))];
    parts.extend(differing.map(|(own, _)| format!("{}={}", setting_name(own), own.default)));
    parts.join(" ")
}
