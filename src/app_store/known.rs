//! What this node knows of the apps in NATS: the newest record of each, the last one that was good, and what is wrong with
//! the newest. Pure: it says which apps are to be in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Kept, Record, sealed::Unsealed};
use crate::config::{self, AppSettings, Problems};

/// All apps that were heard of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// When the stream was made that they were heard in.
    made: i64,
    apps: BTreeMap<String, Entry>,
}

/// One app.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Entry {
    /// The place of the newest record, which the next one must follow.
    newest: u64,
    /// The place of the last good one.
    good: u64,
    /// The members of the last good one; `None` if there is none, or it said that the app is gone.
    members: Option<Map<String, Value>>,
    /// Newer than that, opened but not looked at with all others; the app is gone where it holds nothing.
    #[serde(skip)]
    waiting: Option<Option<Map<String, Value>>>,
    /// Why the newest record is not in force.
    #[serde(skip)]
    trouble: Option<String>,
    /// Whether the stream has told of it since it was read from its beginning.
    #[serde(skip)]
    heard: bool,
}

/// A record that is not in force, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) app: String,
    pub(super) why: String,
}

pub(super) type Apps = Vec<(String, AppSettings)>;

/// A record as it was opened: the place of the one before it, and the members, if the app is not gone.
pub(super) type Opened = Result<(u64, Option<Map<String, Value>>), Unsealed>;

impl Known {
    /// Records of the stream that was made then follow. Places of another stream mean nothing in this one.
    pub(super) fn stream(&mut self, made: i64) {
        self.apps.values_mut().for_each(|entry| entry.heard = false);
        if made != self.made {
            self.made = made;
            self.apps.values_mut().for_each(Entry::lose_place);
        }
    }

    /// All that the stream has was heard: a record that somebody deleted is followed by none. Its app stays.
    pub(super) fn heard_all(&mut self) {
        self.apps.values_mut().filter(|entry| !entry.heard).for_each(Entry::lose_place);
    }

    /// Takes in a record. What was heard before changes nothing.
    pub(super) fn hear(&mut self, app: &str, place: u64, opened: Opened) {
        let entry = self.apps.entry(app.to_owned()).or_default();
        entry.heard = true;
        if place <= entry.newest && entry.trouble.is_none() {
            return;
        }
        entry.newest = place;
        (entry.waiting, entry.trouble) = match opened {
            Ok((after, _)) if after < entry.good && place != entry.good => {
                (None, Some("it follows a record that is older than the one in force".to_owned()))
            }
            Ok((_, members)) => (Some(members), None),
            Err(why) => (None, Some(why.to_string())),
        };
    }

    /// Brings into force what was heard, as far as it is sound. The apps, and every record that is not in force.
    pub(super) fn settle(&mut self) -> (Apps, Vec<Trouble>) {
        self.refuse_unsound();
        if sound(&self.records(|entry| entry.waiting.as_ref().unwrap_or(&entry.members).as_ref())).is_ok() {
            self.apps.values_mut().for_each(Entry::settle);
        } else {
            self.settle_one_by_one();
        }
        let records = self.records(|entry| entry.members.as_ref());
        (sound(&records).unwrap_or_default(), self.troubles())
    }

    /// Those that are broken whatever the others are.
    fn refuse_unsound(&mut self) {
        for (id, entry) in &mut self.apps {
            let Some(Some(members)) = &entry.waiting else { continue };
            let record = Record { id: id.clone(), members: members.clone() };
            if let Err(problems) = sound(&[record]) {
                (entry.waiting, entry.trouble) = (None, Some(problems.to_string()));
            }
        }
    }

    /// In the order in which they were written; again, as long as one makes way for another.
    fn settle_one_by_one(&mut self) {
        let is_waiting = |(_, entry): &(&String, &Entry)| entry.waiting.is_some();
        loop {
            let mut waiting: Vec<_> =
                self.apps.iter().filter(is_waiting).map(|(id, entry)| (entry.newest, id.clone())).collect();
            waiting.sort_unstable();
            let before = waiting.len();
            waiting.retain(|(_, id)| !self.settle_one(id));
            if waiting.is_empty() || waiting.len() == before {
                return;
            }
        }
    }

