//! What of a node has ended that must not.

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Where the parts of a node say that they have ended. Cheap to clone.
#[derive(Clone)]
pub(super) struct Failures(UnboundedSender<String>);

impl Failures {
    /// With the end at which the node hears of them.
    pub(super) fn channel() -> (Self, UnboundedReceiver<String>) {
        let (failures, failed) = mpsc::unbounded_channel();
        (Self(failures), failed)
    }

    /// Nobody may listen any more, where the node stops.
    pub(super) fn tell(&self, failure: impl Into<String>) {
        let _ = self.0.send(failure.into());
    }
}
