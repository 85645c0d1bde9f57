//! What a change makes of an app, or why it is refused. Pure: what is drawn comes as an argument, and whether the result is
//! sound `config` tells for all apps together.

use serde_json::{Map, Value};

use super::record::{CREDENTIALS, MASK, Record};
use crate::{
    config,
    protocol::{AppKey, Secret},
};

/// A change of one app.
#[derive(Clone)]
pub enum Change {
    /// These are its members, as in the apps file. Without credentials it keeps those that it has, or is given a drawn pair.
    Put(Map<String, Value>),
    /// These settings are others now; `null` is the default again.
    Set(Map<String, Value>),
    /// It has one more key pair, which is drawn.
    Rotate { place: Place, oldest: Oldest },
    /// It has this key no more.
    DropKey(String),
    /// It is gone.
    Remove,
}

/// Where a new key pair stands. The first pair signs webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    #[default]
    First,
    Last,
}

/// What becomes of the key pair that is farthest from where new ones are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    Stays,
    Goes,
}

/// What the app must be for the change to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// It is not there.
    Absent,
    /// It is there, whatever it is.
    Present,
    /// It is as it was when it had this revision.
    Revision(String),
}

/// An app and the name of its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub record: Record,
    pub revision: String,
}

/// What a change makes of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// `None` if it is gone.
    pub record: Option<Record>,
    /// The pair that was drawn, if one was.
    pub drawn: Option<AppKey>,
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no app {0:?}")]
    Unknown(String),
    #[error("there is an app {0:?} already")]
    Exists(String),
    #[error("app {id:?} has been changed since: its revision is {found}, not {expected}; read it again")]
    Conflict { id: String, expected: String, found: String },
    /// What is wrong with the app, one line each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// The apps cannot be changed here; says what to do.
    #[error("{0}")]
    Refused(String),
    /// They could not be read or written now.
    #[error("{0}")]
    Failed(String),
}

impl Change {
    /// What it does, in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Set(_) => "set",
            Self::Rotate { .. } => "rotate",
            Self::DropKey(_) => "drop_key",
            Self::Remove => "remove",
        }
    }
}

/// What the change makes of the app of this id. `pair` is used where a key pair is needed.
pub fn decide(
    id: &str,
    before: Option<&Kept>,
    (change, expected): (Change, &Expected),
    pair: AppKey,
) -> Result<Decided, ChangeError> {
    check(id, before, expected)?;
    let before = before.map(|kept| kept.record.clone());
    if let Change::Put(members) = change {
        return put(id, before, members, pair);
    }
    let record = before.ok_or_else(|| ChangeError::Unknown(id.to_owned()))?;
    let (record, drawn) = match change {
        Change::Put(_) | Change::Remove => (None, None),
        Change::Set(settings) => (Some(set(record, settings)?), None),
        Change::Rotate { place, oldest } => (Some(rotate(record, pair.clone(), place, oldest)), Some(pair)),
        Change::DropKey(key) => (Some(drop_key(record, &key)?), None),
    };
    Ok(Decided { record, drawn })
}

fn check(id: &str, before: Option<&Kept>, expected: &Expected) -> Result<(), ChangeError> {
    match (expected, before) {
        (Expected::Absent, None) | (Expected::Present, Some(_)) => Ok(()),
        (Expected::Absent, Some(_)) => Err(ChangeError::Exists(id.to_owned())),
        (Expected::Present | Expected::Revision(_), None) => Err(ChangeError::Unknown(id.to_owned())),
        (Expected::Revision(revision), Some(kept)) if *revision == kept.revision => Ok(()),
        (Expected::Revision(revision), Some(kept)) => {
            Err(ChangeError::Conflict { id: id.to_owned(), expected: revision.clone(), found: kept.revision.clone() })
        }
    }
}

fn put(
    id: &str,
    before: Option<Record>,
    mut members: Map<String, Value>,
    pair: AppKey,
) -> Result<Decided, ChangeError> {
    if let Some(other) = members.remove("id").filter(|own| own != id) {
        return Err(invalid(format!("id is {other}; it must be {id:?}, as in the path, or be left out")));
    }
    check_unmasked(&members)?;
    members.retain(|_, value| !value.is_null());
    let has_keys = CREDENTIALS.iter().any(|name| members.contains_key(*name));
    let record = Record { id: id.to_owned(), members };
    let (record, drawn) = match before {
        _ if has_keys => (record, None),
        Some(before) => (record.with_keys(&before.keys()), None),
        None => (record.with_keys(std::slice::from_ref(&pair)), Some(pair)),
    };
    Ok(Decided { record: Some(record), drawn })
}

