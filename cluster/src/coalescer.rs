//! Changes of this node's own sockets that are not published yet. First joins and last leaves (transitions) are sent at
//! once while they are few; a burst is coalesced, so that it costs one frame now and then and not one each. Other
//! counts are always coalesced for a while.
//!
//! Bounds: at most `MAX_PENDING` changes wait, because then all are flushed.

use std::{collections::BTreeMap, time::Duration};

use crate::fact::{Fact, FactKey};

/// How long counts are coalesced before they are sent.
const COALESCE: Duration = Duration::from_millis(250);

/// Transitions that are sent at once between two ticks, at most; those beyond wait for the tick.
const AT_ONCE: usize = 32;

/// Changes that wait at most.
const MAX_PENDING: usize = 4096;

#[derive(Debug)]
pub struct Coalescer {
    changes: BTreeMap<FactKey, Change>,
    flush_at: Option<Duration>,
    /// How many transitions may still be sent at once before the next tick.
    at_once: usize,
}

/// The change of one fact since it was last sent.
#[derive(Debug)]
struct Change {
    /// The sockets that were last sent.
    sent: u32,
    /// A visit: an arrival that has ended meanwhile, if visits are reported.
    visit: Option<Fact>,
    fact: Fact,
}

/// When a fact is sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Now, by the caller.
    SendNow(Fact),
    /// With [`Coalescer::take`], or not at all.
    Later,
}

/// Whether arrivals that end before they were sent are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visits {
    Report,
    Skip,
}

/// Whether it is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// [`Coalescer::take`] is due.
    Now,
    NotYet,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self { changes: BTreeMap::new(), flush_at: None, at_once: AT_ONCE }
    }
}

impl Coalescer {
    /// A fact that had `known` sockets is `fact` from now on.
    pub fn change(&mut self, known: u32, fact: Fact, visits: Visits, now: Duration) -> Decision {
        let key = fact.key();
        let earlier = self.changes.remove(&key);
        let sent = earlier.as_ref().map_or(known, |change| change.sent);
        let is_transition = (known == 0) != (fact.sockets() == 0);
        let is_sent = (sent == 0) == (known == 0);
        if is_transition && is_sent && self.at_once > 0 {
            self.at_once -= 1;
            return Decision::SendNow(fact);
        }
        let has_gone = sent == 0 && fact.sockets() == 0;
        let visit = if has_gone { earlier.map(Change::arrival) } else { None }.filter(|_| visits == Visits::Report);
        if has_gone && visit.is_none() {
            return Decision::Later;
        }
        self.changes.insert(key, Change { sent, visit, fact });
        let flush_at = if is_transition { now } else { now + COALESCE };
        self.flush_at = Some(self.flush_at.map_or(flush_at, |earlier| earlier.min(flush_at)));
        Decision::Later
    }

    /// Time passed: transitions may be sent at once again.
    pub fn tick(&mut self, now: Duration) -> Due {
        self.at_once = AT_ONCE;
        if self.flush_at.is_some_and(|at| at <= now) { Due::Now } else { Due::NotYet }
    }

    /// Whether so much waits that it is to be flushed now.
    pub fn is_full(&self) -> bool {
        self.changes.len() >= MAX_PENDING
    }

    /// Everything that waits, in the order in which it is to be sent.
    pub fn take(&mut self) -> impl Iterator<Item = Fact> + use<> {
        self.flush_at = None;
        let changes = std::mem::take(&mut self.changes).into_values();
        changes.flat_map(|change| change.visit.into_iter().chain([change.fact]))
    }
}

impl Change {
    /// The arrival of a visit.
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

    /// With nothing left that may be sent at once.
    fn busy() -> Coalescer {
        Coalescer { at_once: 0, ..Coalescer::default() }
    }

    /// The room has these numbers of sockets one after the other, beginning with what was sent; checks what is sent
    /// then.
    fn check(visits: Visits, sockets: &[u32], expected: &[u32]) {
        let mut coalescer = busy();
        for pair in sockets.windows(2) {
            assert_eq!(coalescer.change(pair[0], fact(pair[1]), visits, Duration::ZERO), Decision::Later);
        }
        let sent: Vec<u32> = coalescer.take().map(|fact| fact.sockets()).collect();
        assert_eq!(sent, expected, "{sockets:?}");
    }

    #[test]
    fn what_comes_and_goes_before_it_is_sent_is_sent_once_or_not_at_all() {
        check(Visits::Skip, &[0, 1], &[1]);
        check(Visits::Skip, &[0, 1, 0], &[]);
        check(Visits::Skip, &[0, 1, 0, 1, 2], &[2]);
        check(Visits::Skip, &[3, 0, 1], &[1]);
        check(Visits::Skip, &[3, 0, 1, 0], &[0]);
    }

    #[test]
    fn a_visit_is_sent_to_those_who_want_to_know_of_it() {
        check(Visits::Report, &[0, 1, 0], &[1, 0]);
        check(Visits::Report, &[0, 2, 1, 0, 1, 0], &[1, 0]);
        check(Visits::Report, &[0, 1, 0, 1], &[1]);
        check(Visits::Report, &[3, 0, 1, 0], &[0]);
    }

    #[test]
    fn transitions_go_at_once_while_they_are_few_and_with_the_next_tick_beyond() {
        let mut coalescer = Coalescer::default();
        for turn in 0..AT_ONCE as u32 {
            let (known, sockets) = (turn % 2, (turn + 1) % 2);
            assert_eq!(
                coalescer.change(known, fact(sockets), Visits::Report, Duration::ZERO),
                Decision::SendNow(fact(sockets))
            );
        }
        assert_eq!(coalescer.change(0, fact(1), Visits::Report, Duration::ZERO), Decision::Later);
        assert_eq!(coalescer.tick(Duration::ZERO), Due::Now);
        assert_eq!(coalescer.take().collect::<Vec<_>>(), [fact(1)]);
        assert_eq!(coalescer.change(1, fact(0), Visits::Report, Duration::ZERO), Decision::SendNow(fact(0)));
    }

    #[test]
    fn counts_are_gathered_and_an_transition_takes_their_place() {
        let mut coalescer = Coalescer::default();
        assert_eq!(coalescer.change(1, fact(2), Visits::Report, Duration::ZERO), Decision::Later);
        assert_eq!((coalescer.tick(COALESCE / 2), coalescer.tick(COALESCE)), (Due::NotYet, Due::Now));
        assert_eq!(coalescer.change(2, fact(0), Visits::Report, COALESCE), Decision::SendNow(fact(0)));
        assert_eq!(coalescer.take().count(), 0);
    }
}
