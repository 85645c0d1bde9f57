//! Apps on stdout.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{line::printable, table::table};

/// An app, as the admin port tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct App {
    id: String,
    enabled: bool,
    keys: Vec<String>,
    settings: Map<String, Value>,
    revision: Option<String>,
    /// The pair that was drawn for it.
    key: Option<String>,
    secret: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AppList {
    apps: Vec<App>,
}

pub(super) fn list(AppList { apps }: &AppList) -> String {
    table(["APP", "ENABLED", "KEYS", "SETTINGS"], apps.iter().map(cells))
}

fn cells(app: &App) -> [String; 4] {
    let enabled = if app.enabled { "yes" } else { "no" };
    [app.id.clone(), enabled.to_owned(), app.keys.join(","), app.settings().collect::<Vec<_>>().join(" ")]
}

impl App {
    fn settings(&self) -> impl Iterator<Item = String> {
        self.settings.iter().filter(|(name, _)| *name != "enabled").map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                format!("{name}={value}")
            }
        })
    }
}

/// One fact a line. What others wrote does not reach the terminal as a command.
impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app       {}", printable(&self.id))?;
        write!(f, "\nenabled   {}", if self.enabled { "yes" } else { "no" })?;
        write!(f, "\nkeys      {}", printable(&self.keys.join(",")))?;
        for (index, setting) in self.settings().enumerate() {
            write!(f, "\n{}  {}", if index == 0 { "settings" } else { "        " }, printable(&setting))?;
        }
        if let Some(revision) = &self.revision {
            write!(f, "\nrevision  {}", printable(revision))?;
        }
        if let (Some(key), Some(secret)) = (&self.key, &self.secret) {
            write!(f, "\n\nThe new pair, whose secret is told only now:\nkey       {key}\nsecret    {secret}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app() -> Value {
        json!({"id": "shop", "enabled": false, "keys": ["new", "old"], "revision": "7",
               "settings": {"enabled": false, "history": "a=1s:1", "max_connections": 5}})
    }

    #[test]
    fn apps_are_a_table() {
        let apps: AppList = serde_json::from_value(json!({ "apps": [app()] })).unwrap();
        let expected = "\
APP   ENABLED  KEYS     SETTINGS
shop  no       new,old  history=a=1s:1 max_connections=5";
        assert_eq!(list(&apps), expected);
    }

    #[test]
    fn an_app_is_told_line_by_line_with_the_pair_that_was_drawn() {
        let mut drawn = app();
        (drawn["key"], drawn["secret"]) = (json!("new"), json!("s"));
        let app: App = serde_json::from_value(drawn).unwrap();
        let expected = "\
app       shop
enabled   no
keys      new,old
settings  history=a=1s:1
          max_connections=5
revision  7

The new pair, whose secret is told only now:
key       new
secret    s";
        assert_eq!(app.to_string(), expected);
    }
}
