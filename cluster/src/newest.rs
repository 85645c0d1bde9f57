//! Keeps the newest entries, such as cached events, within bounds of bytes per app and in total. Knows their age and
//! size, not their content.
//!
//! Invariant: what is kept is what the newest things of all names leave after the oldest were taken away until the
//! bounds hold. It does not matter in which order they came, so nodes with the same bounds that know the same things
//! keep the same ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::room::Room;

/// A name that belongs to an app.
pub trait OfApp: Clone + Ord {
    fn app(&self) -> &Arc<str>;
}

/// How many bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheBounds {
    pub app: usize,
    pub node: usize,
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self { app: 32 << 20, node: 128 << 20 }
    }
}

/// The names of what is kept: rooms for their last events, keys for what was published under them.
#[derive(Debug)]
pub struct Newest<K> {
    bounds: CacheBounds,
    bytes: usize,
    apps: BTreeMap<Arc<str>, AppShare<K>>,
    ages: BTreeSet<(u64, K)>,
    evicted: u64,
}

#[derive(Debug)]
struct AppShare<K> {
    bytes: usize,
    ages: BTreeSet<(u64, K)>,
    kept: BTreeMap<K, (u64, usize)>,
}

impl OfApp for Room {
    fn app(&self) -> &Arc<str> {
        Room::app(self)
    }
}

impl<K: OfApp> Newest<K> {
    /// Nothing is kept yet.
    pub fn new(bounds: CacheBounds) -> Self {
        Self { bounds, bytes: 0, apps: BTreeMap::new(), ages: BTreeSet::new(), evicted: 0 }
    }

    /// Keeps something of so many bytes that came `at`, in place of what had its name. Returns the names of what had to
    /// go for it, with their times, the oldest first; its own may be among them.
    pub fn put(&mut self, name: &K, at: u64, bytes: usize) -> Vec<(K, u64)> {
        self.remove(name);
        let share = self.apps.entry(name.app().clone()).or_insert_with(AppShare::new);
        share.bytes += bytes;
        share.ages.insert((at, name.clone()));
        share.kept.insert(name.clone(), (at, bytes));
        self.bytes += bytes;
        self.ages.insert((at, name.clone()));
        let mut evicted = Vec::new();
        while let Some((at, oldest)) = self.excess(name.app()) {
            self.remove(&oldest);
            evicted.push((oldest, at));
        }
        self.evicted += evicted.len() as u64;
        evicted
    }

    /// What has this name is not kept any longer.
    pub fn remove(&mut self, name: &K) {
        let Some(share) = self.apps.get_mut(name.app()) else { return };
        let Some((at, bytes)) = share.kept.remove(name) else { return };
        let age = (at, name.clone());
        share.bytes -= bytes;
        share.ages.remove(&age);
        if share.kept.is_empty() {
            self.apps.remove(name.app());
        }
        self.bytes -= bytes;
        self.ages.remove(&age);
    }

    /// The same, if it is what came `at`.
    pub fn remove_if(&mut self, name: &K, at: u64) {
        let kept = self.apps.get(name.app()).and_then(|share| share.kept.get(name));
        if kept.is_some_and(|(kept, _)| *kept == at) {
            self.remove(name);
        }
    }

    /// The oldest of all, with its time.
    pub fn oldest(&self) -> Option<&(u64, K)> {
        self.ages.first()
    }

    /// The bytes of all that is kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many had to go for others so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What is the next to go: the oldest of those that are too many.
    fn excess(&self, app: &str) -> Option<(u64, K)> {
        let share = self.apps.get(app).filter(|share| share.bytes > self.bounds.app);
        let ages = share.map(|share| &share.ages).or((self.bytes > self.bounds.node).then_some(&self.ages));
        ages?.first().cloned()
    }
}

impl<K> AppShare<K> {
    fn new() -> Self {
        Self { bytes: 0, ages: BTreeSet::new(), kept: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: CacheBounds = CacheBounds { app: 100, node: 150 };

    fn room(name: &str) -> Room {
        let (app, channel) = name.split_once('/').unwrap();
        Room::new(app, channel).unwrap()
    }

    /// Puts the events, each as room, time and bytes, and returns what is kept and what was evicted in the end.
    fn play(events: &[(&str, u64, usize)]) -> (Vec<String>, Vec<String>) {
        let name = |room: &Room| format!("{}/{}", room.app(), room.channel());
        let mut newest = Newest::new(BOUNDS);
        let mut evicted = Vec::new();
        for (text, at, bytes) in events {
            evicted
                .extend(newest.put(&room(text), *at, *bytes).iter().map(|(room, at)| format!("{}@{at}", name(room))));
        }
        let kept: Vec<_> = newest.ages.iter().map(|(at, room)| format!("{}@{at}", name(room))).collect();
        let bytes: usize = newest.apps.values().map(|share| share.bytes).sum();
        assert_eq!((bytes, newest.evicted()), (newest.bytes(), evicted.len() as u64));
        (kept, evicted)
    }

    fn check(events: &[(&str, u64, usize)], kept: &[&str], evicted: &[&str]) {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(play(events), (texts(kept), texts(evicted)), "{events:?}");
    }

    #[test]
    fn the_oldest_of_an_app_goes_first_and_no_other_apps() {
        check(&[("1/a", 1, 60), ("2/a", 0, 40), ("1/b", 2, 41)], &["2/a@0", "1/b@2"], &["1/a@1"]);
        check(&[("1/a", 1, 50), ("1/b", 2, 50)], &["1/a@1", "1/b@2"], &[]);
    }

    #[test]
    fn the_bound_of_the_node_takes_the_oldest_of_all() {
        check(&[("1/a", 1, 80), ("2/a", 2, 50), ("3/a", 3, 30)], &["2/a@2", "3/a@3"], &["1/a@1"]);
    }

    #[test]
    fn an_event_that_is_older_than_all_that_fit_is_not_kept() {
        check(&[("1/a", 5, 90), ("1/b", 4, 20)], &["1/a@5"], &["1/b@4"]);
        check(&[("1/a", 5, 101)], &[], &["1/a@5"]);
    }

    #[test]
    fn the_next_event_of_a_room_takes_the_place_of_the_last() {
        check(&[("1/a", 1, 90), ("1/a", 2, 95), ("1/b", 3, 5)], &["1/a@2", "1/b@3"], &[]);
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_order_in_which_events_come() {
        let events = [("1/a", 1, 40), ("1/b", 2, 40), ("2/a", 3, 60), ("1/c", 4, 30), ("2/b", 5, 30)];
        let kept = play(&events).0;
        for first in 0..events.len() {
            let mut turned = events;
            turned.rotate_left(first);
            assert_eq!(play(&turned).0, kept);
            turned.reverse();
            assert_eq!(play(&turned).0, kept);
        }
    }

    #[test]
    fn what_ends_makes_room_only_if_it_is_still_that_event() {
        let mut newest = Newest::new(BOUNDS);
        newest.put(&room("1/a"), 1, 60);
        newest.put(&room("1/a"), 2, 70);
        newest.remove_if(&room("1/a"), 1);
        assert_eq!(newest.bytes(), 70);
        newest.remove_if(&room("1/a"), 2);
        assert_eq!((newest.bytes(), newest.apps.len(), newest.ages.len()), (0, 0, 0));
    }
}
