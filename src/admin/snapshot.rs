//! What the console shows: figures by app, with rates since the last look. Pure: the caller brings counts and clock.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::Serialize;

use super::RoomTotals;

/// One look at the node, as it goes over the wire.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Snapshot {
    pub(super) version: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) ready: bool,
    pub(super) apps: Vec<AppFigures>,
}

/// One app's line.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct AppFigures {
    app: String,
    connections: usize,
    /// `None` while the rooms do not answer; likewise the next two.
    rooms: Option<usize>,
    subscriptions: Option<usize>,
    members: Option<usize>,
    events_per_second: f64,
    deliveries_per_second: f64,
}

/// What one app has counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) connections: usize,
    /// From back ends and clients.
    pub(super) events: u64,
    pub(super) deliveries: u64,
}

/// The last look, from which rates are taken.
#[derive(Debug, Default)]
pub(super) struct LastLook {
    at: Duration,
    counted: HashMap<Arc<str>, Counted>,
}

impl LastLook {
    /// Remembers this look, and tells what happened since the one before. Rates of apps that are seen for the first
    /// time are zero.
    pub(super) fn advance(
        &mut self,
        at: Duration,
        counted: Vec<(Arc<str>, Counted)>,
        rooms: Option<&RoomTotals>,
    ) -> Vec<AppFigures> {
        let seconds = (at.saturating_sub(self.at)).as_secs_f64();
        let figures = counted.iter().map(|(app, now)| self.figures(app, *now, seconds, rooms)).collect();
        *self = Self { at, counted: counted.into_iter().collect() };
        figures
    }

    fn figures(&self, app: &Arc<str>, now: Counted, seconds: f64, rooms: Option<&RoomTotals>) -> AppFigures {
        let before = self.counted.get(app).copied().unwrap_or(now);
        let totals = rooms.map(|rooms| rooms.get(app).copied().unwrap_or_default());
        AppFigures {
            app: app.to_string(),
            connections: now.connections,
            rooms: totals.map(|totals| totals.rooms),
            subscriptions: totals.map(|totals| totals.subscriptions),
            members: totals.map(|totals| totals.members),
            events_per_second: rate(before.events, now.events, seconds),
            deliveries_per_second: rate(before.deliveries, now.deliveries, seconds),
        }
    }
}

/// To one decimal. An app that was removed and added again counts from zero, which is not a negative rate.
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        return 0.0;
    }
    (now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::AppTotals;

    fn look(last: &mut LastLook, seconds: u64, events: u64, deliveries: u64) -> (f64, f64) {
        let counted = Counted { connections: 1, events, deliveries };
        let figures = last.advance(Duration::from_secs(seconds), vec![("1".into(), counted)], None);
        (figures[0].events_per_second, figures[0].deliveries_per_second)
    }

    #[test]
    fn the_first_look_knows_no_rate() {
        assert_eq!(look(&mut LastLook::default(), 100, 5_000, 90_000), (0.0, 0.0));
    }

    #[test]
    fn rates_are_what_came_since_the_last_look_over_the_time_between() {
        let mut last = LastLook::default();
        look(&mut last, 100, 5_000, 90_000);
        assert_eq!(look(&mut last, 102, 5_005, 90_400), (2.5, 200.0));
        assert_eq!(look(&mut last, 103, 5_005, 90_400), (0.0, 0.0));
    }

    #[test]
    fn an_app_that_counts_from_zero_again_has_no_negative_rate() {
        let mut last = LastLook::default();
        look(&mut last, 100, 5_000, 90_000);
        assert_eq!(look(&mut last, 101, 3, 0), (0.0, 0.0));
    }

    #[test]
    fn an_app_without_rooms_has_none_and_silent_rooms_are_not_shown_as_zero() {
        let counted = || vec![("1".into(), Counted::default()), ("2".into(), Counted::default())];
        let totals = RoomTotals::from([("1".into(), AppTotals { rooms: 2, subscriptions: 3, members: 1 })]);
        let mut last = LastLook::default();
        let rooms = |figures: Vec<AppFigures>| figures.iter().map(|app| app.rooms).collect::<Vec<_>>();
        assert_eq!(rooms(last.advance(Duration::ZERO, counted(), Some(&totals))), [Some(2), Some(0)]);
        assert_eq!(rooms(last.advance(Duration::ZERO, counted(), None)), [None, None]);
    }
}
