//! Counts the receipts that pages owe.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How many receipts pages owe. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OutstandingReceipts(Arc<AtomicUsize>);

/// A receipt that a page owes, until it is dropped.
#[derive(Debug)]
pub struct OwedReceipt(OutstandingReceipts);

impl OutstandingReceipts {
    /// Counts one more.
    pub fn owe(&self) -> OwedReceipt {
        self.0.fetch_add(1, Relaxed);
        OwedReceipt(self.clone())
    }

    /// How many are.
    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for OwedReceipt {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
