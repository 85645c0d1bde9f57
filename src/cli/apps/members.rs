//! The members of an app as the command line has them.

use std::{fs, io};

use serde_json::{Map, Value};

use crate::cli::Failure;

/// Those of a file, and then these settings.
pub(super) fn members(file: Option<&str>, settings: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut members = file.map_or_else(|| Ok(Map::new()), read)?;
    for text in settings {
        let (name, value) = setting(text)?;
        members.insert(name, value);
    }
    Ok(members)
}

/// What stands in a file, or on stdin.
pub(super) fn text(file: &str) -> Result<String, Failure> {
    let text = if file == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
    text.map_err(|error| Failure::usage(format!("{file} cannot be read: {error}")))
}

/// A parser's words might quote a secret.
fn read(file: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(&text(file)?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::usage(format!("{file} is no JSON object (at line {line} column {column})"))
    })
}

/// `name=value`: JSON where the value is any, else a text; nothing is the default.
pub(super) fn setting(text: &str) -> Result<(String, Value), Failure> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Failure::usage(format!("{text} is no setting; write NAME=VALUE")));
    };
    let value = match value {
        "" => Value::Null,
        value => serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_json_or_a_text_or_the_default() {
        for (text, expected) in [
            ("a=5", json!(5)),
            ("a=true", json!(true)),
            ("a=", json!(null)),
            ("a=x.*=120s:10", json!("x.*=120s:10")),
            ("a=[\"b\"]", json!(["b"])),
        ] {
            assert_eq!(setting(text).unwrap(), ("a".to_owned(), expected), "{text}");
        }
        assert_eq!(setting("a").unwrap_err().to_string(), "gaung: a is no setting; write NAME=VALUE");
    }
}
