//! Posts each webhook once in the cluster. Each occupancy has a generation, odd while occupied or added, even while
//! vacated or removed, merged by maximum. The occupancy's owner announces the next generation, waits until a peer holds
//! it, posts it under an id derived from it, and publishes it as done; a new owner repeats what is announced and not
//! done, with the same id.

mod generations;
mod pending;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::{
    fact::{Generation, Occupancy, Phase, Record},
    hash::{hash_texts, spread},
    room::NodeId,
};
use generations::{ALL_SLOTS, Generations};
use pending::{Pending, State};

/// How long a vacated room or a removed member may come back without a webhook.
const DEBOUNCE: Duration = Duration::from_secs(3);

/// How long the set of voters must have been stable before one of them announces anything.
const STABLE_FOR: Duration = Duration::from_millis(2500);

/// Occupancies that are checked in one step at most.
const MAX_PER_STEP: usize = 250;

/// The generations of all occupancies, and what this node does about them.
#[derive(Debug, Default)]
pub struct Announcements {
    generations: Generations,
    pending: Pending,
    owned: BTreeMap<Occupancy, Stage>,
    /// Announcements that no peer is known to hold yet, by the state stream's number.
    unacknowledged: BTreeSet<(u64, Occupancy)>,
    /// The floor of all occupancies, as this node published it.
    published_floor: Option<PublishedFloor>,
    voters: BTreeSet<NodeId>,
    stable_since: Duration,
}

/// The floor of all occupancies that this node published, and the state stream's number of that frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PublishedFloor {
    floor: u64,
    number: u64,
}

/// What this node does about an occupancy's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Announced with the state stream's number.
    Announced { generation: u64, number: u64 },
    /// Given to the caller to be posted.
    Posting { generation: u64 },
}

/// What is to be done next about an occupancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish this record, then pass its number to [`Announcements::announced`].
    Announce(Generation),
    /// Post this webhook, then call [`Announcements::posted`].
    Post(Generation),
    /// Publish that this may be forgotten.
    Retire(Generation),
}

impl Announcements {
    /// Takes a record in; returns the occupancy that it changed.
    pub fn merge(&mut self, record: &Record, now: Duration) -> Option<Occupancy> {
        match record {
            Record::Generation(generation) => self.merge_generation(generation, now),
            Record::Floor { slot, number } => {
                self.generations.raise(*slot, *number);
                None
            }
            Record::Cached { .. } => None,
        }
    }

    /// Compares an occupancy with the truth: whether any node holds it. An arrival is announced even if it has ended
    /// before it could be announced.
    pub fn compare(&mut self, occupancy: &Occupancy, truth: Truth, now: Duration) {
        let (number, phase) = self.generations.current(occupancy);
        let is_vacated = number.is_multiple_of(2);
        let earlier = self.pending.get(occupancy).and_then(|open| open.arrival).filter(|_| is_vacated);
        let arrival = earlier.or((is_vacated && truth == Truth::Occupied).then_some(number));
        let agrees = is_vacated == (truth == Truth::Vacant);
        if agrees && phase != Phase::Announced && arrival.is_none() {
            return self.pending.resolve(occupancy);
        }
        let state = match (truth, arrival) {
            (Truth::Occupied, _) => State::Occupied,
            (Truth::Vacant, Some(_)) => State::Visited,
            (Truth::Vacant, None) => State::Vacated,
        };
        self.pending.open(occupancy, state, arrival, (now, debounce(truth, phase, arrival)));
    }

    /// The floor of all occupancies, if this node is to publish it; then call [`Announcements::floor_published`]. The
    /// first node takes twice the seconds since the Unix epoch. So a restarted cluster reuses no number of the previous
    /// one: an occupancy has less than two transitions a second, because it is debounced for longer.
    ///
    /// Every node publishes it again, and announces nothing before enough others hold it. If a cluster splits as it
    /// starts, each side has a floor of its own; what the smaller side announced would be higher than what the larger
    /// side posted meanwhile, and win once they meet.
    pub fn floor_to_publish(&self, node: NodeId, seconds: u64, now: Duration) -> Option<Record> {
        let number = match self.generations.global_floor() {
            Some(floor) if self.published_floor.is_none_or(|published| published.floor != floor) => floor,
            None if !self.pending.is_empty() && self.may_act(node, now) => seconds.saturating_mul(2),
            Some(_) | None => return None,
        };
        Some(Record::Floor { slot: ALL_SLOTS, number })
    }

