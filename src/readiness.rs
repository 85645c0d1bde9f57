//! Whether the node wants new sockets. Load balancers read it at `/readyz` and `/ready`.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gaung_cluster::bus::Link;

use crate::capacity::Capacity;

/// How long a thread may take to answer before the node counts as not ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old what the threads answered may be.
const FRESH: Duration = Duration::from_secs(1);

/// Switches, shared by everybody who asks. A node alone is ready from its start, one in a cluster once it has been in
/// step with its peers; losing them later takes nothing away, since its sockets are served all the same, unless the
/// operator wants it otherwise. A node that leaves is never ready again. One that is full is not ready, but about what it
/// was: that is between it and load balancers, and no matter of its peers.
#[derive(Clone, Default)]
pub struct Readiness {
    switches: Arc<Switches>,
    capacity: Capacity,
    lifeline: Option<Link>,
    /// The last, and when they came.
    answers: Arc<Mutex<Option<(Instant, Answers)>>>,
}

#[derive(Debug, Default)]
struct Switches {
    joining: AtomicBool,
    draining: AtomicBool,
    /// When the node was asked to go.
    left: OnceLock<Instant>,
}

/// What a node is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It does not know its peers yet. It serves every client that comes, but should not be sent anybody.
    Joining,
    Ready,
    /// It will go soon. It serves every client that comes, until load balancers have noticed.
    Leaving,
    /// It is going away and takes nobody.
    Draining,
}

/// Why a node wants no new sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// It does not know its peers yet.
    Joining,
    Leaving,
    /// It has enough sockets, or too little memory for more.
    Full,
    CutOff,
    /// A thread of its rooms does not answer.
    RoomsSilent,
    /// The thread that talks to its peers does not answer.
    BusSilent,
}

/// Whether the threads answered that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// All threads of rooms.
    pub rooms: bool,
    /// The thread that talks to the other nodes, if there is one.
    pub bus: bool,
}

/// All that the one decision rests on, of which every probe, page and metric is told the same.
#[derive(Debug, Clone, Copy)]
pub struct Grounds {
    pub stage: Stage,
    pub answers: Answers,
    pub is_full: bool,
    /// Whether it does not hear its peers and wants nobody without them.
    pub is_cut_off: bool,
}

impl Answers {
    /// All did.
    pub const ALL: Self = Self { rooms: true, bus: true };
}

impl Grounds {
    /// Why the node wants no new sockets, if it wants none; the first reason of several.
    pub fn objection(self) -> Option<Objection> {
        match self.stage {
            Stage::Leaving | Stage::Draining => Some(Objection::Leaving),
            Stage::Joining | Stage::Ready if !self.answers.rooms => Some(Objection::RoomsSilent),
            Stage::Joining | Stage::Ready if !self.answers.bus => Some(Objection::BusSilent),
            Stage::Joining => Some(Objection::Joining),
            Stage::Ready if self.is_full => Some(Objection::Full),
            Stage::Ready => self.is_cut_off.then_some(Objection::CutOff),
        }
    }
}

