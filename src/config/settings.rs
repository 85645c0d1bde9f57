//! The settings of an app as variables, and so as members of an app in the apps file.

use std::fmt::Display;

use super::{
    Rule::{self, Number, Origins, Quota, Switch, Threshold},
    Variable,
};
use crate::config::AppSettings;

/// More than any node can have of anything.
const COUNT: u64 = u32::MAX as u64;

/// One variable for each setting, with the value that it has in `settings` as its default. In the apps file a setting
/// has the same name without `GAUNG_APP_`, in lower case.
pub(super) fn variables(settings: &AppSettings) -> Vec<Variable> {
    [
        switch_variables(settings),
        size_variables(settings),
        rate_variables(settings),
        limit_variables(settings),
        time_variables(settings),
        other_variables(settings),
    ]
    .concat()
}

fn switch_variables(app: &AppSettings) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 8] = [
        (
            "GAUNG_APP_ENABLED",
            &app.enabled,
            Switch,
            "false refuses the app's sockets with 4003 and its requests with 403",
        ),
        ("GAUNG_APP_CLIENT_EVENTS", &app.client_events, Switch, "whether clients may send client- events"),
        (
            "GAUNG_APP_PUBLIC_CLIENT_EVENTS",
            &app.public_client_events,
            Switch,
            "whether they may send them in public channels too, where nobody checks who they are",
        ),
        (
            "GAUNG_APP_TERMINATE_MEMBERS",
            &app.terminate_members,
            Switch,
            "whether terminate_connections also closes sockets that are in a presence channel as the user",
        ),
        ("GAUNG_APP_SIGN_IN", &app.sign_in, Switch, "whether sockets may sign in as a user"),
        ("GAUNG_APP_WATCHLISTS", &app.watchlists, Switch, "whether signed-in users hear of their watchlist"),
        (
            "GAUNG_APP_SUBSCRIPTION_COUNTS",
            &app.subscription_counts,
            Switch,
            "whether subscribers hear how many they are",
        ),
        (
            "GAUNG_APP_HTTP_TRANSPORTS",
            &app.http_transports,
            Switch,
            "whether the HTTP transports of pusher-js are served, for networks without WebSockets",
        ),
    ];
    rows.map(Variable::from).into()
}

fn size_variables(app: &AppSettings) -> Vec<Variable> {
    const MIB: u64 = 1_048_576;
    let rows: [(_, &dyn Display, _, _); 10] = [
        (
            "GAUNG_APP_COMPRESS_FROM_BYTES",
            &app.compress_from_bytes.unwrap_or(0),
            Threshold(1..=MIB * 16),
            "bytes from which on events are compressed for sockets that offer permessage-deflate",
        ),
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
            "bytes of one member's user_info",
        ),
        (
            "GAUNG_APP_MAX_CHANNEL_NAME_LENGTH",
            &app.max_channel_name_length,
            Number(1..=1_000),
            "characters of a channel name, prefix included",
        ),
        (
            "GAUNG_APP_MAX_EVENT_NAME_LENGTH",
            &app.max_event_name_length,
            Number(1..=1_000),
            "characters of an event name",
        ),
        ("GAUNG_APP_MAX_EVENT_BYTES", &app.max_event_bytes, Number(1..=MIB * 16), "bytes of one event's data"),
        ("GAUNG_APP_MAX_EVENT_CHANNELS", &app.max_event_channels, Number(1..=10_000), "channels of one event"),
        ("GAUNG_APP_MAX_BATCH_EVENTS", &app.max_batch_events, Number(1..=10_000), "events of one batch"),
    ];
    rows.map(Variable::from).into()
}