    fn settle_one(&mut self, id: &str) -> bool {
        let with_it = self.apps.iter().filter_map(|(other, entry)| {
            let members = if other == id { entry.waiting.as_ref()?.as_ref() } else { entry.members.as_ref() };
            Some(Record { id: other.clone(), members: members?.clone() })
        });
        let result = sound(&with_it.collect::<Vec<_>>());
        let Some(entry) = self.apps.get_mut(id) else { return true };
        match result {
            Ok(_) => entry.settle(),
            Err(problems) => entry.trouble = Some(problems.to_string()),
        }
        entry.waiting.is_none()
    }

    fn troubles(&self) -> Vec<Trouble> {
        let troubles =
            self.apps.iter().filter_map(|(app, entry)| Some(Trouble { app: app.clone(), why: entry.trouble.clone()? }));
        troubles.collect()
    }

    /// The apps that are in force, with the places of their newest records.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.apps.keys().filter_map(|id| self.app(id).0).collect()
    }

    /// The app in force of this id, and the place of the record that the next one must follow. One that was heard and not
    /// yet looked at is none of them: who follows the one before it is too late.
    pub(super) fn app(&self, id: &str) -> (Option<Kept>, u64) {
        let Some(entry) = self.apps.get(id) else { return (None, 0) };
        let is_settled = entry.waiting.is_none() || entry.trouble.is_some();
        let place = if is_settled { entry.newest } else { entry.good };
        let kept = entry.members.as_ref().map(|members| Kept {
            record: Record { id: id.to_owned(), members: members.clone() },
            revision: place.to_string(),
        });
        (kept, place)
    }

    /// Why nothing is known of an app of which NATS has a record.
    pub(super) fn unusable(&self, id: &str) -> Option<&str> {
        self.apps.get(id).filter(|entry| entry.members.is_none())?.trouble.as_deref()
    }

    /// Whether the apps would be sound with this one as it is given, or without it.
    pub(super) fn check(&self, id: &str, record: Option<&Record>) -> Result<(), Problems> {
        let others = self.records(|entry| entry.members.as_ref()).into_iter().filter(|other| other.id != id);
        sound(&others.chain(record.cloned()).collect::<Vec<_>>()).map(drop)
    }

    fn records<'a>(&'a self, members: impl Fn(&'a Entry) -> Option<&'a Map<String, Value>>) -> Vec<Record> {
        let records = self
            .apps
            .iter()
            .filter_map(|(id, entry)| Some(Record { id: id.clone(), members: members(entry)?.clone() }));
        records.collect()
    }
}

impl Entry {
    fn lose_place(&mut self) {
        (self.newest, self.good, self.trouble) = (0, 0, None);
    }

    fn settle(&mut self) {
        if let Some(members) = self.waiting.take() {
            (self.members, self.good, self.trouble) = (members, self.newest, None);
        }
    }
}

