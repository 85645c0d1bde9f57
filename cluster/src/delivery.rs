//! How long events take from the node that takes them to the sockets of another one. Nodes do not trust one another's
//! clocks: a node acknowledges now and then an event that its sockets have, and says for how long it held it; the node
//! that published it knows since when it is on its way. What neither of them held was the way there and back.

use std::{collections::BTreeMap, time::Duration};

use crate::room::NodeId;

/// How often an event of a peer is acknowledged at most: as often as there is a beat.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Chooses the events that are acknowledged: of each peer one in a second.
#[derive(Debug, Default)]
pub struct Sampling {
    /// When the next event of a peer may be chosen. A peer without an entry has no such wait.
    next: BTreeMap<NodeId, Duration>,
}

impl Sampling {
    /// Whether this event of a peer is chosen.
    pub fn chooses(&mut self, origin: NodeId, now: Duration) -> bool {
        if self.next.get(&origin).is_some_and(|next| now < *next) {
            return false;
        }
        self.next.retain(|_, next| now < *next);
        self.next.insert(origin, now + SAMPLE_EVERY);
        true
    }
}

/// How long an event took that `waited` before it went out, whose acknowledgement came `round_trip` later, and which its
/// receiver `held` meanwhile until its sockets had it. The rest is taken for twice the way. `None` if the receiver says
/// that it held it for longer than it was away.
pub fn time(waited: Duration, round_trip: Duration, held: Duration) -> Option<Duration> {
    let ways = round_trip.checked_sub(held)?;
    Some(waited + ways / 2 + held)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId::from_bits(1);
    const OTHER: NodeId = NodeId::from_bits(2);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_event_of_each_peer_is_chosen_in_a_second() {
        let mut sampling = Sampling::default();
        let chosen = [(ONE, 0), (OTHER, 0), (ONE, 1), (OTHER, 999), (ONE, 1_000), (ONE, 1_999), (OTHER, 5_000)]
            .map(|(node, at)| sampling.chooses(node, millis(at)));
        assert_eq!(chosen, [true, true, false, false, true, false, true]);
    }

    #[test]
    fn a_peer_of_which_nothing_comes_is_forgotten() {
        let mut sampling = Sampling::default();
        assert!(sampling.chooses(ONE, millis(0)) && sampling.chooses(OTHER, millis(2_000)));
        assert_eq!(sampling.next.len(), 1);
    }

    #[test]
    fn the_way_is_half_of_what_nobody_held() {
        assert_eq!(time(millis(0), millis(4), millis(0)), Some(millis(2)));
        assert_eq!(time(millis(5), millis(4), millis(0)), Some(millis(7)));
        assert_eq!(time(millis(5), millis(104), millis(100)), Some(millis(107)));
        assert_eq!(time(millis(0), millis(4), millis(5)), None, "no event is held before it is sent");
    }
}
