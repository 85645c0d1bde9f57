//! The partitions of the work queue, and which node consumes each. Pure.

use std::collections::BTreeSet;

use crate::{
    hash::{hash, spread},
    room::NodeId,
};

/// The number of partitions. It is part of subjects, so it is the same in every release.
const SLOTS: u8 = 16;

/// One partition. All events of a channel are in the same one, so that one node posts them, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The slot of a channel of an app.
    pub fn of(app: &str, channel: &str) -> Self {
        let slot = hash(format!("{app}\0{channel}").as_bytes()) % u64::from(SLOTS);
        Self(u8::try_from(slot).expect("there are fewer slots than 256"))
    }

    /// All slots, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// Its number, from 0.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The node that consumes it: the one with the highest rendezvous hash, so that few slots move when nodes come and
    /// go.
    pub fn owner(self, nodes: &BTreeSet<NodeId>) -> Option<NodeId> {
        let name = spread(u64::from(self.0));
        nodes.iter().copied().max_by_key(|node| spread(name ^ spread(node.bits())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(bits: impl IntoIterator<Item = u64>) -> BTreeSet<NodeId> {
        bits.into_iter().map(NodeId::from_bits).collect()
    }

    #[test]
    fn a_channel_falls_into_the_same_slot_in_every_release() {
        let slots = [("1", "orders"), ("1", "presence-room"), ("2", "orders")];
        assert_eq!(slots.map(|(app, channel)| Slot::of(app, channel).number()), [5, 12, 11]);
    }

    #[test]
    fn every_node_of_three_has_slots_and_none_has_all() {
        let nodes = nodes([7, 8, 9]);
        for node in &nodes {
            let owned = Slot::all().filter(|slot| slot.owner(&nodes) == Some(*node)).count();
            assert!((1..10).contains(&owned), "{owned}");
        }
    }

    #[test]
    fn only_the_slots_of_the_node_that_left_move() {
        let (before, after) = (nodes([7, 8, 9]), nodes([7, 8]));
        for slot in Slot::all().filter(|slot| slot.owner(&before) != Some(NodeId::from_bits(9))) {
            assert_eq!(slot.owner(&after), slot.owner(&before));
        }
        assert_eq!(Slot(0).owner(&BTreeSet::new()), None);
    }
}
