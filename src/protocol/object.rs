//! A JSON object read one level deep: its members stay text, so that payloads pass through byte for byte and nested
//! bombs are skipped without recursion. Pure.

use std::{borrow::Cow, collections::HashMap};

use serde_json::value::RawValue;

/// The members of one JSON object. Of a name that is given twice the last one counts, as in browsers and PHP.
pub(super) struct Object<'a>(HashMap<String, &'a RawValue>);

/// Why a text is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnObject {
    NotJson,
    /// It is JSON, but an array, a string or another value.
    OtherValue,
}

impl<'a> Object<'a> {
    /// Reads `text` as one object.
    pub(super) fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        serde_json::from_str(text).map(Self).map_err(|error| {
            // A value of another type is reported at its first byte, before the rest was found to be JSON.
            let is_json = error.is_data() && serde_json::from_str::<&RawValue>(text).is_ok();
            if is_json { NotAnObject::OtherValue } else { NotAnObject::NotJson }
        })
    }

    /// The value of a member as it stands in the text.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }

    /// The value of a member that is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }
}

/// A string's content, any other value's JSON text; `None` if the string is not Unicode (a lone surrogate).
pub(super) fn unquoted(value: &RawValue) -> Option<Cow<'_, str>> {
    let text = value.get();
    if !text.starts_with('"') {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

/// Whether a member is `null`, which clients and back ends send for "absent".
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, refusal: NotAnObject) {
        assert_eq!(Object::parse(text).err(), Some(refusal), "{text:?}");
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_no_json() {
        for text in ["[]", "[[1]]", "null", "true", "42", "\"{}\"", " [\"event\"] "] {
            check(text, NotAnObject::OtherValue);
        }
        for text in ["", "{", "[", "[1", "nul", "{}{}", "{'a':1}", "{\"a\":1,}", "{\"a\":\"\u{0}\"}", "\u{feff}{}"] {
            check(text, NotAnObject::NotJson);
        }
    }

    #[test]
    fn members_keep_their_text() {
        let object = Object::parse(r#" { "a" : {"n": 1.50e+3, "s":"\u00e9\/"} , "b":"\u00e9" } "#).ok().unwrap();
        assert_eq!(object.get("a").unwrap().get(), r#"{"n": 1.50e+3, "s":"\u00e9\/"}"#);
        assert_eq!(object.text("b").unwrap(), "é");
        assert_eq!(object.text("a"), None);
        assert_eq!(object.text("c"), None);
    }

    #[test]
    fn the_last_of_two_members_of_one_name_counts() {
        let object = Object::parse(r#"{"a":"first","a":"last"}"#).ok().unwrap();
        assert_eq!(object.text("a").unwrap(), "last");
    }

    #[test]
    fn a_hundred_thousand_nested_arrays_do_not_reach_the_stack() {
        let bomb = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&bomb, NotAnObject::OtherValue);
        check(&bomb[..150_000], NotAnObject::NotJson);
        let wrapped = format!(r#"{{"a":{bomb}}}"#);
        let object = Object::parse(&wrapped).ok().unwrap();
        assert_eq!(object.get("a").unwrap().get(), bomb);
        assert_eq!(object.text("a"), None);
    }
}
