//! Bounds what histories hold, by node and by app. Pure.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bounds what all histories of a node hold, and those of one app. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::room) struct HistoryBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
    app: AppShare,
}

/// What the histories of one app hold.
#[derive(Debug, Clone)]
struct AppShare {
    limit: usize,
    used: Arc<AtomicUsize>,
}

impl HistoryBudget {
    /// A budget of so many bytes, of which none is used.
    pub(in crate::room) fn new(limit: usize) -> Self {
        Self { limit, used: Arc::default(), app: AppShare { limit: usize::MAX, used: Arc::default() } }
    }

    /// The same for the histories of an app, which count in `used` what they hold.
    pub(in crate::room) fn of_app(&self, used: &Arc<AtomicUsize>) -> Self {
        Self { app: AppShare { used: used.clone(), ..self.app }, ..self.clone() }
    }

    /// Bytes in use.
    pub(in crate::room) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
        self.app.used.fetch_add(bytes, Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
        self.app.used.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.used() > self.limit || self.app.used.load(Relaxed) > self.app.limit
    }

    /// The app's histories may hold so many bytes together.
    pub(super) fn set_app_limit(&mut self, bytes: usize) {
        self.app.limit = bytes;
    }
}
