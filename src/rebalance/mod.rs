//! Whether this node has so many more sockets than the others that some are to move, and how many now. Pure.
//!
//! A balancer spreads the sockets that come; those that are there stay where they are, and a node that was added is idle for
//! hours. So a node that has more than its share for long closes some of its sockets, which come back to any node.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use gaung_cluster::NodeId;

use crate::config::RebalanceConfig;

/// For how long a node must have had more than its share.
const PATIENCE: Duration = Duration::from_secs(30);

/// A socket that is closed is counted no longer after this time, wherever it comes back.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// How long sockets are closed before it is looked whether that helps.
const TRIAL: Duration = Duration::from_secs(45);

/// The part of the closed sockets that must be on other nodes then. Where all nodes but one close theirs and a balancer knows
/// no counts, as many come back as there are nodes: each of them keeps one in so many.
const HELPS: f64 = 0.05;

/// After how long it is tried again where it did not help.
const TRY_AGAIN: Duration = Duration::from_secs(600);

/// By how many times the usual differences between nodes one must have more than its share: where nodes have few sockets, chance
/// alone gives one a fifth more.
const DEVIATIONS: f64 = 4.0;

/// By how many times them it may have more than its share when it closes no more.
const REST: f64 = 0.5;

/// What is seen at one time.
#[derive(Debug)]
pub struct Look<'a> {
    pub now: Instant,
    /// The sockets of this node.
    pub sessions: u64,
    /// Those of the others that live.
    pub others: &'a [(NodeId, u64)],
    /// Whether all nodes are heard, and none of them starts or leaves.
    pub is_steady: bool,
}

/// How it stands, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// The node has about its share, or too little is known.
    #[default]
    Even,
    /// It has more, and not for long enough.
    Waiting,
    /// It closes sockets.
    Moving,
    /// It closed sockets, and has as many more than the others as before: they come back to it.
    Futile,
}

impl Stage {
    /// Every stage, for metrics.
    pub const ALL: [Self; 4] = [Self::Even, Self::Waiting, Self::Moving, Self::Futile];

    /// As metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Waiting => "waiting",
            Self::Moving => "moving",
            Self::Futile => "futile",
        }
    }
}

/// How it stands, for those who look. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SharedStage(Arc<AtomicUsize>);

impl SharedStage {
    /// How it stands now.
    pub fn get(&self) -> Stage {
        Stage::ALL.get(self.0.load(Relaxed)).copied().unwrap_or_default()
    }

    /// It stands so from now on; returns how it stood.
    pub fn replace(&self, stage: Stage) -> Stage {
        let before = self.get();
        self.0.store(stage as usize, Relaxed);
        before
    }
}

/// What a node knows of how the sockets are spread.
#[derive(Debug)]
pub struct Rebalancing {
    rules: RebalanceConfig,
    nodes: BTreeSet<NodeId>,
    state: State,
    /// What was closed lately, and may be counted still.
    closed: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
enum State {
    Even,
    Above { since: Instant },
    Moving(Trial),
    Futile { since: Instant },
}

/// Sockets that were closed since a moment, and what came of it.
#[derive(Debug)]
struct Trial {
    began: Instant,
    /// How many times its share the node had then.
    ratio: f64,
    closed: u64,
}

impl Rebalancing {
    /// Nothing is known yet.
    pub fn new(rules: RebalanceConfig) -> Self {
        Self { rules, nodes: BTreeSet::new(), state: State::Even, closed: VecDeque::new() }
    }

    /// How it stands.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Even => Stage::Even,
            State::Above { .. } => Stage::Waiting,
            State::Moving(_) => Stage::Moving,
            State::Futile { .. } => Stage::Futile,
        }
    }

    /// How many sockets are to be closed now; it is looked once a second.
    pub fn look(&mut self, look: &Look<'_>) -> u64 {
        self.closed.retain(|(at, _)| look.now.saturating_duration_since(*at) < SETTLED_AFTER);
        let nodes: BTreeSet<NodeId> = look.others.iter().map(|(node, _)| *node).collect();
        if !look.is_steady || nodes.is_empty() || nodes != self.nodes {
            (self.nodes, self.state) = (nodes, State::Even);
            return 0;
        }
        let underway: u64 = self.closed.iter().map(|(_, count)| *count).sum();
        self.advance(look, underway);
        let State::Moving(trial) = &mut self.state else { return 0 };
        let surplus = (look.sessions as f64 - mean(look)) as u64;
        let most = (look.sessions as f64 * self.rules.per_second).ceil() as u64;
        let count = most.min(surplus.saturating_sub(underway));
        trial.closed += count;
        self.closed.push_back((look.now, count));
        count
    }

    fn advance(&mut self, look: &Look<'_>, underway: u64) {
        let (now, ratio) = (look.now, look.sessions as f64 / mean(look).max(1.0));
        let is_above = ratio > self.rules.above && exceeds(look, DEVIATIONS);
        let has_waited = |since: Instant, time| now.saturating_duration_since(since) >= time;
        self.state = match &mut self.state {
            State::Even | State::Above { .. } if !is_above => State::Even,
            State::Even => State::Above { since: now },
            State::Above { since } if has_waited(*since, PATIENCE) => State::Moving(Trial::new(now, ratio)),
            State::Moving(_) if !exceeds(look, REST) => State::Even,
            State::Moving(trial) if has_waited(trial.began, TRIAL) && !trial.helps(look, underway) => {
                State::Futile { since: now }
            }
            State::Futile { since } if has_waited(*since, TRY_AGAIN) => State::Even,
            State::Above { .. } | State::Moving(_) | State::Futile { .. } => return,
        };
    }
}

impl Trial {
    fn new(began: Instant, ratio: f64) -> Self {
        Self { began, ratio, closed: 0 }
    }

    /// Whether the node has fewer now than it would have if all came back to it, those that are underway included.
    fn helps(&self, look: &Look<'_>, underway: u64) -> bool {
        let share = mean(look).max(1.0);
        let ratio = (look.sessions + underway) as f64 / share;
        self.ratio - ratio >= self.closed as f64 / share * HELPS
    }
}

/// The sockets that each node would have.
fn mean(look: &Look<'_>) -> f64 {
    let total = look.sessions + look.others.iter().map(|(_, sessions)| *sessions).sum::<u64>();
    total as f64 / (look.others.len() as f64 + 1.0)
}

/// Whether the node has more than its share by so many times what chance makes of it.
fn exceeds(look: &Look<'_>, deviations: f64) -> bool {
    let share = mean(look);
    look.sessions as f64 > share + deviations * share.sqrt()
}

#[cfg(test)]
mod tests;
