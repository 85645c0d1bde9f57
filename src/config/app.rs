//! Where the apps come from: a file, the environment, or nowhere, which makes the development app.

use std::path::{Path, PathBuf};

use super::{AppsSource, LimitsConfig, Problems, Rule, Variable, apps_store, environment::Environment, file};
use crate::{
    config::AppSettings,
    files,
    protocol::{AppKey, Secret},
};

/// Where the apps stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Nats,
    Environment,
    Development,
}

/// Whose credentials serve as ours, the first that are set.
const CREDENTIALS: [&str; 3] = ["GAUNG_APP", "REVERB_APP", "PUSHER_APP"];

/// Finds out where the apps stand, and gives ours the values of Laravel's variables, or of the development app.
pub(super) fn place(environment: &mut Environment, problems: &mut Problems) -> Place {
    if apps_store::is_wanted(environment) {
        return Place::Nats;
    }
    if let Some(path) = environment.get("GAUNG_APPS_FILE") {
        let path = path.value.clone();
        for name in environment.names().filter(|name| name.starts_with("GAUNG_APP_")) {
            problems.add(format!(
                "{name} cannot be combined with GAUNG_APPS_FILE; set it for an app in {path}, or unset one"
            ));
        }
        return Place::File(path.into());
    }
    let is_used = |owner: &&str| {
        ["ID", "KEY", "SECRET"].iter().any(|part| environment.foreign(&format!("{owner}_{part}")).is_some())
    };
    let Some(owner) = CREDENTIALS.into_iter().find(is_used) else {
        assume_development(environment);
        return Place::Development;
    };
    adopt_credentials(environment, owner, problems);
    if owner == "REVERB_APP" {
        adopt_reverb_settings(environment, problems);
    }
    Place::Environment
}

fn assume_development(environment: &mut Environment) {
    for (name, value) in [
        ("GAUNG_APP_ID", "gaung"),
        ("GAUNG_APP_KEY", "gaung-key"),
        ("GAUNG_APP_SECRET", "gaung-secret"),
        ("GAUNG_APP_CLIENT_EVENTS", "true"),
        ("GAUNG_APP_HISTORY", "*=120s:1000"),
        ("GAUNG_TENANT_ACCESS", "open"),
    ] {
        environment.assume(name, value, "development app");
    }
}

fn adopt_credentials(environment: &mut Environment, owner: &str, problems: &mut Problems) {
    for part in ["ID", "KEY", "SECRET"] {
        let name = format!("{owner}_{part}");
        if environment.foreign(&name).is_none() {
            problems.add(format!("{name} is not set; {owner}_ID, {owner}_KEY and {owner}_SECRET belong together"));
        }
        environment.adopt(&format!("GAUNG_APP_{part}"), &name);
    }
}

/// Reverb takes client events from members unless it is told otherwise, and so do we in its place.
fn adopt_reverb_settings(environment: &mut Environment, problems: &mut Problems) {
    const SENDERS: &str = "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM";
    environment.adopt("GAUNG_APP_MAX_CONNECTIONS", "REVERB_APP_MAX_CONNECTIONS");
    environment.adopt("GAUNG_APP_ACTIVITY_TIMEOUT_SECONDS", "REVERB_APP_ACTIVITY_TIMEOUT");
    environment.adopt("GAUNG_MAX_FRAME_BYTES", "REVERB_APP_MAX_MESSAGE_SIZE");
    adopt_request_size(environment);
    match environment.foreign(SENDERS) {
        Some("members") => environment.assume("GAUNG_APP_CLIENT_EVENTS", "true", SENDERS),
        Some("all") => {
            environment.assume("GAUNG_APP_CLIENT_EVENTS", "true", SENDERS);
            environment.assume("GAUNG_APP_PUBLIC_CLIENT_EVENTS", "true", SENDERS);
        }
        Some("none") => environment.assume("GAUNG_APP_CLIENT_EVENTS", "false", SENDERS),
        Some(value) => problems.add(format!("{SENDERS} is {value:?}; it must be members or all or none")),
        None => environment.assume("GAUNG_APP_CLIENT_EVENTS", "true", "as Reverb does"),
    }
    adopt_reverb_rate(environment, problems);
}

/// Laravel knows two ways to write each of true and false. Reverb counts 60 messages where it is not told how many.
fn adopt_reverb_rate(environment: &mut Environment, problems: &mut Problems) {
    const ENABLED: &str = "REVERB_APP_RATE_LIMITING_ENABLED";
    const TERMINATE: &str = "REVERB_APP_RATE_LIMIT_TERMINATE";
    if !is_on(environment, ENABLED, problems) {
        return;
    }
    environment.adopt("GAUNG_APP_MESSAGE_QUOTA", "REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS");
    environment.assume("GAUNG_APP_MESSAGE_QUOTA", "60", ENABLED);
    environment.adopt("GAUNG_APP_MESSAGE_QUOTA_SECONDS", "REVERB_APP_RATE_LIMIT_DECAY_SECONDS");
    if is_on(environment, TERMINATE, problems) {
        environment.assume("GAUNG_APP_MESSAGE_QUOTA_CLOSES", "true", TERMINATE);
    }
}

