//! What sockets have sent and their rooms have not handled yet, and whether that, or what it causes between nodes, is so
//! much that no more is to be read.
//!
//! Invariant: at most one and a half times [`LIMIT`] messages wait for rooms, or in rooms that wait for the bus, and
//! [`Link`](gaung_cluster::bus::Link) keeps about as many orders, beyond what sessions give back when they end, which is
//! no more than they were let in with. Nobody is refused: a session asks before it takes the next message from its socket,
//! and what it does not take waits in the client's TCP window. Who has sent much lately waits from half of the limit on,
//! who has sent little from one and a half: so a flood of some sockets stands in nobody else's way.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{sync::Notify, time::timeout};

use crate::cluster::Cluster;

/// How many messages, and how many orders to the bus, may wait: some milliseconds of work, so that a room's thread never
/// runs dry while sockets are read again, and its queue always does before its rooms starve. In a cluster each may be a
/// room that waits for NATS, and takes some 12 KiB.
pub(super) const LIMIT: usize = 2_048;

/// The bus does not say that it has caught up, and a thread that stands still says nothing at all.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// Counts messages on their way. Shared by all threads.
#[derive(Debug)]
pub struct Inflow {
    waiting: AtomicUsize,
    limit: usize,
    drained: Arc<Notify>,
    cluster: Option<Cluster>,
}

/// One message on its way; over when dropped.
#[derive(Debug)]
pub struct Underway(Arc<Inflow>);

impl Inflow {
    /// Room for `limit` messages. `cluster` is the way to the other nodes, if this one is not alone.
    pub fn new(limit: usize, cluster: Option<Cluster>) -> Arc<Self> {
        Arc::new(Self { waiting: AtomicUsize::new(0), limit, drained: Arc::default(), cluster })
    }

    /// Counts a message. It is never refused: a caller that can wait has asked before.
    pub fn begin(self: &Arc<Self>) -> Underway {
        self.waiting.fetch_add(1, SeqCst);
        Underway(self.clone())
    }

    /// How many messages are on their way now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Whether nothing more is to be read from a socket that has `spare` left of what it may send at once, from 0 for
    /// nothing to 1 for all.
    pub fn is_behind(&self, spare: f64) -> bool {
        let facts = self.cluster.as_ref().map_or(0, |cluster| cluster.link().waiting());
        self.waiting().max(facts) >= self.limit / 2 + (self.limit as f64 * spare) as usize
    }

    /// Ends when it is worth asking again: when rooms have little left to do, or after a moment.
    pub fn pause(&self) -> impl Future<Output = ()> + use<> {
        timeout(LOOK_AGAIN, self.drained.clone().notified_owned()).map(drop)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Inflow { waiting, limit, drained, .. } = &*self.0;
        // Far below where reading stops, so that sockets do not stop and go at every message.
        if waiting.fetch_sub(1, SeqCst) == limit / 4 + 1 {
            drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_sent_much_waits_earlier_than_who_has_sent_little() {
        let inflow = Inflow::new(4, None);
        let behind = |spares: [f64; 3]| spares.map(|spare| inflow.is_behind(spare));
        let spares = [0.0, 0.5, 1.0];
        let mut underway = vec![inflow.begin()];
        assert_eq!(behind(spares), [false, false, false]);
        underway.push(inflow.begin());
        assert_eq!(behind(spares), [true, false, false]);
        underway.extend((0..2).map(|_| inflow.begin()));
        assert_eq!(behind(spares), [true, true, false]);
        underway.extend((0..2).map(|_| inflow.begin()));
        assert_eq!(behind(spares), [true, true, true]);
        drop(underway);
        assert_eq!(behind(spares), [false, false, false]);
    }

    #[actix::test]
    async fn a_pause_ends_when_little_is_left_to_do() {
        let inflow = Inflow::new(4, None);
        let mut underway: Vec<_> = (0..3).map(|_| inflow.begin()).collect();
        let mut pause = std::pin::pin!(inflow.pause());
        assert!(pause.as_mut().now_or_never().is_none());
        underway.truncate(1);
        assert!(pause.as_mut().now_or_never().is_some());
    }

    #[actix::test]
    async fn a_pause_ends_by_itself_where_nobody_says_that_it_may() {
        let inflow = Inflow::new(4, None);
        let _underway = inflow.begin();
        inflow.pause().await;
    }

    #[test]
    fn what_is_given_back_at_an_end_counts_beyond_the_limit() {
        let inflow = Inflow::new(2, None);
        let underway: Vec<_> = (0..50).map(|_| inflow.begin()).collect();
        assert!(inflow.is_behind(1.0));
        drop(underway);
        assert!(!inflow.is_behind(0.0));
    }
}