fn rate_variables(app: &AppSettings) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 7] = [
        (
            "GAUNG_APP_EVENTS_PER_SECOND",
            &app.events_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "events from back ends, each counted once per channel",
        ),
        (
            "GAUNG_APP_MESSAGES_PER_SECOND",
            &app.messages_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "messages from one socket; one that sends more is read more slowly",
        ),
        (
            "GAUNG_APP_MESSAGE_QUOTA",
            &app.message_quota.unwrap_or(0),
            Quota(1..=COUNT),
            "messages from one socket in a window of time; more are refused with 4301",
        ),
        (
            "GAUNG_APP_MESSAGE_QUOTA_SECONDS",
            &app.message_quota_window.as_secs(),
            Number(1..=86_400),
            "length of that window",
        ),
        (
            "GAUNG_APP_MESSAGE_QUOTA_CLOSES",
            &app.message_quota_closes,
            Switch,
            "whether a socket over that quota is closed with 4100",
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

fn limit_variables(app: &AppSettings) -> Vec<Variable> {
    let tenant_limits = app.tenant_limits.text();
    let rows: [(_, &dyn Display, _, _); 7] = [
        (
            "GAUNG_APP_MAX_TOTAL_SUBSCRIPTIONS",
            &app.max_total_subscriptions.unwrap_or(0),
            Quota(1..=COUNT),
            "subscriptions of all sockets together",
        ),
        ("GAUNG_APP_MAX_CHANNELS", &app.max_channels.unwrap_or(0), Quota(1..=COUNT), "channels with subscribers"),
        (
            "GAUNG_APP_MAX_MEMBERS",
            &app.max_members.unwrap_or(0),
            Quota(1..=COUNT),
            "members of all presence channels, a user counted once per channel",
        ),
        (
            "GAUNG_APP_DELIVERIES_PER_SECOND",
            &app.deliveries_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "events handed to sockets, one per event and subscriber",
        ),
        (
            "GAUNG_APP_BYTES_PER_SECOND",
            &app.bytes_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "WebSocket bytes of these",
        ),
        (
            "GAUNG_APP_JOINS_PER_SECOND",
            &app.joins_per_second.unwrap_or(0),
            Quota(1..=COUNT),
            "subscriptions that begin",
        ),
        (
            "GAUNG_APP_TENANT_LIMITS",
            &tenant_limits,
            Rule::Quotas,
            "what each tenant may have and do, comma-separated: name=number, named like these settings",
        ),
    ];
    rows.map(Variable::from).into()
}

fn time_variables(app: &AppSettings) -> Vec<Variable> {
    let authorised_within = app.authorised_within.map_or(0, |time| time.as_secs());
    let rows: [(_, &dyn Display, _, _); 4] = [
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
            "GAUNG_APP_SIGN_IN_WITHIN_SECONDS",
            &app.sign_in_within.as_secs(),
            Number(1..=3_600),
            "how long subscriptions wait for the sign-in that is to authorise them",
        ),
    ];
    rows.map(Variable::from).into()
}

fn other_variables(app: &AppSettings) -> Vec<Variable> {
    let origins = app.allowed_origins.join(",");
    let history = app.history.text();
    let webhooks = match app.webhooks.len() {
        0 => String::new(),
        endpoints => format!("{endpoints} endpoints"),
    };
    let history_mb = app.history_mb.unwrap_or(0);
    let rows: [(_, &dyn Display, _, _); 4] = [
        ("GAUNG_APP_ALLOWED_ORIGINS", &origins, Origins, "hosts of the pages that may connect; * is every page"),
        (
            "GAUNG_APP_HISTORY",
            &history,
            Rule::History,
            "what channels keep of their events for those who come back: pattern=seconds:events, comma-separated",
        ),
        (
            "GAUNG_APP_HISTORY_MB",
            &history_mb,
            Quota(1..=65_536),
            "MiB that these events may take; GAUNG_HISTORY_MB bounds all apps of the node",
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{
        HistoryRules, Quotas,
        tests::{APP, app},
        webhooks,
    };

    #[test]
    fn every_setting_of_the_app_reaches_its_field() {
        assert_eq!(app(&[&APP[..], EVERY_SETTING].concat()), ("1".to_owned(), every_field()));
    }

    const EVERY_SETTING: &[(&str, &str)] = &[
        ("GAUNG_APP_ENABLED", "false"),
        ("GAUNG_APP_CLIENT_EVENTS", "true"),
        ("GAUNG_APP_PUBLIC_CLIENT_EVENTS", "true"),
        ("GAUNG_APP_TERMINATE_MEMBERS", "false"),
        ("GAUNG_APP_SIGN_IN", "false"),
        ("GAUNG_APP_WATCHLISTS", "false"),
        ("GAUNG_APP_SUBSCRIPTION_COUNTS", "true"),
        ("GAUNG_APP_HTTP_TRANSPORTS", "false"),
        ("GAUNG_APP_MAX_CONNECTIONS", "1"),
        ("GAUNG_APP_MAX_SUBSCRIPTIONS", "2"),
        ("GAUNG_APP_MAX_PRESENCE_MEMBERS", "3"),
        ("GAUNG_APP_MAX_PRESENCE_MEMBER_BYTES", "4"),
        ("GAUNG_APP_MAX_CHANNEL_NAME_LENGTH", "5"),
        ("GAUNG_APP_MAX_EVENT_NAME_LENGTH", "6"),
        ("GAUNG_APP_MAX_EVENT_BYTES", "7"),
        ("GAUNG_APP_MAX_EVENT_CHANNELS", "8"),
        ("GAUNG_APP_MAX_BATCH_EVENTS", "9"),
        ("GAUNG_APP_EVENTS_PER_SECOND", "10"),
        ("GAUNG_APP_MESSAGES_PER_SECOND", "11"),
        ("GAUNG_APP_MESSAGE_QUOTA", "16"),
        ("GAUNG_APP_MESSAGE_QUOTA_SECONDS", "17"),
        ("GAUNG_APP_MESSAGE_QUOTA_CLOSES", "true"),
        ("GAUNG_APP_CLIENT_EVENTS_PER_SECOND", "0"),
        ("GAUNG_APP_READS_PER_SECOND", "12"),
        ("GAUNG_APP_COMPRESS_FROM_BYTES", "19"),
        ("GAUNG_APP_MAX_TOTAL_SUBSCRIPTIONS", "20"),
        ("GAUNG_APP_MAX_CHANNELS", "21"),
        ("GAUNG_APP_MAX_MEMBERS", "22"),
        ("GAUNG_APP_DELIVERIES_PER_SECOND", "23"),
        ("GAUNG_APP_BYTES_PER_SECOND", "24"),
        ("GAUNG_APP_JOINS_PER_SECOND", "25"),
        ("GAUNG_APP_TENANT_LIMITS", "max_connections=26,joins_per_second=27"),
        ("GAUNG_APP_ALLOWED_ORIGINS", "a.example, *.b.example"),
        ("GAUNG_APP_CACHE_TTL_SECONDS", "13"),
        ("GAUNG_APP_ACTIVITY_TIMEOUT_SECONDS", "14"),
        ("GAUNG_APP_AUTHORISED_WITHIN_SECONDS", "15"),
        ("GAUNG_APP_SIGN_IN_WITHIN_SECONDS", "20"),
        ("GAUNG_APP_HISTORY", "products.*=120s:1000"),
        ("GAUNG_APP_HISTORY_MB", "18"),
        ("GAUNG_APP_WEBHOOKS", r#"[{"url":"http://hook"}]"#),
    ];

    fn every_field() -> AppSettings {
        AppSettings {
            keys: AppSettings::new("k", "s3cret").keys,
            enabled: false,
            max_connections: Some(1),
            client_events: true,
            public_client_events: true,
            terminate_members: false,
            sign_in: false,
            sign_in_within: Duration::from_secs(20),
            watchlists: false,
            subscription_counts: true,
            http_transports: false,
            max_presence_members: 3,
            max_presence_member_bytes: 4,
            max_channel_name_length: 5,
            max_event_name_length: 6,
            max_event_bytes: 7,
            max_event_channels: 8,
            max_batch_events: 9,
            max_subscriptions: 2,
            events_per_second: Some(10),
            messages_per_second: Some(11),
            message_quota: Some(16),
            message_quota_window: Duration::from_secs(17),
            message_quota_closes: true,
            client_events_per_second: None,
            reads_per_second: Some(12),
            compress_from_bytes: Some(19),
            allowed_origins: vec!["a.example".to_owned(), "*.b.example".to_owned()],
            cache_ttl: Duration::from_secs(13),
            activity_timeout: Duration::from_secs(14),
            authorised_within: Some(Duration::from_secs(15)),
            history: HistoryRules::parse("products.*=120s:1000").unwrap(),
            history_mb: Some(18),
            max_total_subscriptions: Some(20),
            max_channels: Some(21),
            max_members: Some(22),
            deliveries_per_second: Some(23),
            bytes_per_second: Some(24),
            joins_per_second: Some(25),
            tenant_limits: Quotas { max_connections: Some(26), joins_per_second: Some(27), ..Quotas::default() },
            webhooks: webhooks::parse(r#"[{"url":"http://hook"}]"#).unwrap(),
        }
    }
}
