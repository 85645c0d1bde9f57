//! What happens on this node, reported to the consoles that watch at that moment. Nothing is kept for later.
//!
//! Invariants: reporting never blocks, and costs one atomic load while nobody watches. A watcher gets the events of each
//! thread in the order in which they were reported, and the number of those it missed.

mod event;
mod filter;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use event::{ActivityEvent, ActivityKind, Asked, Refusal};
pub use filter::Filter;

/// Events that wait for one watcher at most; it misses what is reported while so many wait. A watcher takes no more than
/// that at once either, so that a busy node floods nobody's screen.
pub const MAX_WAITING: usize = 50;

/// The hub: code that does something reports it here. Cheap to clone; every call may come from any thread.
#[derive(Clone, Default)]
pub struct Activity(Arc<Shared>);

#[derive(Default)]
struct Shared {
    watching: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
}

/// One watcher, as the hub sees it.
struct Watcher {
    filter: Filter,
    queue: mpsc::Sender<Arc<ActivityEvent>>,
    missed: AtomicU64,
}

/// A watcher's own end: it gets events from [`Activity::watch`] until it is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    watcher: Arc<Watcher>,
    queue: mpsc::Receiver<Arc<ActivityEvent>>,
}

/// What a watcher takes at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events that were dropped because too many waited.
    pub missed: u64,
    /// The others, in order.
    pub events: Vec<Arc<ActivityEvent>>,
}

impl Activity {
    /// Reports an event to those who watch. It is made only if anybody does.
    pub fn report(&self, event: impl FnOnce() -> ActivityEvent) {
        if self.is_watched() {
            self.dispatch(event());
        }
    }

    /// Whether anybody watches, for callers that must prepare what they report.
    pub fn is_watched(&self) -> bool {
        self.0.watching.load(Relaxed) > 0
    }

    /// Watches what passes the filter, from now on.
    pub fn watch(&self, filter: Filter) -> Watch {
        let (sender, queue) = mpsc::channel(MAX_WAITING);
        let watcher = Arc::new(Watcher { filter, queue: sender, missed: AtomicU64::new(0) });
        self.0.watchers.rcu(|watchers| {
            let mut watchers = Vec::clone(watchers);
            watchers.push(watcher.clone());
            watchers
        });
        self.0.watching.fetch_add(1, Relaxed);
        Watch { shared: self.0.clone(), watcher, queue }
    }

    fn dispatch(&self, event: ActivityEvent) {
        let event = Arc::new(event);
        for watcher in self.0.watchers.load().iter().filter(|watcher| watcher.filter.admits(&event)) {
            if watcher.queue.try_send(event.clone()).is_err() {
                watcher.missed.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Watch {
    /// Takes what waits, without waiting for more.
    pub fn take(&mut self) -> Batch {
        let events = std::iter::from_fn(|| self.queue.try_recv().ok()).take(MAX_WAITING).collect();
        Batch { missed: self.watcher.missed.swap(0, Relaxed), events }
    }
}

impl Batch {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.missed == 0 && self.events.is_empty()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.watching.fetch_sub(1, Relaxed);
        self.shared.watchers.rcu(|watchers| {
            let others = watchers.iter().filter(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
            others.cloned().collect::<Vec<_>>()
        });
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activity(watched by {})", self.0.watching.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SocketId;

    fn connected(app: &str, socket: u64) -> ActivityEvent {
        ActivityEvent::of(app.into(), ActivityKind::Connected { socket: SocketId::from_bits(socket), address: None })
    }

    fn apps(batch: &Batch) -> Vec<&str> {
        batch.events.iter().filter_map(|event| event.app.as_deref()).collect()
    }

    #[test]
    fn what_nobody_watches_is_not_even_made() {
        let activity = Activity::default();
        activity.report(|| panic!("nobody watches"));
        drop(activity.watch(Filter::default()));
        activity.report(|| panic!("nobody watches any more"));
    }

    #[test]
    fn everybody_who_watches_hears_what_passes_their_filter_in_order() {
        let activity = Activity::default();
        let mut all = activity.watch(Filter::default());
        let mut one = activity.clone().watch(Filter::new(Some("2".to_owned()), None));
        for (socket, app) in ["1", "2", "3"].iter().enumerate() {
            activity.report(|| connected(app, socket as u64));
        }
        assert_eq!(apps(&all.take()), ["1", "2", "3"]);
        assert_eq!(apps(&one.take()), ["2"]);
        assert!(all.take().is_empty() && one.take().is_empty());
    }

    #[test]
    fn who_does_not_take_misses_the_newest_and_is_told_how_many() {
        let activity = Activity::default();
        let mut slow = activity.watch(Filter::new(Some("1".to_owned()), None));
        for socket in 0..MAX_WAITING as u64 + 7 {
            activity.report(|| connected("1", socket));
            activity.report(|| connected("2", socket));
        }
        let batch = slow.take();
        assert_eq!((batch.events.len(), batch.missed), (MAX_WAITING, 7), "what the filter keeps away is not missed");
        let ActivityKind::Connected { socket, .. } = batch.events[0].kind else { panic!("{:?}", batch.events[0]) };
        assert_eq!(socket, SocketId::from_bits(0));
        activity.report(|| connected("1", 0));
        let batch = slow.take();
        assert_eq!((batch.events.len(), batch.missed), (1, 0));
    }

    #[test]
    fn one_who_stops_watching_takes_nothing_from_the_others() {
        let activity = Activity::default();
        let leaving = activity.watch(Filter::default());
        let mut staying = activity.watch(Filter::default());
        drop(leaving);
        activity.report(|| connected("1", 0));
        assert_eq!(apps(&staying.take()), ["1"]);
    }
}