    /// The floor of all occupancies was published as the state stream's `number`.
    pub fn floor_published(&mut self, number: u64) {
        self.published_floor = self.generations.global_floor().map(|floor| PublishedFloor { floor, number });
    }

    /// Sets the nodes that take part in decisions, this node included if it does.
    pub fn set_voters(&mut self, voters: BTreeSet<NodeId>, now: Duration) -> Vote {
        if voters == self.voters {
            return Vote::Unchanged;
        }
        self.voters = voters;
        self.disturb(now);
        Vote::Changed
    }

    /// This node may have missed announcements: it listens for a while before it announces anything again.
    pub fn disturb(&mut self, now: Duration) {
        self.stable_since = now;
        self.owned.retain(|_, stage| matches!(stage, Stage::Posting { .. }));
        self.unacknowledged.clear();
        self.pending.rescan();
    }

    /// What this node is to do now. `truth` is the view's; `seen` is up to where enough peers have followed this node,
    /// `None` if there is no other voter.
    pub fn act(
        &mut self,
        node: NodeId,
        truth: impl Fn(&Occupancy) -> Truth,
        seen: Option<u64>,
        now: Duration,
    ) -> Vec<Action> {
        if !self.may_act(node, now) || !self.is_floor_held(seen) {
            return Vec::new();
        }
        self.pending.continue_work(MAX_PER_STEP);
        let mut actions = Vec::new();
        for occupancy in self.due(seen, now) {
            if self.owner(&occupancy) == Some(node) {
                actions.extend(self.next(&occupancy, truth(&occupancy), (seen, now)));
            }
        }
        actions
    }

    /// Gives up visits that were not announced in time; called regularly, also while this node may not decide.
    pub fn give_up_visits(&mut self, now: Duration) {
        for _ in 0..MAX_PER_STEP {
            let Some(occupancy) = self.pending.overdue_visit(now) else { return };
            self.pending.answer(&occupancy);
            self.compare(&occupancy, Truth::Vacant, now);
        }
    }

    /// The occupancies to check now.
    fn due(&mut self, seen: Option<u64>, now: Duration) -> Vec<Occupancy> {
        let mut occupancies = Vec::new();
        while occupancies.len() < MAX_PER_STEP
            && let Some((_, occupancy)) =
                pop_if(&mut self.unacknowledged, |number| seen.is_none_or(|seen| *number <= seen))
        {
            occupancies.push(occupancy);
        }
        while occupancies.len() < MAX_PER_STEP
            && let Some(occupancy) = self.pending.due(now)
        {
            occupancies.push(occupancy);
        }
        occupancies
    }

    /// Vacated occupancies of this node to forget: without a transition for long, or too many.
    pub fn retirements(&mut self, node: NodeId, now: Duration) -> Vec<Action> {
        let voters = &self.voters;
        let retired =
            self.generations.retirements(|occupancy| owner(voters, occupancy) == Some(node), MAX_PER_STEP, now);
        retired.into_iter().map(Action::Retire).collect()
    }

    /// An announcement was published as the state stream's `number`.
    pub fn announced(&mut self, generation: &Generation, number: u64) {
        let stage = Stage::Announced { generation: generation.number, number };
        self.owned.insert(generation.occupancy.clone(), stage);
        self.unacknowledged.insert((number, generation.occupancy.clone()));
    }

    /// A webhook was posted; returns the record to publish.
    pub fn posted(&mut self, occupancy: &Occupancy, number: u64) -> Option<Generation> {
        if self.owned.get(occupancy) != Some(&Stage::Posting { generation: number }) {
            return None;
        }
        self.owned.remove(occupancy);
        // What became due meanwhile was skipped, and another node may have published this as done already.
        self.pending.check_at(occupancy, Duration::ZERO);
        Some(Generation { occupancy: occupancy.clone(), number, phase: Phase::Done })
    }

