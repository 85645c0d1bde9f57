//! What all histories of a node share: who numbers its events, and what they may hold together. Pure.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::HistoryBudget;
use crate::protocol::{EventId, EventOrigin};

/// Subscribers that wait at once, on a whole node, for what other nodes know of their channel.
const MAX_WAITING: usize = 16_384;

/// Numbers the events of a node that is alone; in a cluster the bus does.
#[derive(Debug)]
pub struct EventNumbers {
    origin: EventOrigin,
    last: AtomicU64,
}

/// What all histories of a node share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Histories {
    /// Numbers the events, if the node is alone.
    pub numbers: Arc<EventNumbers>,
    /// What they may hold together.
    pub(in crate::room) budget: HistoryBudget,
    /// How many subscribers wait for other nodes.
    waiting: Arc<AtomicUsize>,
    /// Whether a stream keeps events behind the nodes' memory.
    pub(in crate::room) has_stream: bool,
}

/// A place among those who wait for other nodes; given back when dropped.
#[derive(Debug)]
pub struct WaitingPlace(Arc<AtomicUsize>);

impl Histories {
    /// Who numbers this node's events.
    pub fn origin(&self) -> EventOrigin {
        self.numbers.origin
    }

    /// Those of a node that keeps so many bytes of events.
    pub fn new(node: u64, bytes: usize) -> Self {
        let numbers = Arc::new(EventNumbers::new(EventOrigin::of_node(node)));
        Self { numbers, budget: HistoryBudget::new(bytes), waiting: Arc::default(), has_stream: false }
    }

    /// The same, behind which a stream keeps events.
    pub fn with_stream(self) -> Self {
        Self { has_stream: true, ..self }
    }

    /// A place for one more subscriber that waits for other nodes, unless there are too many.
    pub fn wait(&self) -> Option<WaitingPlace> {
        let place = WaitingPlace(self.waiting.clone());
        (self.waiting.fetch_add(1, Relaxed) < MAX_WAITING).then_some(place)
    }
}

impl EventNumbers {
    /// The numbers of a node that has published nothing.
    pub fn new(origin: EventOrigin) -> Self {
        Self { origin, last: AtomicU64::new(0) }
    }

    /// The next event's name.
    pub fn next(&self) -> EventId {
        EventId { origin: self.origin, number: self.last.fetch_add(1, Relaxed) + 1 }
    }

    /// The name of the last event of the node.
    pub fn last(&self) -> EventId {
        EventId { origin: self.origin, number: self.last.load(Relaxed) }
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_subscribers_wait_and_each_gives_its_place_back() {
        let histories = Histories::new(1, 1);
        let mut places: Vec<_> = (0..MAX_WAITING).map(|_| histories.wait().unwrap()).collect();
        assert!(histories.wait().is_none());
        places.pop();
        assert!(histories.wait().is_some());
    }
}
