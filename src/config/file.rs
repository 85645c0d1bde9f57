//! The apps file: our names, and those of Soketi's app array (protocol.md §6.2), so that its file serves as it is.
//! Every setting becomes text and then goes the way of the environment's variables: one set of rules for both.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

use serde_json::{Map, Value};

use super::{
    HistoryRules, Problems, Quotas, Rule, Variable, problems, settings,
    soketi::{self, Unit},
};
use crate::{
    config::AppSettings,
    protocol::{AppKey, Secret},
};

/// Reads the text of an apps file: `{"apps": […]}` or the list alone. All problems are told at once, each with the
/// app that has it; none shows a secret.
pub fn parse_apps(text: &str) -> Result<Vec<(String, AppSettings)>, Problems> {
    let mut problems = Problems::default();
    let variables = settings::variables(&AppSettings::without_keys());
    let mut apps = Vec::new();
    for (index, object) in list(text, &mut problems).into_iter().enumerate() {
        let label = match object.get("id") {
            Some(id) => format!("apps[{index}] (id {})", text_of(id, &Rule::Name)),
            None => format!("apps[{index}]"),
        };
        let mut entry = Entry { label, variables: &variables, problems: &mut problems };
        apps.extend(entry.read(object));
    }
    check_distinct(&apps, &mut problems);
    problems.or(apps)
}

fn list(text: &str, problems: &mut Problems) -> Vec<Map<String, Value>> {
    const FORM: &str = "it must be a JSON list of apps, or an object with that list as apps";
    let apps = match serde_json::from_str(text) {
        Ok(Value::Object(mut object)) if object.len() == 1 => object.remove("apps").unwrap_or_default(),
        Ok(value) => value,
        Err(error) => {
            problems.add(format!("it is not JSON: {error}"));
            return Vec::new();
        }
    };
    let Ok(apps) = serde_json::from_value::<Vec<Map<String, Value>>>(apps) else {
        problems.add(FORM);
        return Vec::new();
    };
    if apps.is_empty() {
        problems.add("it lists no app; disable apps with enabled: false");
    }
    apps
}

fn check_distinct(apps: &[(String, AppSettings)], problems: &mut Problems) {
    let (mut ids, mut owners) = (HashMap::new(), HashMap::new());
    for (index, (id, settings)) in apps.iter().enumerate() {
        if let Some(first) = ids.insert(id, index) {
            problems.add(format!("apps[{index}] (id {id}): apps[{first}] has the same id; ids must be distinct"));
        }
        for pair in &settings.keys {
            if let Some(owner) = owners.insert(&pair.key, id) {
                problems.add(format!(
                    "apps[{index}] (id {id}): key {} is already a key of app {owner}; keys must be distinct",
                    pair.key
                ));
            }
        }
    }
}

/// One app of the file while it is read.
struct Entry<'a> {
    label: String,
    variables: &'a [Variable],
    problems: &'a mut Problems,
}

