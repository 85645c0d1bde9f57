//! The occupancies whose last webhook is not true any more or not done, and when to check them.
//!
//! Bounds: an occupancy is in here once, with one time at which it is checked. Vacated ones are in here while their
//! webhook is due; of those that were occupied only between two checks (visits) at most [`MAX_VISITS`], for [`VISIT`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::fact::Occupancy;

/// How long an unannounced arrival is remembered after it has left again: during a rolling restart it may take so long
/// until there are enough nodes to decide.
const VISIT: Duration = Duration::from_secs(60);

/// Visits at most; beyond it the oldest are not reported.
const MAX_VISITS: usize = 1 << 16;

#[derive(Debug, Default)]
pub(super) struct Pending {
    occupancies: BTreeMap<Occupancy, Open>,
    /// When to check which of them.
    schedule: BTreeSet<(Duration, Occupancy)>,
    /// Those whose arrival is to be announced although it has ended.
    visits: BTreeSet<(Duration, Occupancy)>,
    /// How far all of them have been rescheduled, while that is in progress.
    rescan: Option<Option<Occupancy>>,
}

/// What is known of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// Since when that is so.
    pub since: Duration,
    /// The generation at the time of an arrival that is to be announced, whether or not it has ended.
    pub arrival: Option<u64>,
    /// Its time on the schedule.
    at: Option<Duration>,
}

/// What an occupancy is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Occupied,
    /// Vacant, which is to be announced.
    Vacated,
    /// Vacant again, and its arrival was not announced.
    Visited,
}

impl Pending {
    /// What is known of an occupancy; `None` if nothing is pending.
    pub(super) fn get(&self, occupancy: &Occupancy) -> Option<Open> {
        self.occupancies.get(occupancy).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.occupancies.is_empty()
    }

    /// An occupancy's last webhook is not true any more or not done; it is to be checked `debounce` after that began.
    pub(super) fn open(
        &mut self,
        occupancy: &Occupancy,
        state: State,
        arrival: Option<u64>,
        (now, debounce): (Duration, Duration),
    ) {
        let before = self.take(occupancy);
        let since = before.map_or(now, |open| open.since);
        let at = since + debounce;
        self.schedule.insert((at, occupancy.clone()));
        if state == State::Visited {
            self.visits.insert((since, occupancy.clone()));
        }
        self.occupancies.insert(occupancy.clone(), Open { since, arrival, at: Some(at) });
    }

    /// An occupancy's last webhook is true and done.
    pub(super) fn resolve(&mut self, occupancy: &Occupancy) {
        self.take(occupancy);
    }

    /// An arrival is announced, or given up.
    pub(super) fn answer(&mut self, occupancy: &Occupancy) {
        if let Some(open) = self.occupancies.get_mut(occupancy)
            && open.arrival.take().is_some()
        {
            self.visits.remove(&(open.since, occupancy.clone()));
        }
    }

    /// The next visit that is too long ago, or one too many.
    pub(super) fn overdue_visit(&mut self, now: Duration) -> Option<Occupancy> {
        let is_old = self.visits.first().is_some_and(|(since, _)| now.saturating_sub(*since) > VISIT);
        let is_overdue = is_old || self.visits.len() > MAX_VISITS;
        if is_overdue { self.visits.first().map(|(_, occupancy)| occupancy.clone()) } else { None }
    }

    /// Schedules the check of an occupancy.
    pub(super) fn check_at(&mut self, occupancy: &Occupancy, at: Duration) {
        let Some(open) = self.occupancies.get_mut(occupancy) else { return };
        if let Some(earlier) = open.at.replace(at) {
            self.schedule.remove(&(earlier, occupancy.clone()));
        }
        self.schedule.insert((at, occupancy.clone()));
    }

    /// The next occupancy whose time it is.
    pub(super) fn due(&mut self, now: Duration) -> Option<Occupancy> {
        if self.schedule.first()?.0 > now {
            return None;
        }
        let (_, occupancy) = self.schedule.pop_first()?;
        if let Some(open) = self.occupancies.get_mut(&occupancy) {
            open.at = None;
        }
        Some(occupancy)
    }

    /// All occupancies are to be checked again: this node may own others now.
    pub(super) fn rescan(&mut self) {
        self.rescan = Some(None);
    }

    /// Schedules the next occupancies that are not on the schedule.
    pub(super) fn continue_work(&mut self, most: usize) {
        let Some(after) = self.rescan.take() else { return };
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (occupancy, open) in self.occupancies.range_mut::<Occupancy, _>((from, Bound::Unbounded)).take(most) {
            if open.at.is_none() {
                open.at = Some(open.since);
                self.schedule.insert((open.since, occupancy.clone()));
            }
            last = Some(occupancy.clone());
        }
        self.rescan = last.map(Some);
    }

    fn take(&mut self, occupancy: &Occupancy) -> Option<Open> {
        let open = self.occupancies.remove(occupancy)?;
        if let Some(at) = open.at {
            self.schedule.remove(&(at, occupancy.clone()));
        }
        if open.arrival.is_some() {
            self.visits.remove(&(open.since, occupancy.clone()));
        }
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;

    const NOW: Duration = Duration::from_secs(100);

    fn occupancy(number: usize) -> Occupancy {
        Occupancy { room: Room::new("shop", &format!("room-{number}")).expect("the name is short"), user: None }
    }

    fn sizes(pending: &Pending) -> (usize, usize, usize) {
        (pending.occupancies.len(), pending.schedule.len(), pending.visits.len())
    }

    #[test]
    fn an_occupancy_that_comes_and_goes_over_and_over_is_one_occupancy() {
        let mut pending = Pending::default();
        for second in 0..1000 {
            let now = Duration::from_secs(second);
            pending.open(&occupancy(1), State::Occupied, Some(0), (now, Duration::ZERO));
            pending.open(&occupancy(1), State::Visited, Some(0), (now, Duration::ZERO));
            pending.check_at(&occupancy(1), now * 2);
        }
        assert_eq!(sizes(&pending), (1, 1, 1));
        pending.resolve(&occupancy(1));
        assert_eq!(sizes(&pending), (0, 0, 0));
    }

    #[test]
    fn an_unannounced_visit_is_given_up_after_a_while_or_when_there_are_too_many() {
        let mut pending = Pending::default();
        pending.open(&occupancy(0), State::Visited, Some(0), (NOW, Duration::ZERO));
        assert_eq!(pending.overdue_visit(NOW + VISIT), None);
        assert_eq!(pending.overdue_visit(NOW + VISIT * 2), Some(occupancy(0)));
        for number in 1..=MAX_VISITS {
            pending.open(&occupancy(number), State::Visited, Some(0), (NOW, Duration::ZERO));
        }
        let overdue = pending.overdue_visit(NOW).expect("there is one too many");
        pending.answer(&overdue);
        assert_eq!(pending.overdue_visit(NOW), None);
    }

    #[test]
    fn all_occupancies_come_to_the_agenda_anew_in_bounded_steps() {
        let mut pending = Pending::default();
        (0..10).for_each(|number| pending.open(&occupancy(number), State::Vacated, None, (NOW, Duration::ZERO)));
        while pending.due(NOW).is_some() {}
        pending.rescan();
        let steps = [4, 8, 10, 10].map(|expected| {
            pending.continue_work(4);
            (expected, pending.schedule.len())
        });
        assert!(steps.iter().all(|(expected, len)| expected == len), "{steps:?}");
    }
}
