//! How far the webhooks of all occupancies have come: the generations, merged by maximum, and the floors below which
//! the forgotten ones lie.
//!
//! Bounds: one entry for each occupancy that is held, and of those that are vacated [`MAX_VACATED`] and what is on its
//! way to be forgotten.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::{
    codec::record_hash,
    fact::{Generation, Occupancy, Phase, Record},
    hash::hash_texts,
};

/// How long a vacated occupancy is remembered after its webhook.
const RETIRE: Duration = Duration::from_secs(600);

/// After how long a vacated occupancy that was another node's to forget is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Vacated occupancies that are remembered at most; beyond it the oldest are forgotten early.
const MAX_VACATED: usize = 1 << 16;

/// Into how many floors the forgotten occupancies are put.
const SLOTS: u64 = 1024;

/// Stands for all floors.
pub(super) const ALL_SLOTS: u16 = u16::MAX;

/// The generations of all occupancies.
#[derive(Debug, Default)]
pub(super) struct Generations {
    entries: BTreeMap<Occupancy, Entry>,
    floors: BTreeMap<u16, u64>,
    hash: u64,
    /// The vacated occupancies, by when they are to be forgotten.
    vacated: BTreeSet<(Duration, Occupancy)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u64,
    phase: Phase,
    /// When it is to be forgotten, if it is vacated.
    retire_at: Option<Duration>,
}

impl Generations {
    /// Takes a generation in; returns whether anything changed.
    pub(super) fn merge(&mut self, generation: &Generation, now: Duration) -> bool {
        let known = self.entries.get(&generation.occupancy).copied();
        if generation.phase == Phase::Retired {
            self.raise(slot(&generation.occupancy), generation.number);
            let is_retired = known.is_some_and(|known| known.number <= generation.number);
            if is_retired {
                self.remove(&generation.occupancy);
            }
            return is_retired;
        }
        let new = (generation.number, generation.phase);
        if known.is_some_and(|known| (known.number, known.phase) >= new) {
            return false;
        }
        self.remove(&generation.occupancy);
        let is_vacated = generation.number.is_multiple_of(2) && generation.phase == Phase::Done;
        let retire_at = is_vacated.then_some(now + RETIRE);
        let entry = Entry { number: generation.number, phase: generation.phase, retire_at };
        self.vacated.extend(retire_at.map(|at| (at, generation.occupancy.clone())));
        self.hash = self.hash.wrapping_add(record_hash(&record(&generation.occupancy, &entry)));
        self.entries.insert(generation.occupancy.clone(), entry);
        true
    }

    /// No occupancy of a slot may use a number up to this one again.
    pub(super) fn raise(&mut self, slot: u16, number: u64) {
        let known = self.floors.get(&slot).copied();
        if known.is_some_and(|known| known >= number) || (u64::from(slot) >= SLOTS && slot != ALL_SLOTS) {
            return;
        }
        let removed = known.map_or(0, |number| record_hash(&Record::Floor { slot, number }));
        self.hash = self.hash.wrapping_sub(removed).wrapping_add(record_hash(&Record::Floor { slot, number }));
        self.floors.insert(slot, number);
    }

    /// A forgotten occupancy is vacated, and never reuses a number that it may have had.
    pub(super) fn current(&self, occupancy: &Occupancy) -> (u64, Phase) {
        let forgotten = || self.floor(slot(occupancy)).max(self.floor(ALL_SLOTS));
        self.entries.get(occupancy).map_or_else(|| (forgotten(), Phase::Done), |entry| (entry.number, entry.phase))
    }

    /// The floor of all occupancies, if any node has published one.
    pub(super) fn global_floor(&self) -> Option<u64> {
        self.floors.get(&ALL_SLOTS).copied()
    }

    /// Those of `most` vacated occupancies that are to be forgotten, because they were quiet for long or are too many,
    /// that are ours to forget.
    pub(super) fn retirements(
        &mut self,
        is_ours: impl Fn(&Occupancy) -> bool,
        most: usize,
        now: Duration,
    ) -> Vec<Generation> {
        let mut ours = Vec::new();
        for _ in 0..most {
            let is_due = self.vacated.first().is_some_and(|(at, _)| *at < now) || self.vacated.len() > MAX_VACATED;
            let Some((_, occupancy)) = (if is_due { self.vacated.pop_first() } else { None }) else { return ours };
            let Some(entry) = self.entries.get_mut(&occupancy) else { continue };
            entry.retire_at = Some(now + LOOK_AGAIN);
            if is_ours(&occupancy) {
                ours.push(Generation { occupancy: occupancy.clone(), number: entry.number, phase: Phase::Retired });
            }
            self.vacated.insert((now + LOOK_AGAIN, occupancy));
        }
        ours
    }

