//! The rooms of one app on one thread: found by name, listed in order, and added up as they change, so that nobody has to
//! walk over all of them.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashMap},
    ops::Bound,
    rc::Rc,
    time::Instant,
};

use super::oldest::OldestEvents;
use crate::{
    event::{AppTotals, Counts, Page},
    protocol::ChannelName,
};

/// The rooms, each with what its registry keeps of it.
pub(super) struct Registered<T> {
    rooms: HashMap<ChannelName, (T, Rc<Tally>)>,
    names: BTreeSet<ChannelName>,
    totals: Rc<Cell<AppTotals>>,
    oldest: Rc<RefCell<OldestEvents>>,
}

/// What a room holds, written by the room and read by its shard on the same thread.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Cell<Counts>,
    totals: Rc<Cell<AppTotals>>,
    /// The second since which it keeps events.
    oldest_here: Cell<Option<u64>>,
    oldest: Rc<RefCell<OldestEvents>>,
    /// Whether the room has nothing left to keep.
    pub idle: Cell<bool>,
    /// The number of its last wait for subscribers; the shard's field.
    pub wait: Cell<u64>,
    /// Messages that the shard has forwarded and the room has not handled; the shard's field.
    pub in_flight: Cell<usize>,
}

impl<T> Default for Registered<T> {
    fn default() -> Self {
        Self { rooms: HashMap::new(), names: BTreeSet::new(), totals: Rc::default(), oldest: Rc::default() }
    }
}

impl<T> Registered<T> {
    /// A tally for a room that is about to be added.
    pub(super) fn tally(&self) -> Rc<Tally> {
        Rc::new(Tally { totals: self.totals.clone(), oldest: self.oldest.clone(), ..Tally::default() })
    }

    /// One room.
    pub(super) fn get(&self, channel: &ChannelName) -> Option<(&T, &Rc<Tally>)> {
        self.rooms.get(channel).map(|(room, tally)| (room, tally))
    }

    /// Adds a room.
    pub(super) fn add(&mut self, channel: ChannelName, room: T, tally: Rc<Tally>) {
        self.totals.set(self.totals.get().with_room(tally.counts.get()));
        self.names.insert(channel.clone());
        self.rooms.insert(channel, (room, tally));
    }

    /// Removes a room.
    pub(super) fn remove(&mut self, channel: &ChannelName) {
        let Some((_, tally)) = self.rooms.remove(channel) else { return };
        tally.set_counts(Counts::default());
        tally.set_oldest(None);
        self.names.remove(channel);
        let totals = self.totals.get();
        self.totals.set(AppTotals { rooms: totals.rooms - 1, ..totals });
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// What the rooms add up to.
    pub(super) fn totals(&self, now: Instant) -> AppTotals {
        AppTotals { oldest_event: self.oldest.borrow().age(now), ..self.totals.get() }
    }

    /// Of the `most` next rooms whose name starts so, and comes after another if one is given, those with subscribers.
    pub(super) fn occupied(&self, prefix: &str, after: Option<&str>, most: usize) -> Page {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let names = self.names.range::<str, _>((from, Bound::Unbounded));
        let (mut page, mut looked) = (Page::default(), 0);
        for name in names.take_while(|name| name.as_str().starts_with(prefix)).take(most) {
            looked += 1;
            page.next = (looked == most).then(|| name.as_str().into());
            let counts = self.rooms.get(name).map(|(_, tally)| tally.counts.get()).unwrap_or_default();
            if counts.subscriptions > 0 {
                page.channels.push((name.clone(), counts));
            }
        }
        page
    }
}

impl Tally {
    /// Subscriptions and users.
    pub(super) fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// They are others now.
    pub(super) fn set_counts(&self, counts: Counts) {
        let before = self.counts.replace(counts);
        let totals = self.totals.get();
        self.totals.set(AppTotals {
            subscriptions: totals.subscriptions + counts.subscriptions - before.subscriptions,
            members: totals.members + counts.users - before.users,
            ..totals
        });
    }

    /// Since when the room keeps events, if it keeps any.
    pub(super) fn set_oldest(&self, oldest: Option<Instant>) {
        let before = self.oldest_here.get();
        if oldest.is_some() || before.is_some() {
            self.oldest_here.set(self.oldest.borrow_mut().replace(before, oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text, 200).unwrap()
    }

    fn registered(names: &[(&str, usize)]) -> Registered<()> {
        let mut registered = Registered::default();
        for (text, subscriptions) in names {
            let tally = registered.tally();
            registered.add(name(text), (), tally.clone());
            tally.set_counts(Counts { subscriptions: *subscriptions, users: 0 });
        }
        registered
    }

    fn check(prefix: &str, after: Option<&str>, most: usize, expected: &[&str], next: Option<&str>) {
        let rooms = [("orders.2", 1), ("orders.1", 1), ("orders.3", 0), ("orders.4", 2), ("news", 1), ("pages", 1)];
        let page = registered(&rooms).occupied(prefix, after, most);
        let names: Vec<&str> = page.channels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names.as_slice(), page.next.as_deref()), (expected, next), "{prefix} {after:?} {most}");
    }

    #[test]
    fn rooms_are_listed_in_order_by_prefix_and_page_without_those_that_nobody_is_in() {
        check("orders.", None, 9, &["orders.1", "orders.2", "orders.4"], None);
        check("orders.", None, 2, &["orders.1", "orders.2"], Some("orders.2"));
        check("orders.", Some("orders.2"), 2, &["orders.4"], Some("orders.4"));
        check("orders.", Some("orders.4"), 2, &[], None);
        check("", Some("orders.4"), 2, &["pages"], None);
        check("zebra", None, 2, &[], None);
        check("ö", None, 2, &[], None);
    }

    #[test]
    fn totals_follow_every_change() {
        let mut registered = registered(&[("a", 2), ("b", 3)]);
        let (_, tally) = registered.get(&name("a")).unwrap();
        tally.set_counts(Counts { subscriptions: 1, users: 4 });
        let start = Instant::now();
        tally.set_oldest(Some(start));
        let oldest_event = Duration::from_secs(5);
        let totals = registered.totals(start + oldest_event);
        assert_eq!(totals, AppTotals { rooms: 2, subscriptions: 4, members: 4, oldest_event });
        registered.remove(&name("a"));
        let totals = registered.totals(start + oldest_event);
        assert_eq!(totals, AppTotals { rooms: 1, subscriptions: 3, ..AppTotals::default() });
    }
}
