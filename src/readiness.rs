//! Whether the node wants new sockets. Load balancers read it at `/readyz` and `/ready`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// One switch, shared by everybody who asks. A node is ready from its start until it drains, and never again.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// Whether the node wants new sockets.
    pub fn ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire)
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
}
