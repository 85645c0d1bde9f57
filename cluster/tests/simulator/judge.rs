//! Watches a run for broken promises about events and webhooks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use gaung_cluster::{
    NodeId, Room,
    fact::{Generation, Occupancy},
    frame::Stream,
};
use gaung_simulator::Promises;

/// What happened in one run.
#[derive(Default)]
pub struct Judge {
    pub faults: Vec<String>,
    pub tally: Tally,
    promises: Promises<NodeId>,
    posted: BTreeMap<Occupancy, u64>,
    /// Occupancies that were held for a moment, with the number of their webhooks.
    visits: BTreeMap<Occupancy, u64>,
    /// Occupancies whose last announcement no reachable node still held.
    forgotten: BTreeSet<Occupancy>,
}

/// Counts over a run, added up over many. `gaps_lost` are streams with gaps between two nodes that both lived to the
/// end, `events_lost` the events in those gaps; `forgotten` are occupancies under the one exception, whose holders were
/// all dead (`bereft`) or out of reach.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub kills: u64,
    pub drains: u64,
    pub delivered: u64,
    pub promised: u64,
    pub gaps_lost: u64,
    pub events_lost: u64,
    pub snapshots: u64,
    pub mismatches: u64,
    pub posts: u64,
    pub visits: u64,
    /// Pages that were where they should be, and those that were known to be lost.
    pub pages: u64,
    pub lost_pages: u64,
    pub repeats: u64,
    pub forgotten: u64,
    pub bereft: u64,
    pub forgetful_runs: u64,
}

impl Judge {
    pub fn promise(&mut self, receiver: NodeId, origin: NodeId, room: &Room, number: u64) {
        self.tally.promised += 1;
        self.promises.promise(receiver, origin, room, number);
    }

    pub fn delivered(&mut self, receiver: NodeId, origin: NodeId, room: &Room, number: u64) {
        self.tally.delivered += 1;
        self.faults.extend(self.promises.deliver(receiver, origin, room, number));
    }

    pub fn lost(&mut self, receiver: NodeId, origin: NodeId, stream: Stream, events: u64) {
        self.promises.lose(receiver, origin, stream, events);
    }

    /// A receiver no longer wants a room: nothing more is promised to it.
    pub fn left(&mut self, receiver: NodeId, room: &Room) {
        self.promises.leave(receiver, room);
    }

    /// Nothing is promised to dead nodes, or of what they published.
    pub fn killed(&mut self, node: NodeId) {
        self.tally.kills += 1;
        self.promises.forget(node);
    }

    /// A webhook is announced. `known` is the highest generation of its occupancy among the nodes that the announcer
    /// can reach. The one exception from alternation: all who held the last announcement are dead, stopped or cut off.
    pub fn announced(&mut self, generation: &Generation, known: u64) {
        let last = self.posted.get(&generation.occupancy).copied().unwrap_or_default();
        if known < last && !is_next(last, generation.number) && generation.number != last {
            self.forgotten.insert(generation.occupancy.clone());
        }
    }

    /// A webhook is posted.
    pub fn posted(&mut self, generation: &Generation) {
        self.tally.posts += 1;
        let last = self.posted.get(&generation.occupancy).copied().unwrap_or_default();
        if generation.number == last {
            self.tally.repeats += 1;
        }
        let follows = generation.number == last || is_next(last, generation.number);
        if !follows && !self.forgotten.contains(&generation.occupancy) {
            self.faults.push(format!(
                "generation {} of {:?} was posted after {last}",
                generation.number, generation.occupancy
            ));
        }
        let before = self.posted.insert(generation.occupancy.clone(), generation.number);
        if let Some(posts) = self.visits.get_mut(&generation.occupancy).filter(|_| before != Some(generation.number)) {
            *posts += 1;
        }
    }

    /// An occupancy was held for a moment, without a fault that may hide it.
    pub fn visited(&mut self, occupancy: Occupancy) {
        self.tally.visits += 1;
        self.visits.insert(occupancy, 0);
    }

    /// A node is about to leave, and with it perhaps all that it knows of unannounced visits.
    pub fn disturbed(&mut self) {
        self.visits.retain(|_, posts| *posts > 0);
    }

    /// Both the arrival and the departure of every visit were posted, once.
    pub fn compare_visits(&mut self) {
        let wrong = self.visits.iter().filter(|(occupancy, posts)| **posts != 2 && !self.forgotten.contains(occupancy));
        self.faults.extend(
            wrong.map(|(occupancy, posts)| format!("of a visit to {occupancy:?} {posts} webhooks were posted")),
        );
    }

    /// The last generation that was posted of each occupancy.
    pub fn last_posts(&self) -> &BTreeMap<Occupancy, u64> {
        &self.posted
    }

    /// Notes that no live node knows an occupancy's last generation any more.
    pub fn forget(&mut self, occupancy: Occupancy) {
        self.tally.bereft += u64::from(self.forgotten.insert(occupancy));
    }

    /// What was posted last must agree with who is there now.
    pub fn compare_occupancys(&mut self, held: &BTreeSet<Occupancy>) {
        let occupancies: BTreeSet<&Occupancy> = held.iter().chain(self.posted.keys()).collect();
        let is_posted = |occupancy: &Occupancy| self.posted.get(occupancy).is_some_and(|number| number % 2 == 1);
        let wrong = occupancies.into_iter().filter(|occupancy| is_posted(occupancy) != held.contains(occupancy));
        let wrong = wrong.filter(|occupancy| !self.forgotten.contains(occupancy));
        let faults: Vec<String> = wrong
            .map(|occupancy| format!("the last webhook of {occupancy:?} was {:?}", self.posted.get(occupancy)))
            .collect();
        self.faults.extend(faults);
        self.tally.forgotten = self.forgotten.len() as u64;
        self.tally.forgetful_runs = u64::from(!self.forgotten.is_empty());
    }

    /// Every event that was promised arrived, or was reported lost.
    pub fn compare_events(&mut self, living: &BTreeSet<NodeId>) {
        self.faults.extend(self.promises.broken());
        let losses: Vec<u64> = self.promises.losses_among(living).collect();
        self.tally.gaps_lost = losses.len() as u64;
        self.tally.events_lost = losses.iter().sum();
    }
}

/// Whether arrivals and departures alternate. An occupancy that is new to its owner begins at the time of day, so
/// numbers may be left out.
fn is_next(last: u64, number: u64) -> bool {
    number > last && (number - last) % 2 == 1
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.kills += other.kills;
        self.drains += other.drains;
        self.delivered += other.delivered;
        self.promised += other.promised;
        self.gaps_lost += other.gaps_lost;
        self.events_lost += other.events_lost;
        self.snapshots += other.snapshots;
        self.mismatches += other.mismatches;
        self.posts += other.posts;
        self.visits += other.visits;
        self.pages += other.pages;
        self.lost_pages += other.lost_pages;
        self.repeats += other.repeats;
        self.forgotten += other.forgotten;
        self.bereft += other.bereft;
        self.forgetful_runs += other.forgetful_runs;
    }
}
