//! Rows of Soketi's table (protocol.md §6.2), whose columns have other names than its array has.

use serde_json::{Map, Value};

/// Columns, each with the name in the array.
const COLUMNS: [(&str, &str); 15] = [
    ("max_connections", "maxConnections"),
    ("enable_client_messages", "enableClientMessages"),
    ("enabled", "enabled"),
    ("max_backend_events_per_sec", "maxBackendEventsPerSecond"),
    ("max_client_events_per_sec", "maxClientEventsPerSecond"),
    ("max_read_req_per_sec", "maxReadRequestsPerSecond"),
    ("max_presence_members_per_channel", "maxPresenceMembersPerChannel"),
    ("max_presence_member_size_in_kb", "maxPresenceMemberSizeInKb"),
    ("max_channel_name_length", "maxChannelNameLength"),
    ("max_event_channels_at_once", "maxEventChannelsAtOnce"),
    ("max_event_name_length", "maxEventNameLength"),
    ("max_event_payload_in_kb", "maxEventPayloadInKb"),
    ("max_event_batch_size", "maxEventBatchSize"),
    ("enable_user_authentication", "enableUserAuthentication"),
    ("webhooks", "webhooks"),
];

/// What databases have numbers or letters for.
const SWITCHES: [&str; 3] = ["enableClientMessages", "enabled", "enableUserAuthentication"];

/// The members of the apps file for those of a row, and what was not taken over.
pub(super) fn members(row: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let (mut members, mut left) = (Map::new(), Vec::new());
    for (name, value) in row {
        let known = COLUMNS.iter().find(|(column, theirs)| *column == name || *theirs == name);
        match (known, name.as_str()) {
            _ if value.is_null() || value == "" => {}
            (_, "id" | "key" | "secret") => drop(members.insert(name, value)),
            (Some((_, "webhooks")), _) => {
                let webhooks = webhooks(value, &mut left);
                members.extend(webhooks.map(|list| ("webhooks".to_owned(), list)));
            }
            (Some((_, theirs)), _) if SWITCHES.contains(theirs) => {
                members.insert((*theirs).to_owned(), switch(value));
            }
            (Some((_, theirs)), _) => drop(members.insert((*theirs).to_owned(), value)),
            (None, _) => left.push(format!("{name} is no setting here")),
        }
    }
    (members, left)
}

/// A switch as databases write it.
fn switch(value: Value) -> Value {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "t" | "true") => return Value::Bool(true),
        Some("0" | "f" | "false") => return Value::Bool(false),
        Some(_) | None => {}
    }
    match value.as_u64() {
        Some(0) => Value::Bool(false),
        Some(1) => Value::Bool(true),
        Some(_) | None => value,
    }
}

/// The list, which may be written as a text, without what calls functions of AWS.
fn webhooks(value: Value, left: &mut Vec<String>) -> Option<Value> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    let Value::Array(endpoints) = parsed.unwrap_or(value) else {
        left.push("webhooks is no list".to_owned());
        return None;
    };
    let mut kept = Vec::new();
    for (index, mut endpoint) in endpoints.into_iter().enumerate() {
        let lambda = endpoint.as_object_mut().and_then(|endpoint| {
            endpoint.remove("lambda");
            endpoint.remove("lambda_function")
        });
        if lambda.is_some_and(|function| !function.is_null()) {
            left.push(format!("webhooks[{index}] calls a function of AWS; webhooks are posted to a url only"));
        } else {
            kept.push(endpoint);
        }
    }
    (!kept.is_empty()).then_some(Value::Array(kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::app_store::import::{Source, tests::check_one};

    #[test]
    fn rows_of_mysql_and_postgres_have_the_names_of_the_array() {
        let hooks = r#"[{"url":"http://hook","event_types":["cache_miss"]},{"lambda_function":"f","event_types":[]}]"#;
        let mysql = json!([{"id": "1", "key": "k", "secret": "s", "max_connections": 200, "enable_client_messages": 1,
            "enabled": "0", "max_backend_events_per_sec": -1, "max_event_payload_in_kb": "2.5", "webhooks": hooks,
            "max_read_req_per_sec": null, "max_event_batch_size": "", "created_at": "2024-01-01"}]);
        let members = json!({"id": "1", "key": "k", "secret": "s", "maxConnections": 200, "enableClientMessages": true,
            "enabled": false, "maxBackendEventsPerSecond": -1, "maxEventPayloadInKb": "2.5",
            "webhooks": [{"url": "http://hook", "event_types": ["cache_miss"]}]});
        let left =
            ["created_at is no setting here", "webhooks[1] calls a function of AWS; webhooks are posted to a url only"];
        check_one(Source::Soketi, &mysql.to_string(), members, &left);
        let postgres =
            r#"{"id":"1","key":"k","secret":"s","enabled":true,"webhooks":[],"enable_user_authentication":"t"}"#;
        let members = json!({"id": "1", "key": "k", "secret": "s", "enabled": true, "enableUserAuthentication": true});
        check_one(Source::Soketi, postgres, members, &[]);
    }

    #[test]
    fn rows_may_stand_one_behind_the_other() {
        let rows = "{\"id\":1,\"key\":\"k\",\"secret\":\"s\"}\n{\"id\":2,\"key\":\"l\",\"secret\":\"s\"}\n";
        let ids: Vec<_> = Source::Soketi.read(rows).unwrap().into_iter().map(|found| found.record.id).collect();
        assert_eq!(ids, ["1", "2"]);
    }
}