impl Readiness {
    /// That of a node alone.
    pub fn alone(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// That of a node in a cluster: not ready before [`Readiness::in_step`], nor while the lifeline, if it has one, is cut.
    pub fn in_cluster(capacity: Capacity, lifeline: Option<Link>) -> Self {
        let switches = Arc::new(Switches { joining: AtomicBool::new(true), ..Switches::default() });
        Self { switches, capacity, lifeline, answers: Arc::default() }
    }

    pub fn stage(&self) -> Stage {
        let Switches { joining, draining, left } = &*self.switches;
        if draining.load(Ordering::Acquire) {
            Stage::Draining
        } else if left.get().is_some() {
            Stage::Leaving
        } else if joining.load(Ordering::Acquire) {
            Stage::Joining
        } else {
            Stage::Ready
        }
    }

    /// Why the node, whose threads answered so, wants no new sockets, if it wants none.
    pub fn objection(&self, answers: Answers) -> Option<Objection> {
        let (is_full, is_cut_off) = (self.capacity.is_full(), self.is_cut_off());
        Grounds { stage: self.stage(), answers, is_full, is_cut_off }.objection()
    }

    /// What the threads answered, asked at most once a second however many probes there are.
    pub async fn answers<F: Future<Output = Answers>>(&self, ask: impl FnOnce(Duration) -> F) -> Answers {
        let last = *self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answers)) = last
            && at.elapsed() < FRESH
        {
            return answers;
        }
        let answers = ask(PATIENCE).await;
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answers));
        answers
    }

    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Whether the node wants nobody while it does not hear its peers.
    pub fn needs_peers(&self) -> bool {
        self.lifeline.is_some()
    }

    fn is_cut_off(&self) -> bool {
        self.lifeline.as_ref().is_some_and(|link| !link.status().connected)
    }

    /// The node knows all its peers: from here on every clone answers that it is ready.
    pub fn in_step(&self) {
        self.switches.joining.store(false, Ordering::Release);
    }

    /// The node was asked to go: from here on every clone answers that it is not ready, and everything else goes on.
    pub fn leave(&self, now: Instant) {
        self.switches.left.get_or_init(|| now);
    }

    /// The node takes nobody from here on.
    pub fn drain(&self) {
        self.switches.draining.store(true, Ordering::Release);
    }

    /// How long ago the node was asked to go; zero if nobody has.
    pub fn leaving_for(&self, now: Instant) -> Duration {
        self.switches.left.get().map_or(Duration::ZERO, |left| now.saturating_duration_since(*left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LimitsConfig;

    fn in_cluster() -> Readiness {
        Readiness::in_cluster(Capacity::default(), None)
    }

    fn objection(readiness: &Readiness) -> Option<Objection> {
        readiness.objection(Answers::ALL)
    }

    #[test]
    fn of_several_reasons_the_first_is_told() {
        let silent = |rooms, bus| Answers { rooms, bus };
        for (stage, answers, is_full, is_cut_off, expected) in [
            (Stage::Ready, Answers::ALL, false, false, None),
            (Stage::Ready, Answers::ALL, false, true, Some(Objection::CutOff)),
            (Stage::Ready, Answers::ALL, true, true, Some(Objection::Full)),
            (Stage::Joining, Answers::ALL, true, true, Some(Objection::Joining)),
            (Stage::Joining, silent(true, false), true, true, Some(Objection::BusSilent)),
            (Stage::Ready, silent(true, false), false, false, Some(Objection::BusSilent)),
            (Stage::Ready, silent(false, false), true, true, Some(Objection::RoomsSilent)),
            (Stage::Leaving, silent(false, false), true, true, Some(Objection::Leaving)),
            (Stage::Draining, Answers::ALL, false, false, Some(Objection::Leaving)),
        ] {
            let grounds = Grounds { stage, answers, is_full, is_cut_off };
            assert_eq!(grounds.objection(), expected, "{grounds:?}");
        }
    }

    #[test]
    fn a_full_node_is_not_ready_but_about_what_it_was() {
        let capacity = Capacity::new(&LimitsConfig { max_connections: Some(1), ..LimitsConfig::default() });
        let readiness = Readiness::alone(capacity.clone());
        let place = capacity.take();
        assert_eq!((objection(&readiness), readiness.stage()), (Some(Objection::Full), Stage::Ready));
        drop(place);
        assert_eq!(objection(&readiness), None);
    }

    #[test]
    fn a_drain_is_seen_by_every_clone() {
        let readiness = Readiness::default();
        let seen_by_the_load_balancer = readiness.clone();
        assert_eq!(objection(&seen_by_the_load_balancer), None);
        readiness.drain();
        assert_eq!(objection(&seen_by_the_load_balancer), Some(Objection::Leaving));
    }

    #[test]
    fn a_node_in_a_cluster_is_ready_once_it_is_in_step() {
        let readiness = in_cluster();
        let seen_by_the_load_balancer = readiness.clone();
        assert_eq!(seen_by_the_load_balancer.stage(), Stage::Joining);
        readiness.in_step();
        assert_eq!(seen_by_the_load_balancer.stage(), Stage::Ready);
    }

    #[test]
    fn a_node_that_goes_is_not_ready_before_it_drains_and_counts_the_time_from_then() {
        let (readiness, asked) = (Readiness::default(), Instant::now());
        let after = |seconds| asked + Duration::from_secs(seconds);
        assert_eq!(readiness.leaving_for(after(1)), Duration::ZERO);
        readiness.leave(asked);
        assert_eq!((readiness.stage(), objection(&readiness)), (Stage::Leaving, Some(Objection::Leaving)));
        readiness.leave(after(1));
        readiness.drain();
        assert_eq!(readiness.stage(), Stage::Draining);
        assert_eq!(readiness.leaving_for(after(3)), Duration::from_secs(3));
    }

    #[test]
    fn a_node_that_goes_before_it_is_in_step_is_never_ready() {
        let readiness = in_cluster();
        readiness.leave(Instant::now());
        readiness.in_step();
        assert_eq!(readiness.stage(), Stage::Leaving);
        readiness.drain();
        assert_eq!(readiness.stage(), Stage::Draining);
    }
}
