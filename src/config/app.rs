//! Where the apps come from, and the variables of the one app that stands in the environment.

use std::{fmt::Display, fs, path::PathBuf};

use super::{
    AppsSource, Environment, Problems,
    Rule::{self, Number, Origins, Quota, Switch},
    Variable, file,
};
use crate::app::{AppKey, AppSettings, Secret};

/// Where the apps stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Environment,
    Development,
}

/// Whose credentials serve as ours, the first that are set.
const CREDENTIALS: [&str; 3] = ["GAUNG_APP", "REVERB_APP", "PUSHER_APP"];

/// Finds out where the apps stand, and gives ours the values of Laravel's variables, or of the development app.
pub(super) fn place(environment: &mut Environment, problems: &mut Problems) -> Place {
    if let Some(path) = environment.get("GAUNG_APPS_FILE") {
        let path = path.value.clone();
        for name in environment.names().filter(|name| name.starts_with("GAUNG_APP_")) {
            problems.add(format!("{name} is set beside GAUNG_APPS_FILE; set it for an app in {path}, or unset one"));
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
    match environment.foreign(SENDERS) {
        Some("members" | "all") => environment.assume("GAUNG_APP_CLIENT_EVENTS", "true", SENDERS),
        Some("none") => environment.assume("GAUNG_APP_CLIENT_EVENTS", "false", SENDERS),
        Some(value) => problems.add(format!("{SENDERS} is {value:?}; it must be members or all or none")),
        None => environment.assume("GAUNG_APP_CLIENT_EVENTS", "true", "as Reverb does"),
    }
}

/// Reads the apps from their place. Where that fails the problems say so, and there are fewer apps.
pub(super) fn read(place: Place, environment: &Environment, problems: &mut Problems) -> AppsSource {
    match place {
        Place::File(path) => AppsSource::File { apps: read_file(&path, problems), path },
        Place::Environment => AppsSource::Fixed(read_environment(environment, problems)),
        Place::Development => AppsSource::Development(read_environment(environment, problems)),
    }
}

fn read_file(path: &PathBuf, problems: &mut Problems) -> Vec<(String, AppSettings)> {
    let found = match fs::read_to_string(path) {
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
pub(super) fn source_variables() -> Vec<Variable> {
    vec![
        Variable::new("GAUNG_APPS_FILE", "", Rule::Path, "JSON file with the apps, read again when it changes"),
        Variable::new("GAUNG_APP_ID", "", Rule::Name, "id of the only app"),
        Variable::new("GAUNG_APP_KEY", "", Rule::Name, "its key"),
        Variable::new("GAUNG_APP_SECRET", "", Rule::Secret, "its secret"),
    ]
}

/// One variable for each setting, with the value that it has in `settings` as its default. In the apps file a setting
/// has the same name without `GAUNG_APP_`, in lower case.
pub(super) fn setting_variables(settings: &AppSettings) -> Vec<Variable> {
    [switch_variables(settings), size_variables(settings), rate_variables(settings), other_variables(settings)].concat()
}

fn switch_variables(app: &AppSettings) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 5] = [
        (
            "GAUNG_APP_ENABLED",
            &app.enabled,
            Switch,
            "false refuses the app's sockets with 4003 and its requests with 403",
        ),
        ("GAUNG_APP_CLIENT_EVENTS", &app.client_events, Switch, "whether clients may send client- events"),
        ("GAUNG_APP_SIGN_IN", &app.sign_in, Switch, "whether sockets may sign in as a user"),
        ("GAUNG_APP_WATCHLISTS", &app.watchlists, Switch, "whether signed-in users hear of their watchlist"),
        (
            "GAUNG_APP_SUBSCRIPTION_COUNTS",
            &app.subscription_counts,
            Switch,
            "whether subscribers hear how many they are",
        ),
    ];
    rows.map(Variable::from).into()
}

fn size_variables(app: &AppSettings) -> Vec<Variable> {
    const MIB: u64 = 1_048_576;
    let rows: [(_, &dyn Display, _, _); 9] = [
        ("GAUNG_APP_MAX_CONNECTIONS", &app.max_connections.unwrap_or(0), Quota(1..=COUNT), "open sockets"),
        ("GAUNG_APP_MAX_SUBSCRIPTIONS", &app.max_subscriptions, Number(1..=1_000_000), "subscriptions of one socket"),
        (
            "GAUNG_APP_MAX_PRESENCE_MEMBERS",
            &app.max_presence_members,
            Number(1..=100_000),
            "users in a presence channel",
        ),
        (
            "GAUNG_APP_MAX_PRESENCE_MEMBER_BYTES",
            &app.max_presence_member_bytes,
            Number(2..=MIB),
            "one member's user_info",
        ),
        (
            "GAUNG_APP_MAX_CHANNEL_NAME_LENGTH",
            &app.max_channel_name_length,
            Number(1..=1_000),
            "characters, prefix included",
        ),
        ("GAUNG_APP_MAX_EVENT_NAME_LENGTH", &app.max_event_name_length, Number(1..=1_000), "characters"),
        ("GAUNG_APP_MAX_EVENT_BYTES", &app.max_event_bytes, Number(1..=MIB * 16), "data of one event"),
        ("GAUNG_APP_MAX_EVENT_CHANNELS", &app.max_event_channels, Number(1..=10_000), "channels of one event"),
        ("GAUNG_APP_MAX_BATCH_EVENTS", &app.max_batch_events, Number(1..=10_000), "events of one batch"),
    ];
    rows.map(Variable::from).into()
}

fn rate_variables(app: &AppSettings) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 3] = [
        (
            "GAUNG_APP_EVENTS_PER_SECOND",
            &app.events_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "events from back ends, each counted once per channel",
        ),
        (
            "GAUNG_APP_CLIENT_EVENTS_PER_SECOND",
            &app.client_events_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "client events from one socket",
        ),
        (
            "GAUNG_APP_READS_PER_SECOND",
            &app.reads_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "requests about channels and users",
        ),
    ];
    rows.map(Variable::from).into()
}

fn other_variables(app: &AppSettings) -> Vec<Variable> {
    let origins = app.allowed_origins.join(",");
    let authorised_within = app.authorised_within.map_or(0, |time| time.as_secs());
    let webhooks = match app.webhooks.len() {
        0 => String::new(),
        endpoints => format!("{endpoints} endpoints"),
    };
    let rows: [(_, &dyn Display, _, _); 5] = [
        ("GAUNG_APP_ALLOWED_ORIGINS", &origins, Origins, "hosts of the pages that may connect; * is every page"),
        (
            "GAUNG_APP_CACHE_TTL_SECONDS",
            &app.cache_ttl.as_secs(),
            Number(1..=86_400),
            "how long a cache channel keeps its event",
        ),
        (
            "GAUNG_APP_ACTIVITY_TIMEOUT_SECONDS",
            &app.activity_timeout.as_secs(),
            Number(1..=3_600),
            "after how long a quiet client pings",
        ),
        (
            "GAUNG_APP_AUTHORISED_WITHIN_SECONDS",
            &authorised_within,
            Quota(1..=86_400),
            "how long a socket may stay without sign-in or an authorised channel",
        ),
        (
            "GAUNG_APP_WEBHOOKS",
            &webhooks,
            Rule::Webhooks,
            "JSON list of endpoints: url, event_types, headers, filter, batching",
        ),
    ];
    rows.map(Variable::from).into()
}

/// More than any node can have of anything.
const COUNT: u64 = u32::MAX as u64;