    /// The hash of all generations and floors.
    pub fn hash(&self) -> u64 {
        self.generations.hash()
    }

    /// All generations of the occupancies after one, ordered by occupancy.
    pub fn generations_after(&self, after: Bound<&Occupancy>) -> impl Iterator<Item = Record> {
        self.generations.after(after)
    }

    /// The floors of the slots after one, in order.
    pub fn floors_after(&self, after: Bound<u16>) -> impl Iterator<Item = Record> {
        self.generations.floors_after(after)
    }

    fn next(&mut self, occupancy: &Occupancy, truth: Truth, (seen, now): (Option<u64>, Duration)) -> Option<Action> {
        let open = self.pending.get(occupancy)?;
        let (current, phase) = self.generations.current(occupancy);
        let number = if phase == Phase::Announced { current } else { current.saturating_add(1) };
        let generation = Generation { occupancy: occupancy.clone(), number, phase: Phase::Announced };
        match self.owned.get(occupancy) {
            Some(Stage::Posting { .. }) => None,
            Some(Stage::Announced { generation: mine, number: at }) if *mine == number => {
                let is_held = seen.is_none_or(|seen| seen >= *at);
                is_held.then(|| {
                    self.owned.insert(occupancy.clone(), Stage::Posting { generation: number });
                    Action::Post(generation)
                })
            }
            Some(Stage::Announced { .. }) | None => {
                let at = open.since + debounce(truth, phase, open.arrival);
                if at > now {
                    self.pending.check_at(occupancy, at);
                    return None;
                }
                Some(Action::Announce(generation))
            }
        }
    }

    fn merge_generation(&mut self, generation: &Generation, now: Duration) -> Option<Occupancy> {
        if !self.generations.merge(generation, now) {
            return None;
        }
        let arrival = self.pending.get(&generation.occupancy).and_then(|open| open.arrival);
        if generation.phase != Phase::Retired && arrival.is_some_and(|found| generation.number > found) {
            self.pending.answer(&generation.occupancy);
        }
        Some(generation.occupancy.clone())
    }

    /// Whether a node is a voter, and the set of voters has been stable for long enough.
    fn may_act(&self, node: NodeId, now: Duration) -> bool {
        self.voters.contains(&node) && now.saturating_sub(self.stable_since) >= STABLE_FOR
    }

    /// Whether enough others hold the floor that this node published, and it is still the current one.
    fn is_floor_held(&self, seen: Option<u64>) -> bool {
        let floor = self.generations.global_floor();
        self.published_floor
            .is_some_and(|published| Some(published.floor) == floor && seen.is_none_or(|seen| seen >= published.number))
    }

    fn owner(&self, occupancy: &Occupancy) -> Option<NodeId> {
        owner(&self.voters, occupancy)
    }
}

/// The voter with the highest rendezvous hash. It owns a room and its members alike, so that their webhooks are posted
/// in order.
fn owner(voters: &BTreeSet<NodeId>, occupancy: &Occupancy) -> Option<NodeId> {
    let name = hash_texts(&[occupancy.room.app(), occupancy.room.channel()]);
    voters.iter().copied().max_by_key(|voter| spread(name ^ spread(voter.bits())))
}

/// Whether the set of voters has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    Unchanged,
    Changed,
}

/// Whether any node holds an occupancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    Occupied,
    Vacant,
}

/// How long a transition must have lasted before it is announced.
fn debounce(truth: Truth, phase: Phase, arrival: Option<u64>) -> Duration {
    let is_at_once = phase == Phase::Announced || truth == Truth::Occupied || arrival.is_some();
    if is_at_once { Duration::ZERO } else { DEBOUNCE }
}

fn pop_if<T: Ord>(set: &mut BTreeSet<(T, Occupancy)>, is_due: impl Fn(&T) -> bool) -> Option<(T, Occupancy)> {
    if is_due(&set.first()?.0) { set.pop_first() } else { None }
}

#[cfg(test)]
mod tests;
