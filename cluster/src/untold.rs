//! What this node has to tell of its own sockets, until it is told. Joins, leaves and edges go at once while they are
//! few; where they are many they are gathered, so that whatever clients do costs one frame now and then and not one
//! each. Other counts are always gathered for a while.
//!
//! Bounds: `MAX_UNTOLD` things at most wait, because then all are told.

use std::{collections::BTreeMap, time::Duration};

use crate::fact::{Fact, Key};

/// How long counts are gathered before they are told.
const MERGE: Duration = Duration::from_millis(250);

/// Edges that are told at once from one tick to the next, at most; those beyond wait for the tick.
const AT_ONCE: usize = 32;

/// Things that wait at most.
const MAX_UNTOLD: usize = 4096;

/// What is to be told.
#[derive(Debug)]
pub struct Untold {
    changes: BTreeMap<Key, Change>,
    tell_at: Option<Duration>,
    /// How many edges may still go at once before the next tick.
    at_once: usize,
}

/// What became of one thing since it was told last.
#[derive(Debug)]
struct Change {
    /// The sockets that were told last.
    told: u32,
    /// Somebody who came and has gone again meanwhile, if anybody wants to know.
    visit: Option<Fact>,
    /// What is so now.
    fact: Fact,
}

/// When a fact is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Telling {
    /// Now, by the caller.
    AtOnce(Fact),
    /// With [`Untold::take`], or not at all.
    Later,
}

/// Whether somebody wants to know of those who came and went before anybody was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visits {
    /// Both are told.
    Told,
    /// Neither is.
    Untold,
}

/// Whether it is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// [`Untold::take`] is due.
    Now,
    /// Not yet.
    NotYet,
}

impl Default for Untold {
    fn default() -> Self {
        Self { changes: BTreeMap::new(), tell_at: None, at_once: AT_ONCE }
    }
}

impl Untold {
    /// A thing that had `known` sockets is like `fact` from now on.
    pub fn change(&mut self, known: u32, fact: Fact, visits: Visits, now: Duration) -> Telling {
        let key = fact.key();
        let earlier = self.changes.remove(&key);
        let told = earlier.as_ref().map_or(known, |change| change.told);
        let is_edge = (known == 0) != (fact.sockets() == 0);
        let is_told = (told == 0) == (known == 0);
        if is_edge && is_told && self.at_once > 0 {
            self.at_once -= 1;
            return Telling::AtOnce(fact);
        }
        let has_gone = told == 0 && fact.sockets() == 0;
        let visit = if has_gone { earlier.map(Change::arrival) } else { None }.filter(|_| visits == Visits::Told);
        if has_gone && visit.is_none() {
            return Telling::Later;
        }
        self.changes.insert(key, Change { told, visit, fact });
        let tell_at = if is_edge { now } else { now + MERGE };
        self.tell_at = Some(self.tell_at.map_or(tell_at, |earlier| earlier.min(tell_at)));
        Telling::Later
    }

    /// Time passed: edges may go at once again.
    pub fn tick(&mut self, now: Duration) -> Due {
        self.at_once = AT_ONCE;
        if self.tell_at.is_some_and(|at| at <= now) { Due::Now } else { Due::NotYet }
    }

    /// Whether so much waits that it is to be taken now.
    pub fn is_full(&self) -> bool {
        self.changes.len() >= MAX_UNTOLD
    }

    /// All that is to be told, in the order in which it is to be told.
    pub fn take(&mut self) -> impl Iterator<Item = Fact> + use<> {
        self.tell_at = None;
        let changes = std::mem::take(&mut self.changes).into_values();
        changes.flat_map(|change| change.visit.into_iter().chain([change.fact]))
    }
}

impl Change {
    /// The coming of somebody who has gone since.
    fn arrival(self) -> Fact {
        self.visit.unwrap_or(self.fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;

    fn fact(sockets: u32) -> Fact {
        Fact::Count { room: Room::new("shop", "orders").expect("the name is short"), sockets }
    }

    /// With nothing left that may go at once.
    fn busy() -> Untold {
        Untold { at_once: 0, ..Untold::default() }
    }

    /// The room has so many sockets one after the other, beginning with what was told; returns what is told then.
    fn check(visits: Visits, sockets: &[u32], expected: &[u32]) {
        let mut untold = busy();
        for pair in sockets.windows(2) {
            assert_eq!(untold.change(pair[0], fact(pair[1]), visits, Duration::ZERO), Telling::Later);
        }
        let told: Vec<u32> = untold.take().map(|fact| fact.sockets()).collect();
        assert_eq!(told, expected, "{sockets:?}");
    }

    #[test]
    fn what_comes_and_goes_before_it_is_told_is_told_once_or_not_at_all() {
        check(Visits::Untold, &[0, 1], &[1]);
        check(Visits::Untold, &[0, 1, 0], &[]);
        check(Visits::Untold, &[0, 1, 0, 1, 2], &[2]);
        check(Visits::Untold, &[3, 0, 1], &[1]);
        check(Visits::Untold, &[3, 0, 1, 0], &[0]);
    }

    #[test]
    fn a_visit_is_told_to_those_who_want_to_know_of_it() {
        check(Visits::Told, &[0, 1, 0], &[1, 0]);
        check(Visits::Told, &[0, 2, 1, 0, 1, 0], &[1, 0]);
        check(Visits::Told, &[0, 1, 0, 1], &[1]);
        check(Visits::Told, &[3, 0, 1, 0], &[0]);
    }

    #[test]
    fn edges_go_at_once_while_they_are_few_and_with_the_next_tick_beyond() {
        let mut untold = Untold::default();
        for turn in 0..AT_ONCE as u32 {
            let (known, sockets) = (turn % 2, (turn + 1) % 2);
            assert_eq!(
                untold.change(known, fact(sockets), Visits::Told, Duration::ZERO),
                Telling::AtOnce(fact(sockets))
            );
        }
        assert_eq!(untold.change(0, fact(1), Visits::Told, Duration::ZERO), Telling::Later);
        assert_eq!(untold.tick(Duration::ZERO), Due::Now);
        assert_eq!(untold.take().collect::<Vec<_>>(), [fact(1)]);
        assert_eq!(untold.change(1, fact(0), Visits::Told, Duration::ZERO), Telling::AtOnce(fact(0)));
    }

    #[test]
    fn counts_are_gathered_and_an_edge_takes_their_place() {
        let mut untold = Untold::default();
        assert_eq!(untold.change(1, fact(2), Visits::Told, Duration::ZERO), Telling::Later);
        assert_eq!((untold.tick(MERGE / 2), untold.tick(MERGE)), (Due::NotYet, Due::Now));
        assert_eq!(untold.change(2, fact(0), Visits::Told, MERGE), Telling::AtOnce(fact(0)));
        assert_eq!(untold.take().count(), 0);
    }
}
