//! Who wants keys read: the HTTP threads tell it, and the reader hears it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// The number of the reading that somebody waits for.
    wanted: AtomicU64,
    bell: Notify,
}

impl Asks {
    /// Wants this reading, counted from 1.
    pub(super) fn ask(&self, reading: u64) {
        self.wanted.fetch_max(reading, Ordering::AcqRel);
        self.bell.notify_one();
    }

    /// Waits until somebody asks. It may have been served since.
    pub(super) async fn heard(&self) {
        self.bell.notified().await;
    }

    /// Whether somebody waits for a reading beyond those that have ended.
    pub(super) fn any_beyond(&self, ended: u64) -> bool {
        self.wanted.load(Ordering::Acquire) > ended
    }
}
