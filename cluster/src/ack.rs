//! Acknowledges a piece of work once every part of it is done. Each part holds a copy.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Calls back once, when every copy has been confirmed. A copy that goes in any other way, by a panic too, is never
/// confirmed: then there is no call, and the work may be done again by another node.
pub struct Ack(Arc<Shared>);

/// What all copies share.
struct Shared {
    /// Copies that were not confirmed yet. What is dropped stays in the count, so that it never falls to zero.
    unconfirmed: AtomicUsize,
    /// Boxed, because the callers differ: the cluster's core, the queue, a test.
    on_done: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    revoked: Arc<AtomicBool>,
}

impl Ack {
    /// `on_done` is called at most once, on the thread that confirms the last copy; it must not block.
    pub fn new(on_done: impl FnOnce() + Send + 'static) -> Self {
        Self::revocable(Arc::default(), on_done)
    }

    /// An ack that can be revoked: once `revoked` is set, the work is not needed here any more.
    pub fn revocable(revoked: Arc<AtomicBool>, on_done: impl FnOnce() + Send + 'static) -> Self {
        let on_done = Mutex::new(Some(Box::new(on_done) as Box<dyn FnOnce() + Send>));
        Self(Arc::new(Shared { unconfirmed: AtomicUsize::new(1), on_done, revoked }))
    }

    /// An ack for one more part of the work.
    pub fn copy(&self) -> Self {
        self.0.unconfirmed.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }

    /// The part of this copy is done.
    pub fn confirm(self) {
        // The last one sees what the others did before they confirmed.
        if self.0.unconfirmed.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let on_done = self.0.on_done.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(on_done) = on_done {
            on_done();
        }
    }

    /// Whether another node took the work over, so that it need not be done here.
    pub fn is_revoked(&self) -> bool {
        self.0.revoked.load(Ordering::Relaxed)
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
        let copy = ack.copy();
        ack.confirm();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        copy.confirm();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_copy_that_is_dropped_voids_it() {
        let (ack, calls) = ack();
        let copies = [ack.copy(), ack.copy()];
        drop(ack);
        copies.into_iter().for_each(Ack::confirm);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_copy_that_is_dropped_last_voids_it_too() {
        let (ack, calls) = ack();
        let copy = ack.copy();
        ack.confirm();
        drop(copy);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_copy_that_a_panic_takes_with_it_voids_it() {
        let (ack, calls) = ack();
        let copy = ack.copy();
        let lost = std::thread::spawn(move || {
            let _copy = copy;
            panic!("the endpoint is lost");
        });
        assert!(lost.join().is_err());
        ack.confirm();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn copies_may_be_confirmed_on_any_threads() {
        for _ in 0..100 {
            let (ack, calls) = ack();
            let threads: Vec<_> =
                (0..4).map(|_| ack.copy()).map(|copy| std::thread::spawn(|| copy.confirm())).collect();
            ack.confirm();
            threads.into_iter().for_each(|thread| thread.join().expect("confirming does not panic"));
            assert_eq!(calls.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn what_it_calls_back_is_dropped_with_it() {
        let held = Arc::new(());
        let its_held = held.clone();
        let ack = Ack::new(move || drop(its_held));
        drop(ack.copy());
        drop(ack);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn all_copies_know_that_it_was_revoked() {
        let revoked = Arc::new(AtomicBool::new(false));
        let ack = Ack::revocable(revoked.clone(), || {});
        let copy = ack.copy();
        assert!(!copy.is_revoked());
        revoked.store(true, Ordering::Relaxed);
        assert!(copy.is_revoked());
    }
}
