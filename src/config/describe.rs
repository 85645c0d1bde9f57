//! The effective configuration as text, for `gaung check`.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::{AppsSource, Loaded, file::setting_name, settings, variables};
use crate::config::AppSettings;

/// A variable in force.
#[derive(Debug, Serialize)]
pub struct SettingInForce {
    variable: &'static str,
    /// As it would be written; a secret is masked.
    value: String,
    /// The variable that set it if it was another one, `environment`, `default` or `development app`.
    source: String,
}

/// An app of the apps file.
#[derive(Debug, Serialize)]
pub struct AppOfFile<'a> {
    id: &'a str,
    keys: Vec<&'a str>,
    /// What is not the default.
    settings: BTreeMap<String, String>,
}

/// One line `VARIABLE=value  # source` for each variable in force, then one for each app of the apps file. Secrets are
/// masked.
pub fn describe(loaded: &Loaded) -> String {
    let mut text = String::new();
    for SettingInForce { variable, value, source } in settings_in_force(loaded) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{variable}={value}  # {source}");
    }
    for app in apps_of_file(loaded) {
        let _ = writeln!(text, "# app {}: {}", app.id, describe_app(&app));
    }
    text
}

/// The variables in force. With an apps file those of the one app are not.
pub fn settings_in_force(loaded: &Loaded) -> Vec<SettingInForce> {
    let from_file = matches!(loaded.apps, AppsSource::File { .. } | AppsSource::Nats(_));
    let variables = variables();
    let in_force = variables.iter().filter(|variable| !(from_file && variable.name.starts_with("GAUNG_APP_")));
    let setting = in_force.map(|variable| {
        let (value, source) = match loaded.environment.get(variable.name) {
            Some(given) if given.source == variable.name => (given.value.as_str(), "environment"),
            Some(given) => (given.value.as_str(), given.source.as_str()),
            None => (variable.default.as_str(), "default"),
        };
        let value = variable.rule.shown(value);
        SettingInForce { variable: variable.name, value, source: source.to_owned() }
    });
    setting.collect()
}

/// The apps of the apps file, if there is one.
pub fn apps_of_file(loaded: &Loaded) -> Vec<AppOfFile<'_>> {
    match &loaded.apps {
        AppsSource::File { .. } => loaded.apps.apps().iter().map(|(id, settings)| app_of_file(id, settings)).collect(),
        AppsSource::Development(_) | AppsSource::Fixed(_) | AppsSource::Nats(_) => Vec::new(),
    }
}

/// The settings of an app that are not the default, as texts without anything secret.
pub fn settings_of_its_own(settings: &AppSettings) -> BTreeMap<String, String> {
    let defaults = settings::variables(&AppSettings::without_keys());
    let own = settings::variables(settings);
    let differing = own.iter().zip(&defaults).filter(|(own, default)| own.default != default.default);
    differing.map(|(own, _)| (setting_name(own), own.default.clone())).collect()
}

fn app_of_file<'a>(id: &'a str, settings: &'a AppSettings) -> AppOfFile<'a> {
    let keys = settings.keys.iter().map(|pair| pair.key.as_str()).collect();
    AppOfFile { id, keys, settings: settings_of_its_own(settings) }
}

/// The keys, and the settings that are not the default.
fn describe_app(app: &AppOfFile<'_>) -> String {
    let mut parts = vec![format!("key={}", app.keys.join(","))];
    parts.extend(app.settings.iter().map(|(name, value)| format!("{name}={value}")));
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{file::parse_apps, load};

    fn lines(pairs: &[(&str, &str)]) -> Vec<String> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        describe(&load(pairs).unwrap()).lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_variable_is_told_with_its_value_and_its_source() {
        let lines = lines(&[("GAUNG_PORT", "7000"), ("REVERB_SERVER_PATH", "/ws"), ("GAUNG_APP_SIGN_IN", "false")]);
        let names: Vec<_> = lines.iter().filter_map(|line| line.split('=').next()).collect();
        assert_eq!(names, variables().iter().map(|variable| variable.name).collect::<Vec<_>>());
        for expected in [
            "GAUNG_HOST=127.0.0.1  # default",
            "GAUNG_PORT=7000  # environment",
            "GAUNG_PATH_PREFIX=/ws  # REVERB_SERVER_PATH",
            "GAUNG_TLS_CERT=  # default",
            "GAUNG_APP_KEY=gaung-key  # development app",
            "GAUNG_APP_SIGN_IN=false  # environment",
            "GAUNG_APP_MAX_CONNECTIONS=0  # default",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let hooks = r#"[{"url":"http://x","headers":{"X-Token":"s3cret"}}]"#;
        let lines = lines(&[
            ("GAUNG_APP_ID", "1"),
            ("GAUNG_APP_KEY", "k"),
            ("GAUNG_APP_SECRET", "s3cret"),
            ("GAUNG_APP_WEBHOOKS", hooks),
        ]);
        assert!(lines.contains(&"GAUNG_APP_SECRET=********  # environment".to_owned()));
        assert!(lines.contains(&"GAUNG_APP_WEBHOOKS=********  # environment".to_owned()));
        assert!(lines.iter().all(|line| !line.contains("s3cret")));
    }

    #[test]
    fn an_app_of_the_file_is_told_with_its_keys_and_what_is_not_the_default() {
        let text = r#"[{"id":"a","keys":[{"key":"k","secret":"s3cret"},{"key":"l","secret":"s3cret"}],
            "max_connections":5,"maxEventPayloadInKb":1,"cache_ttl_seconds":1800,"webhooks":[{"url":"http://x/s3cret"}]}]"#;
        let (_, settings) = &parse_apps(text).unwrap()[0];
        assert_eq!(
            describe_app(&app_of_file("a", settings)),
            "key=k,l max_connections=5 max_event_bytes=1024 webhooks=1 endpoints"
        );
    }
}