impl Entry<'_> {
    fn read(&mut self, mut object: Map<String, Value>) -> Option<(String, AppSettings)> {
        object.retain(|_, value| !value.is_null() && value != "");
        let id = self.take(&mut object, "id", &Rule::Name);
        let keys = self.take_keys(&mut object);
        let mut settings = self.read_settings(&object)?;
        settings.keys = keys;
        Some((id?, settings))
    }

    fn read_settings(&mut self, object: &Map<String, Value>) -> Option<AppSettings> {
        let mut texts = BTreeMap::new();
        for (name, value) in object {
            match self.setting(name, value) {
                Ok((own, _)) if texts.contains_key(&own) => self.problem(format!("{own} is set twice")),
                Ok((own, text)) => drop(texts.insert(own, text)),
                Err(problem) => self.problem(problem),
            }
        }
        envy::from_iter(texts).map_err(|error| self.problem(error)).ok()
    }

    /// Our name and text of one setting, checked by its rule.
    fn setting(&self, name: &str, value: &Value) -> Result<(String, String), String> {
        let theirs = soketi::NAMES.iter().find(|(theirs, ..)| *theirs == name);
        let (own, unit) = theirs.map_or((name, Unit::Same), |(_, own, unit)| (own, *unit));
        let Some(variable) = self.variables.iter().find(|variable| setting_name(variable) == own) else {
            return Err(self.unknown(name));
        };
        let rule = &variable.rule;
        let text = text_of(value, rule);
        let text = unit.convert(&text).map_err(|complaint| format!("{name} is {text:?}; {complaint}"))?;
        match rule.check(&text) {
            Ok(()) => Ok((own.to_owned(), text)),
            Err(complaint) if own == name => Err(format!("{name} is {:?}; {complaint}", rule.shown(&text))),
            Err(complaint) => Err(format!("{name} is {own} {:?}; {complaint}", rule.shown(&text))),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let own: Vec<_> = self.variables.iter().map(setting_name).collect();
        let credentials = ["id", "key", "secret", "keys"];
        let theirs = soketi::NAMES.iter().map(|(theirs, ..)| *theirs);
        problems::unknown(name, own.iter().map(String::as_str).chain(credentials).chain(theirs))
    }

    fn take_keys(&mut self, object: &mut Map<String, Value>) -> Vec<AppKey> {
        let Some(keys) = object.remove("keys") else {
            return self.take_pair(object).into_iter().collect();
        };
        if object.remove("key").is_some() | object.remove("secret").is_some() {
            self.problem("key and secret stand beside keys; put the pair into keys");
        }
        let pairs = serde_json::from_value::<Vec<Map<String, Value>>>(keys).unwrap_or_default();
        if pairs.is_empty() {
            self.problem("keys must be a list of objects with key and secret");
        }
        pairs.into_iter().filter_map(|pair| self.take_only_pair(pair)).collect()
    }

    fn take_only_pair(&mut self, mut pair: Map<String, Value>) -> Option<AppKey> {
        let key = self.take_pair(&mut pair);
        for name in pair.keys() {
            self.problem(problems::unknown(name, ["key", "secret"]));
        }
        key
    }

    fn take_pair(&mut self, object: &mut Map<String, Value>) -> Option<AppKey> {
        let key = self.take(object, "key", &Rule::Name);
        let secret = self.take(object, "secret", &Rule::Secret);
        Some(AppKey { key: key?, secret: Secret::new(secret?) })
    }

    fn take(&mut self, object: &mut Map<String, Value>, name: &str, rule: &Rule) -> Option<String> {
        let Some(value) = object.remove(name) else {
            self.problem(format!("{name} is missing"));
            return None;
        };
        if !value.is_string() && !value.is_number() {
            self.problem(format!("{name} must be a text"));
            return None;
        }
        let text = text_of(&value, rule);
        if let Err(complaint) = rule.check(&text) {
            self.problem(format!("{name} is {:?}; {complaint}", rule.shown(&text)));
            return None;
        }
        Some(text)
    }

    fn problem(&mut self, problem: impl Display) {
        self.problems.add(format!("{}: {problem}", self.label));
    }
}

/// What a setting is called in the file.
pub(super) fn setting_name(variable: &Variable) -> String {
    variable.name.trim_start_matches("GAUNG_APP_").to_ascii_lowercase()
}

