//! Webhooks once in the cluster. Each edge has a generation, odd while occupied or added, even while vacated or removed,
//! merged by maximum. The edge's owner announces the next generation, waits until a peer holds it, posts it under an
//! id that follows from it, and announces it done; a new owner repeats what is announced and not done, with the same id.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::{
    codec::record_hash,
    fact::{Edge, Generation, Phase, Record},
    hash::{hash_texts, spread},
    room::NodeId,
};

/// How long a vacated room or a removed member may come back before anybody is told.
const SETTLE: Duration = Duration::from_secs(3);

/// How long the nodes must have been the same before one of them speaks.
const STABLE: Duration = Duration::from_millis(2500);

/// How long a vacated edge is remembered after its webhook.
const RETIRE: Duration = Duration::from_secs(600);

/// Edges that are looked at in one step at most.
const PACE: usize = 1000;

/// Into how many floors the forgotten edges are put.
const SLOTS: u64 = 1024;

/// Stands for all floors.
const EVERYWHERE: u16 = u16::MAX;

/// The generations of all edges, and what this node is about to say.
#[derive(Debug, Default)]
pub struct Announcements {
    entries: BTreeMap<Edge, Entry>,
    floors: BTreeMap<u16, u64>,
    hash: u64,
    /// Edges whose last webhook is not the truth or not done, with the time since which that is so.
    unsettled: BTreeMap<Edge, Duration>,
    /// When to look at which of them; what has settled since is passed over.
    agenda: BTreeSet<(Duration, Edge)>,
    mine: BTreeMap<Edge, Stage>,
    /// Announcements that nobody is known to hold yet, by the state stream's number.
    unheld: BTreeSet<(u64, Edge)>,
    /// What this node said of where all edges begin.
    begun: Option<Begun>,
    voters: BTreeSet<NodeId>,
    stable_since: Duration,
}

/// The floor of all edges that this node said itself, and the state stream's number under which it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begun {
    floor: u64,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    number: u64,
    phase: Phase,
    changed: Duration,
}

/// What this node does about an edge's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Announced with the state stream's number.
    Announced { generation: u64, number: u64 },
    /// Given to the caller to be posted.
    Posting { generation: u64 },
}

/// What is to be done next about an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish this record, then tell [`Announcements::announced`] its number.
    Announce(Generation),
    /// Post this webhook, then tell [`Announcements::posted`].
    Post(Generation),
    /// Publish that this may be forgotten.
    Retire(Generation),
}

impl Announcements {
    /// Takes a record in; returns the edge that it changed.
    pub fn merge(&mut self, record: &Record, now: Duration) -> Option<Edge> {
        match record {
            Record::Generation(generation) => self.merge_generation(generation, now),
            Record::Floor { slot, number } => {
                self.raise(*slot, *number);
                None
            }
            Record::Cached { .. } => None,
        }
    }

    /// Compares an edge with the truth: whether anybody holds it.
    pub fn compare(&mut self, edge: &Edge, truth: Truth, now: Duration) {
        let (number, phase) = self.current(edge);
        let agrees = (number % 2 == 1) == (truth == Truth::Held);
        if agrees && phase != Phase::Announced {
            self.unsettled.remove(edge);
            return;
        }
        let since = *self.unsettled.entry(edge.clone()).or_insert(now);
        self.agenda.insert((since + patience(truth, phase), edge.clone()));
    }

    /// Where all edges begin, if this node is to say so; then tell [`Announcements::begun`]. The first to speak takes the
    /// time in seconds of the Unix epoch. So a cluster that starts again uses no number of the one before: an edge moves
    /// less than twice a second, because it settles for longer.
    ///
    /// Everybody says it once more, and announces nothing before enough others hold what it said. In a cluster that falls
    /// apart as it begins each side has a beginning of its own; what the smaller one announced would be higher than what
    /// the larger one posted meanwhile, and win once they meet.
    pub fn beginning(&self, node: NodeId, seconds: u64, now: Duration) -> Option<Record> {
        let number = match self.floors.get(&EVERYWHERE) {
            Some(floor) if self.begun.is_none_or(|begun| begun.floor != *floor) => *floor,
            None if !self.unsettled.is_empty() && self.may_act(node, now) => seconds.saturating_mul(2),
            Some(_) | None => return None,
        };
        Some(Record::Floor { slot: EVERYWHERE, number })
    }

    /// Where all edges begin was published as the state stream's `number`.
    pub fn begun(&mut self, number: u64) {
        self.begun = self.floors.get(&EVERYWHERE).map(|floor| Begun { floor: *floor, number });
    }