/// Whether one of Laravel's switches is on.
fn is_on(environment: &Environment, name: &str, problems: &mut Problems) -> bool {
    match environment.foreign(name).map(str::to_lowercase).as_deref() {
        Some("true" | "(true)" | "1") => true,
        None | Some("false" | "(false)" | "0") => false,
        Some(value) => {
            problems.add(format!("{name} is {value:?}; it must be true or false"));
            false
        }
    }
}

/// Reverb limits the request alone: an operator who raised its size wants larger events. A request may be that large too.
fn adopt_request_size(environment: &mut Environment) {
    const SIZE: &str = "REVERB_MAX_REQUEST_SIZE";
    environment.adopt("GAUNG_APP_MAX_EVENT_BYTES", SIZE);
    let bytes = environment.foreign(SIZE).and_then(|bytes| bytes.parse::<usize>().ok());
    if bytes.is_some_and(|bytes| bytes > LimitsConfig::default().max_body_bytes) {
        environment.adopt("GAUNG_MAX_BODY_BYTES", SIZE);
    }
}

/// Reads the apps from their place. Where that fails the problems say so, and there are fewer apps.
pub(super) fn read(place: Place, environment: &Environment, problems: &mut Problems) -> AppsSource {
    if place != Place::Nats {
        apps_store::unwanted(environment, problems);
    }
    match place {
        Place::File(path) => AppsSource::File { apps: read_file(&path, problems), path },
        Place::Nats => apps_store::read(environment, problems).map_or(AppsSource::Fixed(Vec::new()), AppsSource::Nats),
        Place::Environment => AppsSource::Fixed(read_environment(environment, problems)),
        Place::Development => AppsSource::Development(read_environment(environment, problems)),
    }
}

fn read_file(path: &Path, problems: &mut Problems) -> Vec<(String, AppSettings)> {
    let reads = path.to_owned();
    let found = match files::read_in_time(move || files::read_text(&reads)).flatten() {
        Ok(text) => file::parse_apps(&text),
        Err(error) => {
            problems.add(format!("GAUNG_APPS_FILE is {path:?}; it cannot be read: {error}"));
            return Vec::new();
        }
    };
    found.unwrap_or_else(|found| {
        for line in found.lines() {
            problems.add(format!("GAUNG_APPS_FILE is {path:?}; {line}"));
        }
        Vec::new()
    })
}

fn read_environment(environment: &Environment, problems: &mut Problems) -> Vec<(String, AppSettings)> {
    let value = |name| environment.get(name).map(|given| given.value.clone());
    let (Some(id), Some(key), Some(secret)) =
        (value("GAUNG_APP_ID"), value("GAUNG_APP_KEY"), value("GAUNG_APP_SECRET"))
    else {
        return Vec::new();
    };
    let Some(settings) = environment.read::<AppSettings>("GAUNG_APP_", problems) else { return Vec::new() };
    vec![(id, AppSettings { keys: vec![AppKey { key, secret: Secret::new(secret) }], ..settings })]
}

