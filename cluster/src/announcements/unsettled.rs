//! The edges whose last webhook is not the truth or not done, and when to look at which of them.
//!
//! Bounds: an edge is in here once, and has one time at which it is looked at. Edges that nobody holds are in here while
//! their webhook is due; of those that somebody held only between two looks, [`MAX_VISITS`], for [`VISIT`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::fact::Edge;

/// For how long an arrival that nobody has announced is remembered once it has left again: while nodes restart one after
/// the other, it may take so long until there are enough of them to speak.
const VISIT: Duration = Duration::from_secs(60);

/// How many of these at most; beyond it the oldest are not told of.
const MAX_VISITS: usize = 1 << 16;

/// The edges.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    edges: BTreeMap<Edge, Open>,
    /// When to look at which of them.
    agenda: BTreeSet<(Duration, Edge)>,
    /// Those whose arrival is to be announced although they have left again.
    visits: BTreeSet<(Duration, Edge)>,
    /// How far all of them have been put on the agenda anew, while that is under way.
    rescan: Option<Option<Edge>>,
}

/// What is known of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// Since when that is so.
    pub since: Duration,
    /// The number that an arrival found that is to be announced, whether or not it has left again.
    pub arrival: Option<u64>,
    /// Its place on the agenda.
    at: Option<Duration>,
}

/// What an edge is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Somebody holds it.
    Held,
    /// Nobody does, and that is to be told.
    Left,
    /// Nobody does, and nobody was told that somebody had come.
    Visited,
}

impl Unsettled {
    /// What is known of an edge; nothing if it is settled.
    pub fn get(&self, edge: &Edge) -> Option<Open> {
        self.edges.get(edge).copied()
    }

    /// Whether all edges are settled.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// An edge's last webhook is not the truth or not done; it is to be looked at so long after that became so.
    pub fn open(&mut self, edge: &Edge, state: State, arrival: Option<u64>, (now, patience): (Duration, Duration)) {
        let before = self.take(edge);
        let since = before.map_or(now, |open| open.since);
        let at = since + patience;
        self.agenda.insert((at, edge.clone()));
        if state == State::Visited {
            self.visits.insert((since, edge.clone()));
        }
        self.edges.insert(edge.clone(), Open { since, arrival, at: Some(at) });
    }

    /// An edge's last webhook is the truth and done.
    pub fn settle(&mut self, edge: &Edge) {
        self.take(edge);
    }

    /// An arrival is announced, or nobody waits for that any longer.
    pub fn answer(&mut self, edge: &Edge) {
        if let Some(open) = self.edges.get_mut(edge)
            && open.arrival.take().is_some()
        {
            self.visits.remove(&(open.since, edge.clone()));
        }
    }

    /// The next visit that is too long ago, or one too many.
    pub fn overdue_visit(&mut self, now: Duration) -> Option<Edge> {
        let is_old = self.visits.first().is_some_and(|(since, _)| now.saturating_sub(*since) > VISIT);
        let is_overdue = is_old || self.visits.len() > MAX_VISITS;
        if is_overdue { self.visits.first().map(|(_, edge)| edge.clone()) } else { None }
    }

    /// Looks at an edge at this time.
    pub fn look_at(&mut self, edge: &Edge, at: Duration) {
        let Some(open) = self.edges.get_mut(edge) else { return };
        if let Some(earlier) = open.at.replace(at) {
            self.agenda.remove(&(earlier, edge.clone()));
        }
        self.agenda.insert((at, edge.clone()));
    }

    /// The next edge whose time it is.
    pub fn due(&mut self, now: Duration) -> Option<Edge> {
        if self.agenda.first()?.0 > now {
            return None;
        }
        let (_, edge) = self.agenda.pop_first()?;
        if let Some(open) = self.edges.get_mut(&edge) {
            open.at = None;
        }
        Some(edge)
    }

    /// All edges are to be looked at anew: others may be ours now.
    pub fn rescan(&mut self) {
        self.rescan = Some(None);
    }

    /// Puts the next edges on the agenda that are not on it.
    pub fn go_on(&mut self, most: usize) {
        let Some(after) = self.rescan.take() else { return };
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (edge, open) in self.edges.range_mut::<Edge, _>((from, Bound::Unbounded)).take(most) {
            if open.at.is_none() {
                open.at = Some(open.since);
                self.agenda.insert((open.since, edge.clone()));
            }
            last = Some(edge.clone());
        }
        self.rescan = last.map(Some);
    }

    fn take(&mut self, edge: &Edge) -> Option<Open> {
        let open = self.edges.remove(edge)?;
        if let Some(at) = open.at {
            self.agenda.remove(&(at, edge.clone()));
        }
        if open.arrival.is_some() {
            self.visits.remove(&(open.since, edge.clone()));
        }
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;

    const NOW: Duration = Duration::from_secs(100);

    fn edge(number: usize) -> Edge {
        Edge { room: Room::new("shop", &format!("room-{number}")).expect("the name is short"), user: None }
    }

    fn sizes(unsettled: &Unsettled) -> (usize, usize, usize) {
        (unsettled.edges.len(), unsettled.agenda.len(), unsettled.visits.len())
    }

    #[test]
    fn an_edge_that_comes_and_goes_over_and_over_is_one_edge() {
        let mut unsettled = Unsettled::default();
        for second in 0..1000 {
            let now = Duration::from_secs(second);
            unsettled.open(&edge(1), State::Held, Some(0), (now, Duration::ZERO));
            unsettled.open(&edge(1), State::Visited, Some(0), (now, Duration::ZERO));
            unsettled.look_at(&edge(1), now * 2);
        }
        assert_eq!(sizes(&unsettled), (1, 1, 1));
        unsettled.settle(&edge(1));
        assert_eq!(sizes(&unsettled), (0, 0, 0));
    }

    #[test]
    fn a_visit_that_nobody_announces_is_given_up_after_a_while_or_when_there_are_too_many() {
        let mut unsettled = Unsettled::default();
        unsettled.open(&edge(0), State::Visited, Some(0), (NOW, Duration::ZERO));
        assert_eq!(unsettled.overdue_visit(NOW + VISIT), None);
        assert_eq!(unsettled.overdue_visit(NOW + VISIT * 2), Some(edge(0)));
        for number in 1..=MAX_VISITS {
            unsettled.open(&edge(number), State::Visited, Some(0), (NOW, Duration::ZERO));
        }
        let overdue = unsettled.overdue_visit(NOW).expect("there is one too many");
        unsettled.answer(&overdue);
        assert_eq!(unsettled.overdue_visit(NOW), None);
    }

    #[test]
    fn all_edges_come_to_the_agenda_anew_in_bounded_steps() {
        let mut unsettled = Unsettled::default();
        (0..10).for_each(|number| unsettled.open(&edge(number), State::Left, None, (NOW, Duration::ZERO)));
        while unsettled.due(NOW).is_some() {}
        unsettled.rescan();
        let steps = [4, 8, 10, 10].map(|expected| {
            unsettled.go_on(4);
            (expected, unsettled.agenda.len())
        });
        assert!(steps.iter().all(|(expected, len)| expected == len), "{steps:?}");
    }
}