    /// Says who takes part in decisions now, this node included if it does.
    pub fn set_voters(&mut self, voters: BTreeSet<NodeId>, now: Duration) -> Vote {
        if voters == self.voters {
            return Vote::Unchanged;
        }
        self.voters = voters;
        self.disturb(now);
        Vote::Changed
    }

    /// Something may have been said that this node has not heard: it listens for a while before it speaks again.
    pub fn disturb(&mut self, now: Duration) {
        self.stable_since = now;
        self.mine.retain(|_, stage| matches!(stage, Stage::Posting { .. }));
        self.unheld.clear();
        self.agenda = self.unsettled.iter().map(|(edge, since)| (*since, edge.clone())).collect();
    }

    /// What this node is to do now. `truth` says who is there; `seen` up to where the best peer has followed this node,
    /// and is `None` if there is no other voter.
    pub fn act(
        &mut self,
        node: NodeId,
        truth: impl Fn(&Edge) -> Truth,
        seen: Option<u64>,
        now: Duration,
    ) -> Vec<Action> {
        if !self.may_act(node, now) || !self.has_begun(seen) {
            return Vec::new();
        }
        let mut actions = Vec::new();
        for edge in self.due(seen, now) {
            let Some(since) = self.unsettled.get(&edge).copied() else { continue };
            if self.owner(&edge) == Some(node) {
                actions.extend(self.next(&edge, truth(&edge), since, (seen, now)));
            }
        }
        actions
    }

    /// The edges that are to be looked at now.
    fn due(&mut self, seen: Option<u64>, now: Duration) -> Vec<Edge> {
        let mut edges = Vec::new();
        while edges.len() < PACE
            && let Some((_, edge)) = pop_if(&mut self.unheld, |number| seen.is_none_or(|seen| *number <= seen))
        {
            edges.push(edge);
        }
        while edges.len() < PACE
            && let Some((_, edge)) = pop_if(&mut self.agenda, |at| *at <= now)
        {
            edges.push(edge);
        }
        edges
    }

    /// Vacated edges of this node that were quiet for long.
    pub fn retirements(&self, node: NodeId, now: Duration) -> Vec<Action> {
        let is_old = |entry: &Entry| {
            entry.number.is_multiple_of(2) && entry.phase == Phase::Done && now.saturating_sub(entry.changed) > RETIRE
        };
        let old = self.entries.iter().filter(|(edge, entry)| is_old(entry) && self.owner(edge) == Some(node));
        old.take(PACE)
            .map(|(edge, entry)| {
                Action::Retire(Generation { edge: edge.clone(), number: entry.number, phase: Phase::Retired })
            })
            .collect()
    }

    /// An announcement was published as the state stream's `number`.
    pub fn announced(&mut self, generation: &Generation, number: u64) {
        let stage = Stage::Announced { generation: generation.number, number };
        self.mine.insert(generation.edge.clone(), stage);
        self.unheld.insert((number, generation.edge.clone()));
    }

    /// A webhook was posted; returns the record to publish.
    pub fn posted(&mut self, edge: &Edge, number: u64) -> Option<Generation> {
        if self.mine.get(edge) != Some(&Stage::Posting { generation: number }) {
            return None;
        }
        self.mine.remove(edge);
        Some(Generation { edge: edge.clone(), number, phase: Phase::Done })
    }

    /// The hash of all generations and floors.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// All generations of the edges after one, ordered by edge.
    pub fn generations_after(&self, after: Bound<&Edge>) -> impl Iterator<Item = Record> {
        self.entries.range::<Edge, _>((after, Bound::Unbounded)).map(|(edge, entry)| record(edge, entry))
    }

    /// The floors of the slots after one, in order.
    pub fn floors_after(&self, after: Bound<u16>) -> impl Iterator<Item = Record> {
        let floors = self.floors.range((after, Bound::Unbounded));
        floors.map(|(slot, number)| Record::Floor { slot: *slot, number: *number })
    }

    fn next(
        &mut self,
        edge: &Edge,
        truth: Truth,
        since: Duration,
        (seen, now): (Option<u64>, Duration),
    ) -> Option<Action> {
        let (current, phase) = self.current(edge);
        let number = if phase == Phase::Announced { current } else { current.saturating_add(1) };
        let generation = Generation { edge: edge.clone(), number, phase: Phase::Announced };
        match self.mine.get(edge) {
            Some(Stage::Posting { .. }) => None,
            Some(Stage::Announced { generation: mine, number: at }) if *mine == number => {
                let is_held = seen.is_none_or(|seen| seen >= *at);
                is_held.then(|| {
                    self.mine.insert(edge.clone(), Stage::Posting { generation: number });
                    Action::Post(generation)
                })
            }
            Some(Stage::Announced { .. }) | None => {
                let at = since + patience(truth, phase);
                if at > now {
                    self.agenda.insert((at, edge.clone()));
                    return None;
                }
                Some(Action::Announce(generation))
            }
        }
    }

