//! The apps file: our names, and those of Soketi's app array (protocol.md §6.2), so that its file serves as it is.
//! Every setting becomes text and then goes the way of the environment's variables: one set of rules for both.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

use serde_json::{Map, Value};

use super::{Problems, Rule, Variable, app, problems};
use crate::app::{AppKey, AppSettings, Secret};

/// How a number of Soketi's becomes one of ours.
#[derive(Clone, Copy)]
enum Unit {
    Same,
    /// -1 is no limit; 0, which would let nothing pass, is no limit here and therefore refused.
    Quota,
    /// KiB, also fractions.
    Kilobytes,
}

/// Soketi's names with ours.
const SOKETI: [(&str, &str, Unit); 14] = [
    ("maxConnections", "max_connections", Unit::Quota),
    ("enableClientMessages", "client_events", Unit::Same),
    ("enableUserAuthentication", "sign_in", Unit::Same),
    ("maxBackendEventsPerSecond", "events_per_second", Unit::Quota),
    ("maxClientEventsPerSecond", "client_events_per_second", Unit::Quota),
    ("maxReadRequestsPerSecond", "reads_per_second", Unit::Quota),
    ("maxPresenceMembersPerChannel", "max_presence_members", Unit::Same),
    ("maxPresenceMemberSizeInKb", "max_presence_member_bytes", Unit::Kilobytes),
    ("maxChannelNameLength", "max_channel_name_length", Unit::Same),
    ("maxEventChannelsAtOnce", "max_event_channels", Unit::Same),
    ("maxEventNameLength", "max_event_name_length", Unit::Same),
    ("maxEventPayloadInKb", "max_event_bytes", Unit::Kilobytes),
    ("maxEventBatchSize", "max_batch_events", Unit::Same),
    ("webhooks", "webhooks", Unit::Same),
];

/// Reads the text of an apps file: `{"apps": […]}` or the list alone. All problems are told at once, each with the
/// app that has it; none shows a secret.
pub fn parse_apps(text: &str) -> Result<Vec<(String, AppSettings)>, Problems> {
    let mut problems = Problems::default();
    let variables = app::setting_variables(&AppSettings::without_keys());
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
        problems.add("it has no app; disable apps with enabled: false");
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
        let soketi = SOKETI.iter().find(|(theirs, ..)| *theirs == name);
        let (own, unit) = soketi.map_or((name, Unit::Same), |(_, own, unit)| (own, *unit));
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
        let soketi = SOKETI.iter().map(|(theirs, ..)| *theirs);
        problems::unknown(name, own.iter().map(String::as_str).chain(credentials).chain(soketi))
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

impl Unit {
    fn convert(self, text: &str) -> Result<String, String> {
        match (self, text) {
            (Self::Same, _) => Ok(text.to_owned()),
            (Self::Quota, "-1") => Ok("0".to_owned()),
            (Self::Quota, "0") => Err("it must be at least 1, or -1 for no limit".to_owned()),
            (Self::Quota, _) => Ok(text.to_owned()),
            (Self::Kilobytes, _) => match text.parse::<f64>() {
                Ok(kilobytes) => Ok(((kilobytes * 1_024.0) as u64).to_string()),
                Err(_) => Err("it must be a number of KiB".to_owned()),
            },
        }
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
        (Value::Array(items), Rule::Origins) => {
            items.iter().map(|item| text_of(item, rule)).collect::<Vec<_>>().join(",")
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_), _) => value.to_string(),
    }
}
