//! Whether the node still wants traffic. Probes and the shutdown share it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Ready until the node drains; there is no way back. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on probes tell load balancers to look elsewhere.
    pub fn drain(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the node is going away.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