    fn merge_generation(&mut self, generation: &Generation, now: Duration) -> Option<Edge> {
        let known = self.entries.get(&generation.edge).copied();
        if generation.phase == Phase::Retired {
            self.raise(slot(&generation.edge), generation.number);
            known.filter(|known| known.number <= generation.number)?;
            self.remove(&generation.edge);
            return Some(generation.edge.clone());
        }
        let news = (generation.number, generation.phase);
        if known.is_some_and(|known| (known.number, known.phase) >= news) {
            return None;
        }
        self.remove(&generation.edge);
        let entry = Entry { number: generation.number, phase: generation.phase, changed: now };
        self.hash = self.hash.wrapping_add(record_hash(&record(&generation.edge, &entry)));
        self.entries.insert(generation.edge.clone(), entry);
        Some(generation.edge.clone())
    }

    fn remove(&mut self, edge: &Edge) {
        if let Some(entry) = self.entries.remove(edge) {
            self.hash = self.hash.wrapping_sub(record_hash(&record(edge, &entry)));
        }
    }

    fn raise(&mut self, slot: u16, number: u64) {
        let known = self.floors.get(&slot).copied();
        if known.is_some_and(|known| known >= number) || (u64::from(slot) >= SLOTS && slot != EVERYWHERE) {
            return;
        }
        let removed = known.map_or(0, |number| record_hash(&Record::Floor { slot, number }));
        self.hash = self.hash.wrapping_sub(removed).wrapping_add(record_hash(&Record::Floor { slot, number }));
        self.floors.insert(slot, number);
    }

    /// An edge that nobody remembers is vacated, and never uses a number again that it may have had.
    fn current(&self, edge: &Edge) -> (u64, Phase) {
        let forgotten = || self.floor(slot(edge)).max(self.floor(EVERYWHERE));
        self.entries.get(edge).map_or_else(|| (forgotten(), Phase::Done), |entry| (entry.number, entry.phase))
    }

    /// Whether a node takes part in decisions, and those who do have been the same for long enough.
    fn may_act(&self, node: NodeId, now: Duration) -> bool {
        self.voters.contains(&node) && now.saturating_sub(self.stable_since) >= STABLE
    }

    /// Whether enough others hold what this node said of where all edges begin, and that still holds.
    fn has_begun(&self, seen: Option<u64>) -> bool {
        let floor = self.floors.get(&EVERYWHERE);
        self.begun.is_some_and(|begun| Some(&begun.floor) == floor && seen.is_none_or(|seen| seen >= begun.number))
    }

    /// The highest even number below which nothing of a slot is used.
    fn floor(&self, slot: u16) -> u64 {
        self.floors.get(&slot).map_or(0, |floor| floor & !1)
    }

    /// The voter with the highest rendezvous hash. It has the room and its members, so that they are posted in one order.
    fn owner(&self, edge: &Edge) -> Option<NodeId> {
        let name = hash_texts(&[edge.room.app(), edge.room.channel()]);
        self.voters.iter().copied().max_by_key(|voter| spread(name ^ spread(voter.bits())))
    }
}

/// Whether other nodes take part in decisions than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// The same.
    Unchanged,
    /// Others.
    Changed,
}

/// Whether anybody in the cluster holds an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The room is occupied, or the member is there.
    Held,
    /// Nobody is there.
    Free,
}

/// How long an edge must have been unsettled before anybody is told.
fn patience(truth: Truth, phase: Phase) -> Duration {
    if phase == Phase::Announced || truth == Truth::Held { Duration::ZERO } else { SETTLE }
}

fn pop_if<T: Ord>(set: &mut BTreeSet<(T, Edge)>, is_due: impl Fn(&T) -> bool) -> Option<(T, Edge)> {
    if is_due(&set.first()?.0) { set.pop_first() } else { None }
}

fn record(edge: &Edge, entry: &Entry) -> Record {
    Record::Generation(Generation { edge: edge.clone(), number: entry.number, phase: entry.phase })
}

fn name(edge: &Edge) -> u64 {
    hash_texts(&[edge.room.app(), edge.room.channel(), edge.user.as_deref().unwrap_or_default()])
}

fn slot(edge: &Edge) -> u16 {
    u16::try_from(name(edge) % SLOTS).expect("there are fewer slots than 65,536")
}

#[cfg(test)]
mod tests;
