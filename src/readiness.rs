//! Whether the node wants new sockets. Load balancers read it at `/readyz` and `/ready`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Two switches, shared by everybody who asks. A node alone is ready from its start, one in a cluster once it has been
/// in step with its peers; losing them later takes nothing away, since its sockets are served all the same. A node that
/// drains is never ready again.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    joining: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

/// What a node is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It does not know its peers yet. It serves whoever comes, but should not be sent anybody.
    Joining,
    /// It wants new sockets.
    Ready,
    /// It is going away and takes nobody.
    Draining,
}

impl Readiness {
    /// That of a node in a cluster: not ready before [`Readiness::in_step`].
    pub fn in_cluster() -> Self {
        Self { joining: Arc::new(AtomicBool::new(true)), draining: Arc::default() }
    }

    /// What the node is about.
    pub fn stage(&self) -> Stage {
        match (self.draining.load(Ordering::Acquire), self.joining.load(Ordering::Acquire)) {
            (true, _) => Stage::Draining,
            (false, true) => Stage::Joining,
            (false, false) => Stage::Ready,
        }
    }

    /// Whether the node wants new sockets.
    pub fn ready(&self) -> bool {
        self.stage() == Stage::Ready
    }

    /// The node knows all its peers: from here on every clone answers that it is ready.
    pub fn in_step(&self) {
        self.joining.store(false, Ordering::Release);
    }

    /// The node is going away: from here on every clone answers that it is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
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
    fn a_node_that_drains_before_it_is_in_step_is_never_ready() {
        let readiness = Readiness::in_cluster();
        readiness.drain();
        readiness.in_step();
        assert_eq!(readiness.stage(), Stage::Draining);
    }
}
