//! Events that wait to be stored, by slot and in order. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::{event::QueuedEvent, slot::Slot};

/// Bytes of a waiting event beside its body: its id, its ack and what that holds, spare capacity of the queues.
const OVERHEAD: usize = 384;

/// Events that are not stored yet. Beyond the bound the oldest are dropped.
pub(super) struct Waiting {
    max_bytes: usize,
    slots: BTreeMap<Slot, VecDeque<(u64, QueuedEvent)>>,
    arrivals: u64,
    bytes: usize,
}

impl Waiting {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, slots: BTreeMap::new(), arrivals: 0, bytes: 0 }
    }

    /// Adds an event; returns those that were dropped for it, the oldest first.
    pub(super) fn push(&mut self, event: QueuedEvent) -> Vec<QueuedEvent> {
        self.arrivals += 1;
        self.bytes += cost(&event);
        self.slots.entry(event.slot).or_default().push_back((self.arrivals, event));
        let mut dropped = Vec::new();
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.oldest().and_then(|slot| self.next(slot)) else { break };
            dropped.push(oldest);
        }
        dropped
    }

    /// The next event of a slot.
    pub(super) fn next(&mut self, slot: Slot) -> Option<QueuedEvent> {
        let (_, event) = self.slots.get_mut(&slot)?.pop_front()?;
        self.bytes -= cost(&event);
        Some(event)
    }

    pub(super) fn count(&self) -> usize {
        self.slots.values().map(VecDeque::len).sum()
    }

    fn oldest(&self) -> Option<Slot> {
        let heads = self.slots.iter().filter_map(|(slot, events)| Some((events.front()?.0, *slot)));
        heads.min().map(|(_, slot)| slot)
    }
}

fn cost(event: &QueuedEvent) -> usize {
    event.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ack::Ack;

    fn event(channel: &str, id: &str) -> QueuedEvent {
        let body = Bytes::from(vec![b' '; 1000 - OVERHEAD]);
        QueuedEvent { slot: Slot::of("1", channel), id: id.to_owned(), body, ack: Ack::new(|| {}) }
    }

    fn ids(events: impl IntoIterator<Item = QueuedEvent>) -> Vec<String> {
        events.into_iter().map(|event| event.id).collect()
    }

    #[test]
    fn each_slot_has_its_own_order() {
        let mut waiting = Waiting::new(10_000);
        let (one, other) = ("a", "b");
        assert_ne!(Slot::of("1", one), Slot::of("1", other));
        for (channel, id) in [(one, "1"), (other, "2"), (one, "3")] {
            assert_eq!(ids(waiting.push(event(channel, id))), [""; 0]);
        }
        let slot = Slot::of("1", one);
        assert_eq!(ids(std::iter::from_fn(|| waiting.next(slot))), ["1", "3"]);
    }

    #[test]
    fn over_the_bound_the_oldest_of_all_slots_is_dropped() {
        let mut waiting = Waiting::new(3_000);
        for (channel, id) in [("a", "1"), ("b", "2"), ("a", "3")] {
            assert_eq!(ids(waiting.push(event(channel, id))), [""; 0]);
        }
        assert_eq!(ids(waiting.push(event("a", "4"))), ["1"]);
        assert_eq!(ids(waiting.push(event("a", "5"))), ["2"]);
    }
}
