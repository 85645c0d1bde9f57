//! What waits for the stream to take it, by slot and in order. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::{Letter, slot::Slot};

/// What a stored event takes beside its body: its id, its receipt and what that holds, the places that queues keep free.
const OVERHEAD: usize = 384;

/// Letters that the stream has not taken yet. Beyond its bound the oldest are dropped.
pub(super) struct Waiting {
    max_bytes: usize,
    slots: BTreeMap<Slot, VecDeque<(u64, Letter)>>,
    arrivals: u64,
    bytes: usize,
}

impl Waiting {
    /// Room for this many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, slots: BTreeMap::new(), arrivals: 0, bytes: 0 }
    }

    /// Takes a letter; returns those, the oldest first, that had to go for it.
    pub fn push(&mut self, letter: Letter) -> Vec<Letter> {
        self.arrivals += 1;
        self.bytes += cost(&letter);
        self.slots.entry(letter.slot).or_default().push_back((self.arrivals, letter));
        let mut dropped = Vec::new();
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.oldest().and_then(|slot| self.next(slot)) else { break };
            dropped.push(oldest);
        }
        dropped
    }

    /// The next letter of a slot.
    pub fn next(&mut self, slot: Slot) -> Option<Letter> {
        let (_, letter) = self.slots.get_mut(&slot)?.pop_front()?;
        self.bytes -= cost(&letter);
        Some(letter)
    }

    /// How many letters wait.
    pub fn count(&self) -> usize {
        self.slots.values().map(VecDeque::len).sum()
    }

    fn oldest(&self) -> Option<Slot> {
        let heads = self.slots.iter().filter_map(|(slot, letters)| Some((letters.front()?.0, *slot)));
        heads.min().map(|(_, slot)| slot)
    }
}

fn cost(letter: &Letter) -> usize {
    letter.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::receipt::Receipt;

    fn letter(channel: &str, id: &str) -> Letter {
        let body = Bytes::from(vec![b' '; 1000 - OVERHEAD]);
        Letter { slot: Slot::of("1", channel), id: id.to_owned(), body, receipt: Receipt::new(|| {}) }
    }

    fn ids(letters: impl IntoIterator<Item = Letter>) -> Vec<String> {
        letters.into_iter().map(|letter| letter.id).collect()
    }

    #[test]
    fn each_slot_has_its_own_order() {
        let mut waiting = Waiting::new(10_000);
        let (one, other) = ("a", "b");
        assert_ne!(Slot::of("1", one), Slot::of("1", other));
        for (channel, id) in [(one, "1"), (other, "2"), (one, "3")] {
            assert_eq!(ids(waiting.push(letter(channel, id))), [""; 0]);
        }
        let slot = Slot::of("1", one);
        assert_eq!(ids(std::iter::from_fn(|| waiting.next(slot))), ["1", "3"]);
    }

    #[test]
    fn over_the_bound_the_oldest_of_all_slots_is_dropped() {
        let mut waiting = Waiting::new(3_000);
        for (channel, id) in [("a", "1"), ("b", "2"), ("a", "3")] {
            assert_eq!(ids(waiting.push(letter(channel, id))), [""; 0]);
        }
        assert_eq!(ids(waiting.push(letter("a", "4"))), ["1"]);
        assert_eq!(ids(waiting.push(letter("a", "5"))), ["2"]);
    }
}