/// Variables that say which apps there are.
pub(super) fn variables() -> Vec<Variable> {
    let mut variables = apps_store::variables();
    variables.extend([
        Variable::new("GAUNG_APPS_FILE", "", Rule::Path, "JSON file with the apps, read again when it changes"),
        Variable::new("GAUNG_APP_ID", "", Rule::Name, "id of the only app"),
        Variable::new("GAUNG_APP_KEY", "", Rule::Name, "its key"),
        Variable::new("GAUNG_APP_SECRET", "", Rule::Secret, "its secret"),
    ]);
    variables
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::config::{
        TenantAccess,
        tests::{APP, app, good, refused},
    };

    fn credentials<'a>(owner: [&'a str; 3], value: &'a str) -> Vec<(&'a str, &'a str)> {
        owner.iter().map(|name| (*name, value)).collect()
    }

    const REVERB: [&str; 3] = ["REVERB_APP_ID", "REVERB_APP_KEY", "REVERB_APP_SECRET"];
    const PUSHER: [&str; 3] = ["PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET"];

    #[test]
    fn credentials_are_ours_else_reverbs_else_pushers() {
        let (reverb, pusher) = (credentials(REVERB, "r"), credentials(PUSHER, "p"));
        assert_eq!(app(&[&APP[..], &reverb, &pusher].concat()).0, "1");
        assert_eq!(app(&[&reverb[..], &pusher].concat()).0, "r");
        assert_eq!(app(&pusher), ("p".to_owned(), AppSettings::new("p", "p")));
        refused(
            &[("PUSHER_APP_KEY", "p"), ("PUSHER_APP_ID", "p")],
            &["PUSHER_APP_SECRET is not set; PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET belong together"],
        );
    }

    #[test]
    fn settings_of_ours_hold_with_the_credentials_of_any_server() {
        for owner in [REVERB, PUSHER, ["GAUNG_APP_ID", "GAUNG_APP_KEY", "GAUNG_APP_SECRET"]] {
            let (_, settings) = app(&[&credentials(owner, "x")[..], &[("GAUNG_APP_MAX_CONNECTIONS", "5")]].concat());
            assert_eq!(settings.max_connections, Some(5));
        }
    }

    #[test]
    fn reverbs_settings_count_only_with_reverbs_credentials() {
        let settings = [
            ("REVERB_APP_MAX_CONNECTIONS", "50"),
            ("REVERB_APP_ACTIVITY_TIMEOUT", "40"),
            ("REVERB_APP_MAX_MESSAGE_SIZE", "10000"),
        ];
        let with = good(&[&credentials(REVERB, "r")[..], &settings].concat());
        let (_, app) = &with.apps.apps()[0];
        assert_eq!((app.max_connections, app.activity_timeout), (Some(50), Duration::from_secs(40)));
        assert_eq!(with.config.limits.max_frame_bytes, 10_000);
        let without = good(&[&APP[..], &settings].concat());
        assert_eq!(without.apps.apps()[0].1, AppSettings::new("k", "s3cret"));
        assert_eq!(without.config.limits.max_frame_bytes, 65_536);
    }

    #[test]
    fn the_size_of_reverbs_requests_is_that_of_events_and_of_bodies_where_they_would_be_smaller() {
        let check = |size: &str, event: usize, body: usize| {
            let loaded = good(&[&credentials(REVERB, "r")[..], &[("REVERB_MAX_REQUEST_SIZE", size)]].concat());
            let (_, app) = &loaded.apps.apps()[0];
            assert_eq!((app.max_event_bytes, loaded.config.limits.max_body_bytes), (event, body), "{size}");
        };
        check("", 10_240, 1_048_576);
        check("150000", 150_000, 1_048_576);
        check("2000000", 2_000_000, 2_000_000);
    }

    #[test]
    fn reverbs_app_takes_client_events_unless_from_nobody_and_from_all_on_public_channels_too() {
        let check = |senders: &str, expected: (bool, bool)| {
            let senders = [("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", senders)];
            let (_, app) = app(&[&credentials(REVERB, "r")[..], &senders].concat());
            assert_eq!((app.client_events, app.public_client_events), expected);
        };
        check("", (true, false));
        check("members", (true, false));
        check("all", (true, true));
        check("none", (false, false));
        refused(
            &[&credentials(REVERB, "r")[..], &[("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "some")]].concat(),
            &["REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM is \"some\"; it must be members or all or none"],
        );
    }

    #[test]
    fn reverbs_rate_limit_holds_where_it_is_switched_on() {
        let quota = |settings: &[(&str, &str)]| {
            let app = app(&[&credentials(REVERB, "r")[..], settings].concat()).1;
            (app.message_quota, app.message_quota_window.as_secs(), app.message_quota_closes)
        };
        let (enabled, limit) = ("REVERB_APP_RATE_LIMITING_ENABLED", ("REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "100"));
        let details =
            [limit, ("REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "30"), ("REVERB_APP_RATE_LIMIT_TERMINATE", "true")];
        assert_eq!(quota(&details), (None, 60, false));
        assert_eq!(quota(&[(enabled, "false"), limit]), (None, 60, false));
        assert_eq!(quota(&[(enabled, "true")]), (Some(60), 60, false));
        assert_eq!(quota(&[&[(enabled, "true")], &details[..]].concat()), (Some(100), 30, true));
        assert_eq!(quota(&[(enabled, "true"), limit, ("GAUNG_APP_MESSAGE_QUOTA", "7")]), (Some(7), 60, false));
        refused(
            &[&credentials(REVERB, "r")[..], &[(enabled, "yes")]].concat(),
            &["REVERB_APP_RATE_LIMITING_ENABLED is \"yes\"; it must be true or false"],
        );
    }

    #[test]
    fn tenant_access_is_by_token_unless_chosen_or_in_development() {
        let access = |pairs: &[(&str, &str)]| good(pairs).config.tenant.access;
        assert_eq!(access(&APP), TenantAccess::Token);
        assert_eq!(access(&[]), TenantAccess::Open);
        assert_eq!(access(&[("GAUNG_TENANT_ACCESS", "token")]), TenantAccess::Token);
    }

    #[test]
    fn an_apps_file_is_read_and_its_problems_name_it() {
        let path = std::env::temp_dir().join(format!("gaung-apps-{}.json", std::process::id()));
        let path = path.to_str().unwrap();
        fs::write(path, r#"[{"id":"a","key":"k","secret":"s"}]"#).unwrap();
        let loaded = good(&[("GAUNG_APPS_FILE", path), ("GAUNG_HOST", "0.0.0.0"), ("PUSHER_APP_ID", "ignored")]);
        fs::write(path, r#"[{"id":"a","key":"k"}]"#).unwrap();
        refused(
            &[("GAUNG_APPS_FILE", path)],
            &[&format!("GAUNG_APPS_FILE is {path:?}; apps[0] (id a): secret is missing")],
        );
        fs::remove_file(path).unwrap();
        let expected = [("a".to_owned(), AppSettings::new("k", "s"))];
        assert!(
            matches!(&loaded.apps, AppsSource::File { path: read, apps } if read == Path::new(path) && *apps == expected)
        );
    }
}
