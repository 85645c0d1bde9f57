//! Apps of Reverb's `config/reverb.php` (protocol.md §6.1), as `json_encode` writes them.

use serde_json::{Map, Value, json};

/// Settings that are the node's here, with the variable that sets them for all apps.
const OF_THE_NODE: [(&str, &str); 2] =
    [("ping_interval", "GAUNG_PING_SECONDS"), ("max_message_size", "GAUNG_MAX_FRAME_BYTES")];

/// Settings that have the same meaning here, with our name.
const SAME: [(&str, &str); 6] = [
    ("app_id", "id"),
    ("key", "key"),
    ("secret", "secret"),
    ("allowed_origins", "allowed_origins"),
    ("activity_timeout", "activity_timeout_seconds"),
    ("max_connections", "max_connections"),
];

/// The members of the apps file for those of an app, and what was not taken over.
pub(super) fn members(mut app: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    app.retain(|_, value| !value.is_null());
    let (mut members, mut left) = (Map::new(), Vec::new());
    // Where the application reaches the server, which is for it to know.
    app.remove("options");
    let senders = app.remove("accept_client_events_from");
    client_events(senders.as_ref(), &mut members, &mut left);
    if let Some(limit) = app.remove("rate_limiting") {
        members.extend(message_quota(&limit));
    }
    for (name, value) in app {
        if let Some((_, own)) = SAME.iter().find(|(theirs, _)| *theirs == name) {
            members.insert((*own).to_owned(), value);
        } else if let Some((_, variable)) = OF_THE_NODE.iter().find(|(theirs, _)| *theirs == name) {
            left.push(format!("{name} is {value}; it is the same for all apps here: set {variable}"));
        } else {
            left.push(format!("{name} is no setting here"));
        }
    }
    (members, left)
}

/// A configuration without the setting means all.
fn client_events(senders: Option<&Value>, members: &mut Map<String, Value>, left: &mut Vec<String>) {
    let (events, public) = match senders.map(Value::as_str) {
        None | Some(Some("all")) => (true, true),
        Some(Some("members")) => (true, false),
        Some(Some("none")) => (false, false),
        Some(_) => {
            left.push("accept_client_events_from is none of all, members and none".to_owned());
            return;
        }
    };
    members.insert("client_events".to_owned(), json!(events));
    if public {
        members.insert("public_client_events".to_owned(), json!(true));
    }
}

/// Reverb counts 60 messages in 60 s where it is not told otherwise.
fn message_quota(limit: &Value) -> Map<String, Value> {
    let mut quota = Map::new();
    if limit["enabled"] != true {
        return quota;
    }
    let number = |name: &str| Some(limit[name].clone()).filter(|value| !value.is_null()).unwrap_or(json!(60));
    quota.insert("message_quota".to_owned(), number("max_attempts"));
    quota.insert("message_quota_seconds".to_owned(), number("decay_seconds"));
    if limit["terminate_on_limit"] == true {
        quota.insert("message_quota_closes".to_owned(), json!(true));
    }
    quota
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::app_store::import::{Source, tests::check_one};

    #[test]
    fn an_app_of_the_configuration_is_read_wherever_it_stands() {
        let app = json!({"key": "k", "secret": "s", "app_id": "1", "options": {"host": "x"}, "allowed_origins": ["*"],
            "ping_interval": 60, "activity_timeout": 30, "max_connections": null, "max_message_size": 10000,
            "accept_client_events_from": "members", "rate_limiting": {"enabled": true, "max_attempts": 9,
            "decay_seconds": 1, "terminate_on_limit": true}});
        let members = json!({"id": "1", "key": "k", "secret": "s", "allowed_origins": ["*"], "activity_timeout_seconds": 30,
            "client_events": true, "message_quota": 9, "message_quota_seconds": 1, "message_quota_closes": true});
        let left = [
            "max_message_size is 10000; it is the same for all apps here: set GAUNG_MAX_FRAME_BYTES",
            "ping_interval is 60; it is the same for all apps here: set GAUNG_PING_SECONDS",
        ];
        let apps = json!({"provider": "config", "apps": [app]});
        for text in [json!([app]), apps.clone(), json!({"default": "reverb", "servers": {}, "apps": apps})] {
            check_one(Source::Reverb, &text.to_string(), members.clone(), &left);
        }
    }

    #[test]
    fn client_events_are_taken_from_whom_reverb_takes_them() {
        for (senders, events) in [
            (json!(null), json!({"client_events": true, "public_client_events": true})),
            (json!("all"), json!({"client_events": true, "public_client_events": true})),
            (json!("none"), json!({"client_events": false})),
        ] {
            let app = json!([{"key": "k", "secret": "s", "app_id": "1", "accept_client_events_from": senders}]);
            let mut members = json!({"id": "1", "key": "k", "secret": "s"});
            members.as_object_mut().unwrap().extend(events.as_object().unwrap().clone());
            check_one(Source::Reverb, &app.to_string(), members, &[]);
        }
    }
}
