//! The text of an apps file while one app of it is changed: everything else stays as it is written. Pure.

use std::ops::Range;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::record::Record;

/// The text of an apps file, and where its apps stand in it.
pub(super) struct FileText<'a> {
    text: &'a str,
    apps: Vec<(Range<usize>, Record)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named<'a> {
    #[serde(borrow)]
    apps: Vec<&'a RawValue>,
}

impl<'a> FileText<'a> {
    /// `None` if it is no list of apps that have ids.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let list = serde_json::from_str::<Vec<&RawValue>>(text);
        let list = list.or_else(|_| serde_json::from_str::<Named<'a>>(text).map(|named| named.apps)).ok()?;
        let apps = list.into_iter().map(|raw| {
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            let object: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
            Some((start..start + raw.get().len(), Record::from_object(object)?))
        });
        Some(Self { text, apps: apps.collect::<Option<_>>()? })
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.apps.iter().map(|(_, record)| record)
    }

    /// The text in which the app of this id is this one, or is not there any more.
    pub(super) fn with(&self, id: &str, record: Option<&Record>) -> String {
        let place = self.apps.iter().position(|(_, record)| record.id == id);
        match (place, record) {
            (None, None) => self.text.to_owned(),
            (Some(place), Some(record)) => {
                let range = &self.apps[place].0;
                self.spliced(range.clone(), &written(record, self.indent(range.start)))
            }
            (None, Some(record)) => self.appended(record),
            (Some(place), None) => self.spliced(self.removed(place), ""),
        }
    }

    fn appended(&self, record: &Record) -> String {
        let Some((last, _)) = self.apps.last() else { return format!("[\n  {}\n]\n", written(record, "  ")) };
        let indent = self.indent(last.start);
        self.spliced(last.end..last.end, &format!(",\n{indent}{}", written(record, indent)))
    }

    /// What goes with the app: it and the comma before it, or behind the first.
    fn removed(&self, place: usize) -> Range<usize> {
        let range = self.apps[place].0.clone();
        match (place.checked_sub(1), self.apps.get(place + 1)) {
            (Some(before), _) => self.apps[before].0.end..range.end,
            (None, Some((next, _))) => range.start..next.start,
            (None, None) => range,
        }
    }

    /// The white space before what stands first in its line.
    fn indent(&self, start: usize) -> &'a str {
        let line = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
        let before = &self.text[line..start];
        if before.trim().is_empty() { before } else { "" }
    }

    fn spliced(&self, range: Range<usize>, new: &str) -> String {
        format!("{}{new}{}", &self.text[..range.start], &self.text[range.end..])
    }
}

fn written(record: &Record, indent: &str) -> String {
    let text = serde_json::to_string_pretty(&record.to_object()).expect("an object of JSON can be written");
    text.replace('\n', &format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: &str = "{\"apps\": [\n  {\"id\":\"a\",  \"n\": 1.50},\n  { \"id\": 2 }\n]}\n";

    fn record(value: Value) -> Record {
        Record::from_object(value.as_object().unwrap().clone()).unwrap()
    }

    fn check(text: &str, id: &str, new: Option<Value>, expected: &str) {
        let new = new.map(record);
        assert_eq!(FileText::parse(text).unwrap().with(id, new.as_ref()), expected);
    }

    #[test]
    fn a_changed_app_is_written_anew_and_the_others_stay_as_they_are() {
        let expected =
            "{\"apps\": [\n  {\"id\":\"a\",  \"n\": 1.50},\n  {\n    \"id\": \"2\",\n    \"x\": true\n  }\n]}\n";
        check(LIST, "2", Some(json!({"id": "2", "x": true})), expected);
    }

    #[test]
    fn a_new_app_stands_last() {
        let expected =
            "{\"apps\": [\n  {\"id\":\"a\",  \"n\": 1.50},\n  { \"id\": 2 },\n  {\n    \"id\": \"c\"\n  }\n]}\n";
        check(LIST, "c", Some(json!({"id": "c"})), expected);
        check("[{\"id\":\"a\"}]", "c", Some(json!({"id": "c"})), "[{\"id\":\"a\"},\n{\n  \"id\": \"c\"\n}]");
    }

    #[test]
    fn a_removed_app_takes_one_comma_with_it() {
        check(LIST, "2", None, "{\"apps\": [\n  {\"id\":\"a\",  \"n\": 1.50}\n]}\n");
        check(LIST, "a", None, "{\"apps\": [\n  { \"id\": 2 }\n]}\n");
        check("[{\"id\":\"a\"}]", "a", None, "[]");
        check(LIST, "unknown", None, LIST);
    }

    #[test]
    fn what_is_no_list_of_apps_with_ids_is_not_touched() {
        for text in ["", "7", "[7]", "[{}]", "{\"apps\":[],\"more\":1}", "[{\"id\":\"a\"}"] {
            assert!(FileText::parse(text).is_none(), "{text}");
        }
    }
}
