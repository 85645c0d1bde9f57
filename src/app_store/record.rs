//! An app as it is kept: its id and its members, as they stand in the apps file. Pure.

use serde_json::{Map, Value, json};

use crate::{
    config::AppSettings,
    protocol::{AppKey, Secret},
};

/// What stands in the place of what is not shown.
pub const MASK: &str = "********";

/// The members that make the credentials; everything else is a setting.
pub(super) const CREDENTIALS: [&str; 3] = ["key", "secret", "keys"];

/// An app as it is kept. Whether it is sound only `config` can tell.
#[derive(Clone, PartialEq)]
pub struct Record {
    pub id: String,
    /// All members of the apps file but `id`.
    pub members: Map<String, Value>,
}

/// An app as it is shown: without secrets.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ShownApp {
    pub id: String,
    pub enabled: bool,
    /// The first of them signs webhooks.
    pub keys: Vec<String>,
    /// What is set, as in the apps file. Of webhooks, paths and headers are masked.
    pub settings: Map<String, Value>,
}

impl Record {
    /// Takes an object of the apps file; `None` without an id.
    pub fn from_object(mut object: Map<String, Value>) -> Option<Self> {
        let id = match object.remove("id")? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self { id, members: object })
    }

    /// The object of the apps file.
    pub fn to_object(&self) -> Map<String, Value> {
        let mut object = self.members.clone();
        object.insert("id".to_owned(), Value::String(self.id.clone()));
        object
    }

    /// Its key pairs. Those that are not whole are left out.
    pub fn keys(&self) -> Vec<AppKey> {
        match self.members.get("keys").and_then(Value::as_array) {
            Some(pairs) => pairs.iter().filter_map(Value::as_object).filter_map(pair).collect(),
            None => pair(&self.members).into_iter().collect(),
        }
    }

    /// The same app with other key pairs.
    pub(super) fn with_keys(mut self, keys: &[AppKey]) -> Self {
        self.members.retain(|name, _| !CREDENTIALS.contains(&name.as_str()));
        let members = match keys {
            [only] => vec![("key", json!(only.key)), ("secret", json!(only.secret.expose()))],
            pairs => vec![("keys", pairs.iter().map(pair_object).collect())],
        };
        self.members.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    pub fn show(&self) -> ShownApp {
        let settings = self.members.iter().filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()));
        let settings = settings.map(|(name, value)| (name.clone(), masked(name, value)));
        let off = [json!(false), json!("false")];
        ShownApp {
            id: self.id.clone(),
            enabled: self.members.get("enabled").is_none_or(|enabled| !off.contains(enabled)),
            keys: self.keys().into_iter().map(|pair| pair.key).collect(),
            settings: settings.collect(),
        }
    }
}

impl ShownApp {
    /// An app in force that is kept nowhere where it could be changed.
    pub fn of_settings(id: &str, settings: &AppSettings) -> Self {
        let own = crate::config::settings_of_its_own(settings);
        Self {
            id: id.to_owned(),
            enabled: settings.enabled,
            keys: settings.keys.iter().map(|pair| pair.key.clone()).collect(),
            settings: own.into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
        }
    }
}

/// Never shows a secret.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({})", self.id)
    }
}

fn pair(object: &Map<String, Value>) -> Option<AppKey> {
    let text = |name: &str| match object.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    Some(AppKey { key: text("key")?, secret: Secret::new(text("secret")?) })
}

fn pair_object(pair: &AppKey) -> Value {
    json!({"key": pair.key, "secret": pair.secret.expose()})
}

/// Headers of webhooks are passwords more often than not, and so may be what stands behind a host.
fn masked(name: &str, value: &Value) -> Value {
    if name != "webhooks" {
        return value.clone();
    }
    let Some(endpoints) = value.as_array() else { return json!(MASK) };
    endpoints.iter().map(masked_endpoint).collect()
}

fn masked_endpoint(endpoint: &Value) -> Value {
    let Some(endpoint) = endpoint.as_object() else { return json!(MASK) };
    let shown = endpoint.iter().map(|(name, value)| {
        let shown = match (name.as_str(), value) {
            ("url", Value::String(url)) => json!(masked_url(url)),
            ("headers", Value::Object(headers)) => headers.keys().map(|name| (name.clone(), json!(MASK))).collect(),
            ("url" | "headers", _) => json!(MASK),
            _ => value.clone(),
        };
        (name.clone(), shown)
    });
    shown.collect()
}

fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    match rest.split_once(['/', '?', '#']) {
        Some((host, path)) if !path.is_empty() => format!("{scheme}://{host}/{MASK}"),
        Some(_) | None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(members: Value) -> Record {
        let Value::Object(object) = members else { panic!("an app is an object") };
        Record::from_object(object).expect("it has an id")
    }

    #[test]
    fn an_app_is_shown_without_anything_secret() {
        let hook = json!({"url": "https://a.example/s3cret", "headers": {"X-Token": "s3cret"}, "batching": true});
        let app = record(json!({"id": 7, "key": "k", "secret": "s3cret", "client_events": true, "webhooks": [hook]}));
        let shown = json!({"id": "7", "enabled": true, "keys": ["k"], "settings": {"client_events": true, "webhooks":
            [{"url": "https://a.example/********", "headers": {"X-Token": "********"}, "batching": true}]}});
        assert_eq!(serde_json::to_value(app.show()).unwrap(), shown);
        assert!(!format!("{app:?}").contains("s3cret"));
    }

    #[test]
    fn webhooks_that_are_no_list_of_objects_are_masked_whole() {
        for webhooks in [json!("[{\"url\":\"http://s3cret\"}]"), json!(["s3cret"]), json!([{"headers": "s3cret"}])] {
            let shown = record(json!({"id": "a", "webhooks": webhooks})).show();
            assert!(!json!(shown.settings).to_string().contains("s3cret"), "{webhooks}");
        }
    }

    #[test]
    fn an_app_is_enabled_unless_it_says_otherwise() {
        for (enabled, expected) in
            [(json!(null), true), (json!(true), true), (json!(false), false), (json!("false"), false)]
        {
            assert_eq!(record(json!({"id": "a", "enabled": enabled})).show().enabled, expected, "{enabled}");
        }
    }

    #[test]
    fn one_pair_stands_alone_and_several_in_a_list() {
        let app = record(json!({"id": "a", "key": "k", "secret": "s"}));
        let [one, two] = ["1", "2"].map(|name| AppKey { key: name.to_owned(), secret: Secret::new(name) });
        let both = app.with_keys(&[one.clone(), two.clone()]);
        let pairs = json!([{"key": "1", "secret": "1"}, {"key": "2", "secret": "2"}]);
        assert_eq!(Value::Object(both.to_object()), json!({"id": "a", "keys": pairs}));
        assert_eq!(both.keys(), [one.clone(), two]);
        let alone = both.with_keys(std::slice::from_ref(&one));
        assert_eq!(Value::Object(alone.to_object()), json!({"id": "a", "key": "1", "secret": "1"}));
        assert_eq!(alone.keys(), [one]);
    }

    #[test]
    fn an_object_without_an_id_is_no_app() {
        for object in [json!({}), json!({"id": null}), json!({"id": []})] {
            assert!(Record::from_object(object.as_object().unwrap().clone()).is_none(), "{object}");
        }
    }
}
