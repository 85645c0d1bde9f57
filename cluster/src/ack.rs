//! Acknowledges a piece of work once every part of it is done. Each part holds a copy.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Calls back once, when every copy has been confirmed. A copy that is dropped instead voids it: then there is no call,
/// and the work may be done again by another node.
pub struct Ack {
    shared: Arc<Shared>,
    is_confirmed: bool,
}

/// What all copies share; dropped with the last of them.
struct Shared {
    /// Boxed, because the callers differ: the cluster's core, the queue, a test.
    on_done: Option<Box<dyn FnOnce() + Send + Sync>>,
    is_void: AtomicBool,
    revoked: Arc<AtomicBool>,
}

impl Ack {
    /// `on_done` is called at most once, on the thread that confirms the last copy; it must not block.
    pub fn new(on_done: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self::revocable(Arc::default(), on_done)
    }

    /// An ack that can be revoked: once `revoked` is set, the work is not needed here any more.
    pub fn revocable(revoked: Arc<AtomicBool>, on_done: impl FnOnce() + Send + Sync + 'static) -> Self {
        let shared = Shared { on_done: Some(Box::new(on_done)), is_void: AtomicBool::new(false), revoked };
        Self { shared: Arc::new(shared), is_confirmed: false }
    }

    /// The part of this copy is done.
    pub fn confirm(mut self) {
        self.is_confirmed = true;
    }

    /// Whether another node took the work over, so that it need not be done here.
    pub fn is_revoked(&self) -> bool {
        self.shared.revoked.load(Ordering::Relaxed)
    }
}

impl Clone for Ack {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), is_confirmed: false }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if !self.is_confirmed {
            // Seen by the drop of `Shared`: dropping the last copy of an `Arc` synchronizes with all others.
            self.shared.is_void.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let on_done = self.on_done.take();
        if let Some(on_done) = on_done.filter(|_| !*self.is_void.get_mut()) {
            on_done();
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ack")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn ack() -> (Ack, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let its_calls = calls.clone();
        let count = move || {
            its_calls.fetch_add(1, Ordering::Relaxed);
        };
        (Ack::new(count), calls)
    }

    #[test]
    fn it_calls_back_once_when_the_last_copy_is_confirmed() {
        let (ack, calls) = ack();
        let copy = ack.clone();
        ack.confirm();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        copy.confirm();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_copy_that_is_dropped_voids_it() {
        let (ack, calls) = ack();
        let copies = [ack.clone(), ack.clone()];
        drop(ack);
        copies.into_iter().for_each(Ack::confirm);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_copies_know_that_it_was_revoked() {
        let revoked = Arc::new(AtomicBool::new(false));
        let ack = Ack::revocable(revoked.clone(), || {});
        let copy = ack.clone();
        assert!(!copy.is_revoked());
        revoked.store(true, Ordering::Relaxed);
        assert!(copy.is_revoked());
    }
}