/// A setting may be written under Soketi's name; the new one takes the place of both.
fn set(mut record: Record, settings: Map<String, Value>) -> Result<Record, ChangeError> {
    check_unmasked(&settings)?;
    if settings.is_empty() {
        return Err(invalid("no setting is given".to_owned()));
    }
    for (name, value) in settings {
        if name == "id" || CREDENTIALS.contains(&name.as_str()) {
            return Err(invalid(format!("{name} is no setting; keys are rotated, and an id stays")));
        }
        let own = config::own_name(&name);
        record.members.retain(|other, _| config::own_name(other) != own);
        if !value.is_null() {
            record.members.insert(name, value);
        }
    }
    Ok(record)
}

fn rotate(record: Record, pair: AppKey, place: Place, oldest: Oldest) -> Record {
    let mut keys = record.keys();
    match (place, oldest) {
        (_, Oldest::Stays) => {}
        (Place::First, Oldest::Goes) => drop(keys.pop()),
        (Place::Last, Oldest::Goes) if keys.is_empty() => {}
        (Place::Last, Oldest::Goes) => drop(keys.remove(0)),
    }
    match place {
        Place::First => keys.insert(0, pair),
        Place::Last => keys.push(pair),
    }
    record.with_keys(&keys)
}

fn drop_key(record: Record, key: &str) -> Result<Record, ChangeError> {
    let mut keys = record.keys();
    let before = keys.len();
    keys.retain(|pair| pair.key != key);
    match keys.len() {
        left if left == before => Err(ChangeError::Unknown(format!("{} with the key {key}", record.id))),
        0 => Err(invalid(format!("{key} is the only key; rotate first, or disable the app"))),
        _ => Ok(record.with_keys(&keys)),
    }
}

/// What is shown is not what is kept: who sends it back would lose it.
fn check_unmasked(members: &Map<String, Value>) -> Result<(), ChangeError> {
    match members.iter().find(|(_, value)| value.to_string().contains(MASK)) {
        Some((name, _)) => Err(invalid(format!(
            "{name} holds {MASK}, which stands for what is not shown; give the whole value, or leave it as it is by setting \
             only what changes"
        ))),
        None => Ok(()),
    }
}

fn invalid(problem: String) -> ChangeError {
    ChangeError::Invalid(vec![problem])
}