/// A value as a variable would hold it.
fn text_of(value: &Value, rule: &Rule) -> String {
    match (value, rule) {
        (Value::String(text), _) => text.trim().to_owned(),
        (Value::Array(_), Rule::History) => HistoryRules::text_of(value),
        (Value::Object(object), Rule::Quotas) => Quotas::text_of(object),
        (Value::Array(items), Rule::Origins) => {
            items.iter().map(|item| text_of(item, rule)).collect::<Vec<_>>().join(",")
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_), _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn only(text: &str) -> AppSettings {
        let apps = parse_apps(text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(apps.len(), 1);
        apps[0].1.clone()
    }

    /// The settings of an app that has these members beside its credentials.
    fn settings(members: &str) -> AppSettings {
        only(&format!(r#"[{{"id":"a","key":"k","secret":"s",{members}}}]"#))
    }

    fn refused(text: &str, expected: &[&str]) {
        assert_eq!(parse_apps(text).unwrap_err().lines(), expected, "{text}");
    }

    fn refused_members(members: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(|problem| format!("apps[0] (id a): {problem}")).collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        refused(&format!(r#"[{{"id":"a","key":"k","secret":"s",{members}}}]"#), &expected);
    }

    #[test]
    fn the_list_may_stand_alone_or_be_called_apps() {
        let list = r#"[{"id":"a","key":"k","secret":"s"}]"#;
        let expected = vec![("a".to_owned(), AppSettings::new("k", "s"))];
        assert_eq!(parse_apps(list), Ok(expected.clone()));
        assert_eq!(parse_apps(&format!(r#"{{"apps":{list}}}"#)), Ok(expected));
    }

    #[test]
    fn an_id_may_be_a_number() {
        assert_eq!(parse_apps(r#"[{"id":7,"key":"k","secret":"s"}]"#).unwrap()[0].0, "7");
    }

    #[test]
    fn settings_have_our_names() {
        let expected = AppSettings {
            client_events: true,
            client_events_per_second: None,
            max_connections: Some(5),
            cache_ttl: Duration::from_secs(60),
            allowed_origins: vec!["a.example".to_owned(), "*.b.example".to_owned()],
            enabled: false,
            history: HistoryRules::parse("products.*=120s:1000").unwrap(),
            history_mb: Some(6),
            tenant_limits: Quotas { max_connections: Some(5), ..Quotas::default() },
            ..AppSettings::new("k", "s")
        };
        let members = r#""client_events":true,"client_events_per_second":0,"max_connections":5,"cache_ttl_seconds":60,
            "allowed_origins":["a.example","*.b.example"],"enabled":false,
            "history":[{"channels":"products.*","seconds":120,"events":1000}],"history_mb":6,
            "tenant_limits":{"max_connections":5,"events_per_second":0}"#;
        assert_eq!(settings(members), expected);
    }

    #[test]
    fn settings_may_have_soketis_names_and_units() {
        let expected = AppSettings {
            max_connections: None,
            client_events: true,
            sign_in: false,
            events_per_second: Some(1),
            client_events_per_second: None,
            reads_per_second: Some(3),
            max_presence_members: 4,
            max_presence_member_bytes: 2_560,
            max_channel_name_length: 6,
            max_event_channels: 7,
            max_event_name_length: 8,
            max_event_bytes: 102_400,
            max_batch_events: 10,
            webhooks: super::super::webhooks::parse(r#"[{"url":"http://hook","event_types":["cache_miss"]}]"#).unwrap(),
            ..AppSettings::new("k", "s")
        };
        let members = r#""maxConnections":-1,"enableClientMessages":true,"enableUserAuthentication":false,"enabled":true,
            "maxBackendEventsPerSecond":1,"maxClientEventsPerSecond":-1,"maxReadRequestsPerSecond":3,
            "maxPresenceMembersPerChannel":4,"maxPresenceMemberSizeInKb":2.5,"maxChannelNameLength":6,
            "maxEventChannelsAtOnce":7,"maxEventNameLength":8,"maxEventPayloadInKb":100,"maxEventBatchSize":10,
            "webhooks":[{"url":"http://hook","event_types":["cache_miss"]}]"#;
        assert_eq!(settings(members), expected);
    }

    #[test]
    fn null_and_the_empty_text_are_the_default() {
        let members = r#""max_connections":null,"maxEventPayloadInKb":"","webhooks":null,"allowed_origins":"""#;
        assert_eq!(settings(members), AppSettings::new("k", "s"));
    }

    #[test]
    fn an_app_may_have_two_keys() {
        let app = only(r#"[{"id":"a","keys":[{"key":"new","secret":"n"},{"key":"old","secret":"o"}]}]"#);
        let keys: Vec<_> = app.keys.iter().map(|pair| (pair.key.as_str(), pair.secret.expose())).collect();
        assert_eq!(keys, [("new", "n"), ("old", "o")]);
    }

    #[test]
    fn a_text_that_is_no_list_of_apps_is_refused() {
        const FORM: &str = "it must be a JSON list of apps, or an object with that list as apps";
        refused("", &["it is not JSON: EOF while parsing a value at line 1 column 0"]);
        refused("7", &[FORM]);
        refused("{}", &[FORM]);
        refused(r#"{"apps":[],"more":1}"#, &[FORM]);
        refused("[7]", &[FORM]);
        refused("[]", &["it lists no app; disable apps with enabled: false"]);
    }

    #[test]
    fn all_problems_are_told_with_their_app_and_without_secrets() {
        refused(
            r#"[{"id":"a","key":"k","secret":"s3cret","max_conections":1,"maxConnection":1},
                {"id":"b","key":"k/2","secret":{"s3cret":1},"enabled":"s"},
                {"key":"k3"}]"#,
            &[
                "apps[0] (id a): maxConnection is unknown; did you mean maxConnections?",
                "apps[0] (id a): max_conections is unknown; did you mean max_connections?",
                "apps[1] (id b): key is \"k/2\"; it must be 1 to 200 letters, digits and - . _ ~",
                "apps[1] (id b): secret must be a text",
                "apps[1] (id b): enabled is \"s\"; it must be true or false",
                "apps[2]: id is missing",
                "apps[2]: secret is missing",
            ],
        );
    }

    #[test]
    fn a_setting_that_breaks_its_rule_is_refused_under_the_name_that_was_used() {
        refused_members(
            r#""max_event_channels":0"#,
            &["max_event_channels is \"0\"; it must be a whole number from 1 to 10000"],
        );
        refused_members(
            r#""maxEventChannelsAtOnce":0"#,
            &["maxEventChannelsAtOnce is max_event_channels \"0\"; it must be a whole number from 1 to 10000"],
        );
        refused_members(
            r#""maxConnections":0"#,
            &["maxConnections is \"0\"; it must be at least 1, or -1 for no limit"],
        );
        refused_members(r#""maxEventPayloadInKb":"x""#, &["maxEventPayloadInKb is \"x\"; it must be a number of KiB"]);
        refused_members(r#""max_connections":1,"maxConnections":2"#, &["max_connections is set twice"]);
        refused_members(
            r#""webhooks":[{"url":"http://x","lambda_function":"f"}]"#,
            &[
                "webhooks is \"********\"; webhooks[0]: lambda_function is not supported: webhooks are posted to a url only",
            ],
        );
    }

    #[test]
    fn a_list_of_keys_is_checked_too() {
        refused_members(
            r#""keys":[]"#,
            &[
                "key and secret stand beside keys; put the pair into keys",
                "keys must be a list of objects with key and secret",
            ],
        );
        refused(
            r#"[{"id":"a","keys":[{"key":"","secret":null}]}]"#,
            &[
                "apps[0] (id a): key is \"\"; it must be 1 to 200 letters, digits and - . _ ~",
                "apps[0] (id a): secret must be a text",
            ],
        );
        refused(
            r#"[{"id":"a","keys":[{"key":"k","secrte":"s3cret"}]}]"#,
            &["apps[0] (id a): secret is missing", "apps[0] (id a): secrte is unknown; did you mean secret?"],
        );
    }

    #[test]
    fn ids_and_keys_are_distinct() {
        refused(
            r#"[{"id":"a","key":"k","secret":"s"},{"id":"a","key":"l","secret":"s"},{"id":"c","key":"k","secret":"s"}]"#,
            &[
                "apps[1] (id a): apps[0] has the same id; ids must be distinct",
                "apps[2] (id c): key k is already a key of app a; keys must be distinct",
            ],
        );
        refused(
            r#"[{"id":"a","keys":[{"key":"k","secret":"s"},{"key":"k","secret":"t"}]}]"#,
            &["apps[0] (id a): key k is already a key of app a; keys must be distinct"],
        );
    }
}
