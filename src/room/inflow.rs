//! What sockets have sent and their rooms have not handled yet, and whether that, or what it causes between nodes, is so
//! much that no more is to be read.
//!
//! Invariant: at most [`LIMIT`] messages wait for rooms, and [`Link`](gaung_cluster::bus::Link) keeps about as many
//! orders, beyond what sessions give back when they end, which is no more than they were let in with. Nobody is refused:
//! a session asks before it takes the next message from its socket, and what it does not take waits in the client's TCP
//! window.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::cluster::Cluster;

/// How many messages, and how many orders to the bus, may wait: some milliseconds of work, so that a room's thread never
/// runs dry while sockets are read again, and its queue always does before its rooms starve.
pub const LIMIT: usize = 4_096;

/// The bus does not say that it has caught up; it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A session that waits says so once in this time, so that nobody takes its client for silent.
const REPORT: Duration = Duration::from_secs(1);

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

    /// Counts a message. It is never refused: whoever can wait has asked before.
    pub fn begin(self: &Arc<Self>) -> Underway {
        self.waiting.fetch_add(1, SeqCst);
        Underway(self.clone())
    }

    /// How many messages are on their way now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Whether nothing more is to be read from sockets.
    pub fn is_behind(&self) -> bool {
        self.are_rooms_behind() || self.is_bus_behind()
    }

    /// Ends when it is worth asking again, after a second at the latest.
    pub fn pause(self: Arc<Self>) -> impl Future<Output = ()> + use<> {
        let drained = self.drained.clone().notified_owned();
        async move {
            // Asked again after the bell is in place, so that its ringing cannot be missed.
            if self.are_rooms_behind() {
                // Nobody rings where a room's thread stands still.
                let _ = timeout(REPORT, drained).await;
            } else if self.is_bus_behind() {
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    fn are_rooms_behind(&self) -> bool {
        self.waiting() >= self.limit
    }

    fn is_bus_behind(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.link().facts_waiting() >= self.limit)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Inflow { waiting, limit, drained, .. } = &*self.0;
        // At half, so that sockets do not stop and go at every message.
        if waiting.fetch_sub(1, SeqCst) == limit / 2 + 1 {
            drained.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[actix::test]
    async fn reading_stops_at_the_limit_and_goes_on_when_half_is_done() {
        let inflow = Inflow::new(4, None);
        let mut underway: Vec<_> = (0..3).map(|_| inflow.begin()).collect();
        assert!(!inflow.is_behind());
        underway.push(inflow.begin());
        assert!(inflow.is_behind());
        let mut pause = std::pin::pin!(inflow.clone().pause());
        assert!(pause.as_mut().now_or_never().is_none());
        underway.pop();
        assert!(pause.as_mut().now_or_never().is_none());
        underway.pop();
        assert!(pause.as_mut().now_or_never().is_some());
    }

    #[actix::test]
    async fn whoever_would_wait_when_all_is_done_already_does_not_wait() {
        let inflow = Inflow::new(1, None);
        let underway = inflow.begin();
        assert!(inflow.is_behind());
        drop(underway);
        assert!(inflow.pause().now_or_never().is_some());
    }

    #[test]
    fn what_is_given_back_at_an_end_counts_beyond_the_limit() {
        let inflow = Inflow::new(2, None);
        let underway: Vec<_> = (0..5).map(|_| inflow.begin()).collect();
        assert!(inflow.is_behind());
        drop(underway);
        assert!(!inflow.is_behind());
    }
}