/// The apps as `config` reads them; that there are none is sound here.
fn sound(records: &[Record]) -> Result<Apps, Problems> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let objects: Vec<_> = records.iter().map(Record::to_object).collect();
    config::parse_apps(&serde_json::to_string(&objects).expect("objects of JSON can be written"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opened(after: u64, members: Value) -> Opened {
        Ok((after, members.as_object().cloned()))
    }

    fn app(key: &str) -> Value {
        json!({"key": key, "secret": "s"})
    }

    /// The keys of the apps in force, and the apps whose newest record is not.
    fn settled(known: &mut Known) -> (Vec<String>, Vec<String>) {
        let (apps, troubles) = known.settle();
        let keys = apps.into_iter().map(|(id, settings)| format!("{id}:{}", settings.keys[0].key));
        (keys.collect(), troubles.into_iter().map(|trouble| trouble.app).collect())
    }

    fn check(known: &mut Known, keys: &[&str], broken: &[&str]) {
        let (found, troubles) = settled(known);
        assert_eq!(
            (found, troubles),
            (keys.iter().map(ToString::to_string).collect(), broken.iter().map(ToString::to_string).collect())
        );
    }

    #[test]
    fn what_is_heard_is_in_force_once_it_is_all() {
        let mut known = Known::default();
        check(&mut known, &[], &[]);
        known.hear("a", 1, opened(0, app("k")));
        known.hear("b", 2, opened(0, app("l")));
        check(&mut known, &["a:k", "b:l"], &[]);
        known.hear("a", 3, opened(1, json!(null)));
        check(&mut known, &["b:l"], &[]);
        assert_eq!(known.app("a"), (None, 3));
        assert_eq!(known.app("b").0.map(|kept| kept.revision), Some("2".to_owned()));
    }

    #[test]
    fn a_broken_record_keeps_its_app_as_it_is_and_the_next_good_one_repairs_it() {
        let mut known = Known::default();
        known.hear("a", 1, opened(0, app("k")));
        check(&mut known, &["a:k"], &[]);
        for (place, record) in
            [(2, Err(Unsealed::Seal)), (3, opened(2, json!({"key": "k/"}))), (4, opened(0, app("old")))]
        {
            known.hear("a", place, record);
            check(&mut known, &["a:k"], &["a"]);
        }
        known.hear("a", 5, opened(4, app("new")));
        check(&mut known, &["a:new"], &[]);
    }

    #[test]
    fn a_key_that_moves_from_one_app_to_another_is_no_trouble_in_whatever_order_it_is_heard() {
        let mut known = Known::default();
        known.hear("a", 1, opened(0, app("k")));
        known.hear("b", 2, opened(0, app("l")));
        check(&mut known, &["a:k", "b:l"], &[]);
        known.hear("a", 3, opened(1, app("l")));
        check(&mut known, &["a:k", "b:l"], &["a"]);
        known.hear("b", 4, opened(2, app("m")));
        check(&mut known, &["a:l", "b:m"], &[]);
    }

    #[test]
    fn a_record_that_is_put_there_again_is_not_taken() {
        let mut known = Known::default();
        known.hear("a", 1, opened(0, app("first")));
        known.settle();
        known.hear("a", 2, opened(1, app("second")));
        known.settle();
        known.hear("a", 3, opened(0, app("first")));
        check(&mut known, &["a:second"], &["a"]);
    }

    #[test]
    fn in_a_stream_that_was_made_anew_places_begin_anew_and_apps_stay() {
        let mut known = Known::default();
        known.stream(100);
        known.hear("a", 7, opened(0, app("k")));
        known.settle();
        known.stream(100);
        assert_eq!(known.app("a").1, 7);
        known.stream(200);
        check(&mut known, &["a:k"], &[]);
        assert_eq!(known.app("a").1, 0);
        known.hear("a", 1, opened(0, app("new")));
        check(&mut known, &["a:new"], &[]);
    }

    #[test]
    fn an_app_whose_record_was_deleted_stays_and_is_written_anew() {
        let mut known = Known::default();
        known.stream(100);
        known.hear("a", 7, opened(0, app("k")));
        known.hear("b", 8, opened(0, app("l")));
        known.settle();
        known.stream(100);
        known.hear("b", 8, opened(0, app("l")));
        known.heard_all();
        check(&mut known, &["a:k", "b:l"], &[]);
        assert_eq!((known.app("a").1, known.app("b").1), (0, 8));
        known.hear("a", 9, opened(0, app("new")));
        check(&mut known, &["a:new", "b:l"], &[]);
    }

    #[test]
    fn a_record_that_was_never_readable_is_told_apart_from_one_that_was() {
        let mut known = Known::default();
        known.hear("a", 1, opened(0, app("k")));
        known.settle();
        known.hear("a", 2, Err(Unsealed::Seal));
        known.hear("b", 3, Err(Unsealed::Seal));
        known.settle();
        assert_eq!((known.unusable("a"), known.unusable("c")), (None, None));
        assert!(known.unusable("b").is_some_and(|why| why.contains("another GAUNG_APPS_STORE_KEY")));
    }

    #[test]
    fn a_change_is_checked_with_all_other_apps() {
        let mut known = Known::default();
        known.hear("a", 1, opened(0, app("k")));
        known.settle();
        let new = Record { id: "b".to_owned(), members: app("k").as_object().unwrap().clone() };
        assert!(known.check("b", Some(&new)).unwrap_err().to_string().contains("key k is already a key of app a"));
        assert_eq!((known.check("a", Some(&new)), known.check("a", None)), (Ok(()), Ok(())));
    }
}
