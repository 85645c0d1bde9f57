//! Apps of other servers, as these keep them, in the members of the apps file. Pure. What has no place here is told; whether
//! a value is sound the server says that is given it.

mod dynamodb;
mod reverb;
mod soketi;

use serde_json::{Map, Value};

use super::{MASK, Record};

/// Where the apps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An apps file.
    Gaung,
    /// Rows of Soketi's table in MySQL or Postgres, or its array.
    Soketi,
    /// Items of Soketi's table in DynamoDB.
    DynamoDb,
    /// The apps of Reverb's configuration.
    Reverb,
}

/// An app that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub record: Record,
    /// What was not taken over, each with the reason.
    pub left: Vec<String>,
}

impl Source {
    /// The apps in a text, or why it is none of this source.
    pub fn read(self, text: &str) -> Result<Vec<Found>, String> {
        let objects = objects(text).ok_or("it is neither a JSON list of objects nor one object for each line")?;
        let objects = self.unwrapped(objects);
        let found = objects.into_iter().enumerate().map(|(index, object)| {
            let (object, left) = match self {
                Self::Gaung => (object, Vec::new()),
                Self::Soketi => soketi::members(object),
                Self::DynamoDb => dynamodb::members(object),
                Self::Reverb => reverb::members(object),
            };
            let record = Record::from_object(object).ok_or_else(|| format!("the app at place {index} has no id"))?;
            check(&record)?;
            Ok(Found { record, left })
        });
        let found = found.collect::<Result<Vec<_>, String>>()?;
        if found.is_empty() { Err("it holds no app".to_owned()) } else { Ok(found) }
    }

    /// What stands around the apps where a whole configuration or a whole answer was written down.
    fn unwrapped(self, objects: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
        let names: &[&str] = match self {
            Self::Gaung | Self::Soketi => &["apps"],
            Self::DynamoDb => &["Items"],
            Self::Reverb => &["apps", "apps"],
        };
        names.iter().fold(objects, |objects, name| match objects.as_slice() {
            [only] => match only.get(*name) {
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).cloned().collect(),
                Some(Value::Object(inner)) => vec![inner.clone()],
                Some(_) | None => objects,
            },
            _ => objects,
        })
    }
}

/// A server would draw a pair for an app without one, which no client of it knows.
fn check(record: &Record) -> Result<(), String> {
    match record.keys().as_slice() {
        [] => Err(format!("app {} has no key with a secret", record.id)),
        keys if keys.iter().any(|pair| pair.secret.expose() == MASK) => {
            Err(format!("the secret of app {} is masked; export the apps with their secrets", record.id))
        }
        _ => Ok(()),
    }
}

/// A list, or objects one behind the other.
fn objects(text: &str) -> Option<Vec<Map<String, Value>>> {
    if let Ok(list) = serde_json::from_str::<Vec<Map<String, Value>>>(text) {
        return Some(list);
    }
    let objects = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    objects.collect::<Result<Vec<_>, _>>().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The members of the only app in a text, and what was left.
    pub(super) fn check_one(source: Source, text: &str, members: Value, left: &[&str]) {
        let found = source.read(text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(Value::Object(found.record.to_object()), members);
        assert_eq!(found.left, left);
    }

    #[test]
    fn an_apps_file_is_taken_as_it_is() {
        let app = json!({"id": "1", "key": "k", "secret": "s", "maxConnections": -1});
        for text in [json!([app]), json!({"apps": [app]})] {
            check_one(Source::Gaung, &text.to_string(), app.clone(), &[]);
        }
    }

    #[test]
    fn what_holds_no_app_or_an_app_without_credentials_is_refused() {
        for (text, problem) in [
            ("", "it holds no app"),
            ("[]", "it holds no app"),
            ("<xml/>", "it is neither a JSON list of objects nor one object for each line"),
            (r#"[{"key":"k","secret":"s"}]"#, "the app at place 0 has no id"),
            (r#"[{"id":1,"key":"k"}]"#, "app 1 has no key with a secret"),
            (
                r#"[{"id":1,"key":"k","secret":"********"}]"#,
                "the secret of app 1 is masked; export the apps with their secrets",
            ),
        ] {
            assert_eq!(Source::Gaung.read(text).unwrap_err(), problem, "{text}");
        }
    }
}
