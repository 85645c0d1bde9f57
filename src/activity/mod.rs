//! What happens on this node, told to the consoles that watch while it happens. Nothing is kept: who does not watch misses
//! it.
//!
//! Invariants: telling waits for nobody, and costs one look at an atomic while nobody watches. A watcher hears of
//! happenings in the order in which each thread told them, or of how many it missed.

mod filter;
mod happening;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use filter::Filter;
pub use happening::{Asked, Happening, Refusal, What};

/// Happenings that wait for one watcher at most; what comes when so many wait is missed. It is also the most that a
/// watcher takes at once, so that a busy node floods nobody's screen.
pub const MAX_WAITING: usize = 50;

/// Where happenings are told. Cheap to clone; every call may come from any thread.
#[derive(Clone, Default)]
pub struct Happenings(Arc<Shared>);

#[derive(Default)]
struct Shared {
    watching: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Line>>>,
}

/// The way to one watcher.
struct Line {
    filter: Filter,
    queue: mpsc::Sender<Arc<Happening>>,
    missed: AtomicU64,
}

/// What one watcher hears, from [`Happenings::watch`] until it is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    line: Arc<Line>,
    queue: mpsc::Receiver<Arc<Happening>>,
}

/// What a watcher takes at once.
#[derive(Debug, Default)]
pub struct Heard {
    /// Happenings that it would have heard of, had there been room.
    pub missed: u64,
    /// The others.
    pub list: Vec<Arc<Happening>>,
}

impl Happenings {
    /// Tells what happened to those who watch. It is looked at, and made, only if anybody does.
    pub fn tell(&self, happening: impl FnOnce() -> Happening) {
        if self.are_watched() {
            self.pass_on(happening());
        }
    }

    /// Whether anybody watches, for those who must prepare what they may have to tell.
    pub fn are_watched(&self) -> bool {
        self.0.watching.load(Relaxed) > 0
    }

    /// Watches what passes the filter, from now on.
    pub fn watch(&self, filter: Filter) -> Watch {
        let (sender, queue) = mpsc::channel(MAX_WAITING);
        let line = Arc::new(Line { filter, queue: sender, missed: AtomicU64::new(0) });
        self.0.watchers.rcu(|watchers| {
            let mut watchers = Vec::clone(watchers);
            watchers.push(line.clone());
            watchers
        });
        self.0.watching.fetch_add(1, Relaxed);
        Watch { shared: self.0.clone(), line, queue }
    }

    fn pass_on(&self, happening: Happening) {
        let happening = Arc::new(happening);
        for line in self.0.watchers.load().iter().filter(|line| line.filter.admits(&happening)) {
            if line.queue.try_send(happening.clone()).is_err() {
                line.missed.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Watch {
    /// Takes what waits, without waiting for more.
    pub fn take(&mut self) -> Heard {
        let list = std::iter::from_fn(|| self.queue.try_recv().ok()).take(MAX_WAITING).collect();
        Heard { missed: self.line.missed.swap(0, Relaxed), list }
    }
}

impl Heard {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.missed == 0 && self.list.is_empty()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.watching.fetch_sub(1, Relaxed);
        self.shared.watchers.rcu(|watchers| {
            let others = watchers.iter().filter(|line| !Arc::ptr_eq(line, &self.line));
            others.cloned().collect::<Vec<_>>()
        });
    }
}

impl fmt::Debug for Happenings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Happenings(watched by {})", self.0.watching.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SocketId;

    fn connected(app: &str, socket: u64) -> Happening {
        Happening::of(app.into(), What::Connected { socket: SocketId::from_bits(socket), address: None })
    }

    fn apps(heard: &Heard) -> Vec<&str> {
        heard.list.iter().filter_map(|happening| happening.app.as_deref()).collect()
    }

    #[test]
    fn what_nobody_watches_is_not_even_made() {
        let happenings = Happenings::default();
        happenings.tell(|| panic!("nobody watches"));
        drop(happenings.watch(Filter::default()));
        happenings.tell(|| panic!("nobody watches any more"));
    }

    #[test]
    fn everybody_who_watches_hears_what_passes_their_filter_in_order() {
        let happenings = Happenings::default();
        let mut all = happenings.watch(Filter::default());
        let mut one = happenings.clone().watch(Filter::new(Some("2".to_owned()), None));
        for (socket, app) in ["1", "2", "3"].iter().enumerate() {
            happenings.tell(|| connected(app, socket as u64));
        }
        assert_eq!(apps(&all.take()), ["1", "2", "3"]);
        assert_eq!(apps(&one.take()), ["2"]);
        assert!(all.take().is_empty() && one.take().is_empty());
    }

    #[test]
    fn who_does_not_take_misses_the_newest_and_is_told_how_many() {
        let happenings = Happenings::default();
        let mut slow = happenings.watch(Filter::new(Some("1".to_owned()), None));
        for socket in 0..MAX_WAITING as u64 + 7 {
            happenings.tell(|| connected("1", socket));
            happenings.tell(|| connected("2", socket));
        }
        let heard = slow.take();
        assert_eq!((heard.list.len(), heard.missed), (MAX_WAITING, 7), "what the filter keeps away is not missed");
        let What::Connected { socket, .. } = heard.list[0].what else { panic!("{:?}", heard.list[0]) };
        assert_eq!(socket, SocketId::from_bits(0));
        happenings.tell(|| connected("1", 0));
        let heard = slow.take();
        assert_eq!((heard.list.len(), heard.missed), (1, 0));
    }

    #[test]
    fn one_who_stops_watching_takes_nothing_from_the_others() {
        let happenings = Happenings::default();
        let leaving = happenings.watch(Filter::default());
        let mut staying = happenings.watch(Filter::default());
        drop(leaving);
        happenings.tell(|| connected("1", 0));
        assert_eq!(apps(&staying.take()), ["1"]);
    }
}