    /// The hash of all generations and floors.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// All generations of the occupancies after one, ordered by occupancy.
    pub(super) fn after(&self, after: Bound<&Occupancy>) -> impl Iterator<Item = Record> {
        self.entries.range::<Occupancy, _>((after, Bound::Unbounded)).map(|(occupancy, entry)| record(occupancy, entry))
    }

    /// The floors of the slots after one, in order.
    pub(super) fn floors_after(&self, after: Bound<u16>) -> impl Iterator<Item = Record> {
        let floors = self.floors.range((after, Bound::Unbounded));
        floors.map(|(slot, number)| Record::Floor { slot: *slot, number: *number })
    }

    fn remove(&mut self, occupancy: &Occupancy) {
        let Some(entry) = self.entries.remove(occupancy) else { return };
        self.hash = self.hash.wrapping_sub(record_hash(&record(occupancy, &entry)));
        if let Some(at) = entry.retire_at {
            self.vacated.remove(&(at, occupancy.clone()));
        }
    }

    /// The highest even number below which nothing of a slot is used.
    fn floor(&self, slot: u16) -> u64 {
        self.floors.get(&slot).map_or(0, |floor| floor & !1)
    }
}

fn record(occupancy: &Occupancy, entry: &Entry) -> Record {
    Record::Generation(Generation { occupancy: occupancy.clone(), number: entry.number, phase: entry.phase })
}

fn name(occupancy: &Occupancy) -> u64 {
    hash_texts(&[occupancy.room.app(), occupancy.room.channel(), occupancy.user.as_deref().unwrap_or_default()])
}

fn slot(occupancy: &Occupancy) -> u16 {
    u16::try_from(name(occupancy) % SLOTS).expect("there are fewer slots than 65,536")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Room;

    fn vacated(number: usize) -> Generation {
        let room = Room::new("shop", &format!("room-{number}")).expect("the name is short");
        Generation { occupancy: Occupancy { room, user: None }, number: 2, phase: Phase::Done }
    }

    fn filled(count: usize) -> Generations {
        let mut generations = Generations::default();
        for number in 0..count {
            assert!(generations.merge(&vacated(number), Duration::from_millis(number as u64)));
        }
        generations
    }

    #[test]
    fn vacated_occupancies_beyond_the_bound_are_forgotten_early_the_oldest_first() {
        let mut generations = filled(MAX_VACATED + 2);
        let now = Duration::from_secs(100);
        let retired = generations.retirements(|_| true, 1, now);
        assert_eq!(retired, [Generation { phase: Phase::Retired, ..vacated(0) }]);
        for generation in retired {
            generations.merge(&generation, now);
        }
        for generation in generations.retirements(|_| true, 9, now).iter().take(1) {
            generations.merge(generation, now);
        }
        assert_eq!(generations.retirements(|_| true, 9, now), []);
        assert_eq!((generations.entries.len(), generations.vacated.len()), (MAX_VACATED, MAX_VACATED));
    }

    #[test]
    fn what_is_another_nodes_to_forget_is_looked_at_again_later() {
        let mut generations = filled(1);
        let now = RETIRE + Duration::from_secs(1);
        assert_eq!(generations.retirements(|_| false, 9, now), []);
        assert_eq!(generations.retirements(|_| true, 9, now), []);
        assert_eq!(generations.retirements(|_| true, 9, now + LOOK_AGAIN * 2).len(), 1);
    }

    #[test]
    fn an_occupancy_that_is_held_again_is_not_forgotten() {
        let mut generations = filled(1);
        generations.merge(&Generation { number: 3, ..vacated(0) }, Duration::ZERO);
        assert_eq!(generations.retirements(|_| true, 9, RETIRE * 2), []);
        assert_eq!(generations.vacated.len(), 0);
    }
}
