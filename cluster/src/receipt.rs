//! The promise to tell somebody once that a thing is done with. Whoever has a part in it holds a copy.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Tells once, when every copy has been redeemed. A copy that is dropped instead voids it: then nothing is told, and the
/// thing may be done again by somebody else.
pub struct Receipt {
    slip: Arc<Slip>,
    is_redeemed: bool,
}

/// What all copies share. The last one to go drops it.
struct Slip {
    /// Boxed, because who is told differs: the cluster's core, the stream, a test.
    tell: Option<Box<dyn FnOnce() + Send + Sync>>,
    is_void: AtomicBool,
    revoked: Arc<AtomicBool>,
}

impl Receipt {
    /// `tell` is called at most once, on the thread that redeems the last copy; it must not block.
    pub fn new(tell: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self::revocable(Arc::default(), tell)
    }

    /// A receipt that may lose its sense: once `revoked` is set nobody waits for it.
    pub fn revocable(revoked: Arc<AtomicBool>, tell: impl FnOnce() + Send + Sync + 'static) -> Self {
        let slip = Slip { tell: Some(Box::new(tell)), is_void: AtomicBool::new(false), revoked };
        Self { slip: Arc::new(slip), is_redeemed: false }
    }

    /// The holder of this copy has done its part.
    pub fn redeem(mut self) {
        self.is_redeemed = true;
    }

    /// Whether the thing is somebody else's by now and need not be done here.
    pub fn is_revoked(&self) -> bool {
        self.slip.revoked.load(Ordering::Relaxed)
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        Self { slip: self.slip.clone(), is_redeemed: false }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.is_redeemed {
            // Whoever drops the slip sees it: dropping the last copy of an `Arc` waits for all others.
            self.slip.is_void.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        let tell = self.tell.take();
        if let Some(tell) = tell.filter(|_| !*self.is_void.get_mut()) {
            tell();
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn receipt() -> (Receipt, Arc<AtomicU32>) {
        let told = Arc::new(AtomicU32::new(0));
        let its_told = told.clone();
        let count = move || {
            its_told.fetch_add(1, Ordering::Relaxed);
        };
        (Receipt::new(count), told)
    }

    #[test]
    fn it_tells_once_when_the_last_copy_is_redeemed() {
        let (receipt, told) = receipt();
        let copy = receipt.clone();
        receipt.redeem();
        assert_eq!(told.load(Ordering::Relaxed), 0);
        copy.redeem();
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_copy_that_is_dropped_voids_it() {
        let (receipt, told) = receipt();
        let copies = [receipt.clone(), receipt.clone()];
        drop(receipt);
        copies.into_iter().for_each(Receipt::redeem);
        assert_eq!(told.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_copies_know_that_it_was_revoked() {
        let revoked = Arc::new(AtomicBool::new(false));
        let receipt = Receipt::revocable(revoked.clone(), || {});
        let copy = receipt.clone();
        assert!(!copy.is_revoked());
        revoked.store(true, Ordering::Relaxed);
        assert!(copy.is_revoked());
    }
}
