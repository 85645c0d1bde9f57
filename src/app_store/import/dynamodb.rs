//! Items of Soketi's table in DynamoDB (protocol.md §6.2), as `scan` and exports to S3 write them: each value with its type.

use serde_json::{Map, Value};

use super::soketi;

/// The members of the apps file for those of an item, and what was not taken over.
pub(super) fn members(mut line: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let item = match line.remove("Item") {
        Some(Value::Object(item)) => item,
        Some(_) | None => line,
    };
    soketi::members(item.into_iter().map(|(name, value)| (own_name(&name), plain(value))).collect())
}

/// `AppId` is `id`, `MaxConnections` is `maxConnections`.
fn own_name(name: &str) -> String {
    match name {
        "AppId" => "id".to_owned(),
        "AppKey" => "key".to_owned(),
        "AppSecret" => "secret".to_owned(),
        _ => {
            let mut letters = name.chars();
            letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
        }
    }
}

/// The value without its type. What is none of these stays as it is, and is refused by who knows the setting.
fn plain(value: Value) -> Value {
    let Value::Object(typed) = value else { return value };
    let Some((kind, inner)) = typed.iter().next().filter(|_| typed.len() == 1) else { return Value::Object(typed) };
    match (kind.as_str(), inner) {
        ("S" | "BOOL", inner) => inner.clone(),
        ("N", Value::String(digits)) => digits.parse().map_or_else(|_| inner.clone(), Value::Number),
        ("NULL", _) => Value::Null,
        ("L", Value::Array(items)) => items.iter().cloned().map(plain).collect(),
        ("M", Value::Object(members)) => {
            members.iter().map(|(name, value)| (name.clone(), plain(value.clone()))).collect()
        }
        _ => Value::Object(typed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::app_store::import::{Source, tests::check_one};

    #[test]
    fn items_of_a_scan_and_lines_of_an_export_are_read_without_their_types() {
        let item = json!({"AppId": {"S": "1"}, "AppKey": {"S": "k"}, "AppSecret": {"S": "s"}, "MaxConnections": {"N": "-1"},
            "EnableClientMessages": {"BOOL": true}, "Enabled": {"N": "1"}, "MaxEventBatchSize": {"NULL": true},
            "Webhooks": {"S": "[{\"url\":\"http://hook\"}]"}, "Team": {"S": "blue"}});
        let members = json!({"id": "1", "key": "k", "secret": "s", "maxConnections": -1, "enableClientMessages": true,
            "enabled": true, "webhooks": [{"url": "http://hook"}]});
        let (scan, line) = (json!({"Items": [item], "Count": 1}), json!({"Item": item}));
        for text in [scan.to_string(), format!("{line}\n")] {
            check_one(Source::DynamoDb, &text, members.clone(), &["team is no setting here"]);
        }
    }

    #[test]
    fn lists_and_objects_lose_their_types_too() {
        let hooks = json!({"L": [{"M": {"url": {"S": "http://hook"}, "event_types": {"L": [{"S": "cache_miss"}]}}}]});
        let item = json!([{"AppId": {"S": "1"}, "AppKey": {"S": "k"}, "AppSecret": {"S": "s"}, "Webhooks": hooks}]);
        let members = json!({"id": "1", "key": "k", "secret": "s",
            "webhooks": [{"url": "http://hook", "event_types": ["cache_miss"]}]});
        check_one(Source::DynamoDb, &item.to_string(), members, &[]);
    }
}
