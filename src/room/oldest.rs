//! Since when the rooms of one app on one thread keep events, to the second: however many rooms there are, there are no more
//! entries than seconds in the longest window. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// No event is kept for longer.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many rooms keep events since which second.
#[derive(Debug, Default)]
pub(super) struct OldestEvents {
    /// From when the seconds are counted: long enough before the first event that was told of.
    counted_from: Option<Instant>,
    rooms: BTreeMap<u64, usize>,
}

impl OldestEvents {
    /// A room that kept events since this second keeps them since another moment, or keeps none. Returns the second of that.
    pub(super) fn replace(&mut self, before: Option<u64>, oldest: Option<Instant>) -> Option<u64> {
        let second = oldest.map(|at| self.second(at));
        if second != before {
            before.into_iter().for_each(|second| self.remove(second));
            second.into_iter().for_each(|second| *self.rooms.entry(second).or_default() += 1);
        }
        second
    }

    /// How old the oldest event of all is, a second too old at most; zero if there is none.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let oldest = self.counted_from.zip(self.rooms.first_key_value());
        oldest.map_or(Duration::ZERO, |(from, (second, _))| {
            now.saturating_duration_since(from + Duration::from_secs(*second))
        })
    }

    fn second(&mut self, at: Instant) -> u64 {
        let from = *self.counted_from.get_or_insert_with(|| at.checked_sub(LONGEST).unwrap_or(at));
        at.saturating_duration_since(from).as_secs()
    }

    fn remove(&mut self, second: u64) {
        let Some(rooms) = self.rooms.get_mut(&second) else { return };
        *rooms -= 1;
        if *rooms == 0 {
            self.rooms.remove(&second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_age_is_that_of_the_oldest_event_of_all_rooms() {
        let (mut oldest, start) = (OldestEvents::default(), Instant::now());
        assert_eq!(oldest.age(start), Duration::ZERO);
        let first = oldest.replace(None, Some(start));
        let second = oldest.replace(None, Some(start + MILLISECOND * 20_000));
        // Another node told of it.
        let told = oldest.replace(None, Some(start - MILLISECOND * 30_000));
        let now = start + MILLISECOND * 60_000;
        assert_eq!(oldest.age(now), MILLISECOND * 90_000);
        oldest.replace(told, None);
        assert_eq!(oldest.age(now), MILLISECOND * 60_000);
        oldest.replace(first, Some(start + MILLISECOND * 50_000));
        assert_eq!(oldest.age(now), MILLISECOND * 40_000);
        oldest.replace(second, None);
        assert_eq!(oldest.age(now), MILLISECOND * 10_000);
    }

    #[test]
    fn rooms_of_one_second_are_one_entry_that_goes_with_the_last_of_them() {
        let (mut oldest, start) = (OldestEvents::default(), Instant::now());
        let rooms: Vec<_> = (0..1_000).map(|later| oldest.replace(None, Some(start + MILLISECOND * later))).collect();
        assert_eq!(oldest.rooms.len(), 1);
        for room in &rooms[1..] {
            oldest.replace(*room, None);
        }
        assert_eq!(oldest.age(start + MILLISECOND * 5_000), MILLISECOND * 5_000);
        assert_eq!(oldest.replace(rooms[0], None), None);
        assert_eq!(oldest.age(start + MILLISECOND * 5_000), Duration::ZERO);
    }
}
