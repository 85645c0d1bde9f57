//! Whether the node wants new sockets. Load balancers read it at `/readyz` and `/ready`.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Switches, shared by everybody who asks. A node alone is ready from its start, one in a cluster once it has been in
/// step with its peers; losing them later takes nothing away, since its sockets are served all the same. A node that
/// leaves is never ready again.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Switches>);

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
    /// It does not know its peers yet. It serves whoever comes, but should not be sent anybody.
    Joining,
    /// It wants new sockets.
    Ready,
    /// It will go soon. It serves whoever comes, until load balancers have noticed.
    Leaving,
    /// It is going away and takes nobody.
    Draining,
}

impl Readiness {
    /// That of a node in a cluster: not ready before [`Readiness::in_step`].
    pub fn in_cluster() -> Self {
        Self(Arc::new(Switches { joining: AtomicBool::new(true), ..Switches::default() }))
    }

    /// What the node is about.
    pub fn stage(&self) -> Stage {
        let Switches { joining, draining, left } = &*self.0;
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

    /// Whether the node wants new sockets.
    pub fn ready(&self) -> bool {
        self.stage() == Stage::Ready
    }

    /// The node knows all its peers: from here on every clone answers that it is ready.
    pub fn in_step(&self) {
        self.0.joining.store(false, Ordering::Release);
    }

    /// The node was asked to go: from here on every clone answers that it is not ready, and everything else goes on.
    pub fn leave(&self, now: Instant) {
        self.0.left.get_or_init(|| now);
    }

    /// The node takes nobody from here on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// How long ago the node was asked to go; zero if nobody has.
    pub fn leaving_for(&self, now: Instant) -> Duration {
        self.0.left.get().map_or(Duration::ZERO, |left| now.saturating_duration_since(*left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_seen_by_every_clone() {
        let readiness = Readiness::default();
        let seen_by_the_load_balancer = readiness.clone();
        assert!(seen_by_the_load_balancer.ready());
        readiness.drain();
        assert!(!seen_by_the_load_balancer.ready());
    }

    #[test]
    fn a_node_in_a_cluster_is_ready_once_it_is_in_step() {
        let readiness = Readiness::in_cluster();
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
        assert_eq!((readiness.stage(), readiness.ready()), (Stage::Leaving, false));
        readiness.leave(after(1));
        readiness.drain();
        assert_eq!(readiness.stage(), Stage::Draining);
        assert_eq!(readiness.leaving_for(after(3)), Duration::from_secs(3));
    }

    #[test]
    fn a_node_that_goes_before_it_is_in_step_is_never_ready() {
        let readiness = Readiness::in_cluster();
        readiness.leave(Instant::now());
        readiness.in_step();
        assert_eq!(readiness.stage(), Stage::Leaving);
        readiness.drain();
        assert_eq!(readiness.stage(), Stage::Draining);
    }
}