/// A key of 20 letters and digits, and a secret of 64 hexadecimal digits, of 52 random bytes.
pub fn pair_of(random: [u8; 52]) -> AppKey {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let (key, secret) = random.split_at(20);
    let key = key.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    AppKey { key, secret: Secret::new(hex::encode(secret)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().expect("it is an object").clone()
    }

    fn kept(app: &Value) -> Kept {
        Kept { record: Record::from_object(object(app)).expect("it has an id"), revision: "r1".to_owned() }
    }

    fn pair() -> AppKey {
        AppKey { key: "drawn".to_owned(), secret: Secret::new("drawn-secret") }
    }

    fn app() -> Value {
        json!({"id": "a", "key": "k", "secret": "s", "maxConnections": 5, "client_events": true})
    }

    fn decided(before: Option<&Value>, change: Change, expected: &Expected) -> Result<Decided, ChangeError> {
        decide("a", before.map(kept).as_ref(), (change, expected), pair())
    }

    /// The app that a change makes of one that is there.
    fn check(before: &Value, change: Change, after: &Value) -> Option<AppKey> {
        let decided = decided(Some(before), change, &Expected::Revision("r1".to_owned())).expect("it may be changed");
        assert_eq!(decided.record.map(|record| Value::Object(record.to_object())).as_ref(), Some(after));
        decided.drawn
    }

    fn refused(change: Change, problem: &str) {
        let error = decided(Some(&app()), change, &Expected::Present).expect_err(problem);
        assert_eq!(error.to_string(), problem);
    }

    #[test]
    fn a_new_app_is_given_a_drawn_pair_unless_it_brings_its_own() {
        let made = decided(None, Change::Put(object(&json!({"client_events": true}))), &Expected::Absent).unwrap();
        let record = Value::Object(made.record.unwrap().to_object());
        assert_eq!(record, json!({"id": "a", "client_events": true, "key": "drawn", "secret": "drawn-secret"}));
        assert_eq!(made.drawn, Some(pair()));
        let own = json!({"id": "a", "key": "k", "secret": "s"});
        let made = decided(None, Change::Put(object(&own)), &Expected::Absent).unwrap();
        assert_eq!((Value::Object(made.record.unwrap().to_object()), made.drawn), (own, None));
    }

    #[test]
    fn a_replaced_app_keeps_its_pair_and_nothing_else() {
        let after = json!({"id": "a", "key": "k", "secret": "s", "history_mb": 7});
        assert_eq!(check(&app(), Change::Put(object(&json!({"history_mb": 7, "watchlists": null}))), &after), None);
    }

    #[test]
    fn one_setting_takes_the_place_of_the_same_one_under_soketis_name() {
        let after = json!({"id": "a", "key": "k", "secret": "s", "max_connections": 9});
        check(&app(), Change::Set(object(&json!({"max_connections": 9, "client_events": null}))), &after);
    }

    #[test]
    fn a_new_pair_stands_before_or_behind_the_others_and_the_oldest_may_go() {
        let pairs = |keys: &[&str]| -> Value {
            let secret = |key: &str| if key == "drawn" { "drawn-secret" } else { "s" };
            json!({"id": "a", "keys": keys.iter().map(|key| json!({"key": key, "secret": secret(key)})).collect::<Vec<_>>()})
        };
        for (place, oldest, expected) in [
            (Place::First, Oldest::Stays, &["drawn", "new", "old"][..]),
            (Place::Last, Oldest::Stays, &["new", "old", "drawn"]),
            (Place::First, Oldest::Goes, &["drawn", "new"]),
            (Place::Last, Oldest::Goes, &["old", "drawn"]),
        ] {
            let drawn = check(&pairs(&["new", "old"]), Change::Rotate { place, oldest }, &pairs(expected));
            assert_eq!(drawn, Some(pair()));
        }
    }

    #[test]
    fn a_key_can_be_dropped_but_not_the_last_one() {
        let two = json!({"id": "a", "keys": [{"key": "new", "secret": "s"}, {"key": "old", "secret": "s"}]});
        check(&two, Change::DropKey("old".to_owned()), &json!({"id": "a", "key": "new", "secret": "s"}));
        refused(Change::DropKey("k".to_owned()), "k is the only key; rotate first, or disable the app");
        refused(Change::DropKey("x".to_owned()), "there is no app \"a with the key x\"");
    }

    #[test]
    fn what_was_changed_meanwhile_is_not_overwritten() {
        let conflict = "app \"a\" has been changed since: its revision is r1, not r0; read it again";
        for (before, expected, text) in [
            (Some(app()), Expected::Revision("r0".to_owned()), conflict),
            (Some(app()), Expected::Absent, "there is an app \"a\" already"),
            (None, Expected::Present, "there is no app \"a\""),
            (None, Expected::Revision("r1".to_owned()), "there is no app \"a\""),
        ] {
            let error = decided(before.as_ref(), Change::Put(Map::new()), &expected).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_removed_app_is_nothing() {
        let removed = decided(Some(&app()), Change::Remove, &Expected::Present).unwrap();
        assert_eq!(removed, Decided { record: None, drawn: None });
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        refused(Change::Set(Map::new()), "no setting is given");
        refused(
            Change::Set(object(&json!({"secret": "x"}))),
            "secret is no setting; keys are rotated, and an id stays",
        );
        refused(
            Change::Put(object(&json!({"id": "b"}))),
            "id is \"b\"; it must be \"a\", as in the path, or be left out",
        );
        refused(
            Change::Set(object(&json!({"webhooks": [{"url": "http://x/********"}]}))),
            "webhooks holds ********, which stands for what is not shown; give the whole value, or leave it as it is by \
             setting only what changes",
        );
    }

    #[test]
    fn a_drawn_pair_obeys_the_rules_of_keys_and_is_long() {
        let pair = pair_of(std::array::from_fn(|index| (index * 5) as u8));
        assert_eq!((pair.key.len(), pair.secret.expose().len()), (20, 64));
        assert!(pair.key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{}", pair.key);
    }
}
