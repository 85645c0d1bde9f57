//! What the marks of all nodes say of the stream: from which number of a node on, and up to which, it has all that the
//! node stored. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;

use super::mark::Mark;
use crate::{frame::Numbering, room::NodeId};

/// Who heard something that its node numbered so long after an event was stored has been served by a node that had the
/// event, or had given it up.
pub const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// For how long all marks of a node are known, and not only its first.
pub(super) const RECENT: Duration = Duration::from_secs(15 * 60);

/// The marks that the stream has.
#[derive(Debug, Default)]
pub struct Marks {
    nodes: BTreeMap<NodeId, NodeMarks>,
}

#[derive(Debug, Default)]
struct NodeMarks {
    /// The first that the stream has, once that is known.
    first: Option<StoredMark>,
    /// Those of lately, in their order.
    recent: VecDeque<StoredMark>,
}

#[derive(Debug, Clone, Copy)]
struct StoredMark {
    place: Place,
    mark: Mark,
}

/// Where in the stream a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Higher than that of all messages before.
    pub sequence: u64,
    /// When the stream took it, since the Unix epoch, by the clock of its servers.
    pub at: Duration,
}

/// An event that the stream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub node: NodeId,
    pub numbering: Numbering,
    pub place: Place,
    pub payload: Bytes,
}

/// What the stream knows of one node's events in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSpan {
    pub node: NodeId,
    /// All events after this one are known,
    pub after: u64,
    /// up to this one. If the node is dead, those of its last moments may be missing that it had not stored yet.
    pub last: u64,
    /// Who has heard one of these events, of other nodes, has heard all that this node sent, or came later.
    pub settled: Vec<(NodeId, u64)>,
}

impl Marks {
    /// Notes a mark that is behind all of its node that were noted before. Those long before it are forgotten.
    pub fn note(&mut self, node: NodeId, place: Place, mark: Mark) {
        let recent = &mut self.nodes.entry(node).or_default().recent;
        recent.push_back(StoredMark { place, mark });
        while recent.front().is_some_and(|mark| mark.place.at + RECENT < place.at) {
            recent.pop_front();
        }
    }

    /// Notes the first mark of a node that the stream has.
    pub fn note_first(&mut self, node: NodeId, place: Place, mark: Mark) {
        self.nodes.entry(node).or_default().first = Some(StoredMark { place, mark });
    }

    /// The stream has nothing any more before this sequence number.
    pub fn forget_before(&mut self, sequence: u64) {
        let is_gone = |mark: &StoredMark| mark.place.sequence < sequence;
        self.nodes.retain(|_, marks| {
            marks.first = marks.first.filter(|first| !is_gone(first));
            marks.recent.retain(|mark| !is_gone(mark));
            marks.first.is_some() || !marks.recent.is_empty()
        });
    }

    /// Whether it is known which mark of a node is the first that the stream has.
    pub fn knows_first(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|marks| marks.first.is_some())
    }

    /// What the stream knows of a room of which it has these events behind a place, of each node in the order of its
    /// numbers.
    pub fn spans(&self, events: &[StoredEvent], behind: Place) -> Vec<StoredSpan> {
        let mut by_node: BTreeMap<NodeId, Vec<&StoredEvent>> =
            self.nodes.keys().map(|node| (*node, Vec::new())).collect();
        events.iter().for_each(|event| by_node.entry(event.node).or_default().push(event));
        by_node.into_iter().filter_map(|(node, events)| self.span(node, &events, behind)).collect()
    }

    fn span(&self, node: NodeId, events: &[&StoredEvent], behind: Place) -> Option<StoredSpan> {
        let marks = self.nodes.get(&node);
        let is_behind = |mark: &&StoredMark| mark.place.sequence >= behind.sequence && mark.place.at >= behind.at;
        let first_mark = marks.and_then(|marks| marks.all().find(is_behind)).map(|first| first.mark);
        let last_mark = marks.and_then(|marks| marks.all().last()).map(|last| last.mark);
        let last_event = events.last().map(|event| event.numbering.number);
        let last = last_event.max(last_mark.map(|mark| mark.number))?;
        // Behind a mark is everything, but for what was never stored; without one only what events follow is known.
        let from = first_mark.map(|first| first.number).or(last_event)?;
        let from = last_mark.map_or(from, |mark| from.max(mark.lost_through));
        let after = events.iter().rev().fold(from, |after, event| before(after, event.numbering));
        let after = after.max(missing_through(last_mark.map_or(0, |mark| mark.number), events));
        let last_at = events.iter().map(|event| event.place.at).max();
        let settled = last_at.map(|at| self.settled(node, at)).unwrap_or_default();
        (after <= last).then_some(StoredSpan { node, after, last, settled })
    }

    /// Of each other node the first number that it used long after this time.
    fn settled(&self, node: NodeId, at: Duration) -> Vec<(NodeId, u64)> {
        let others = self.nodes.iter().filter(|(other, _)| **other != node);
        let first = |marks: &NodeMarks| {
            // It was so before the mark was stored.
            let is_later = |mark: &&StoredMark| mark.place.at.saturating_sub(mark.mark.waited) >= at + SETTLED_AFTER;
            marks.recent.iter().find(is_later).map(|mark| mark.mark.number + 1)
        };
        others.filter_map(|(other, marks)| Some((*other, first(marks)?))).collect()
    }
}

impl NodeMarks {
    /// Those that are known, in their order.
    fn all(&self) -> impl Iterator<Item = &StoredMark> {
        self.first.iter().chain(&self.recent)
    }
}

/// Where all events after a number are known, and those before that this event says there are none of.
fn before(after: u64, Numbering { number, predecessor }: Numbering) -> u64 {
    // 0 is also said where the predecessor is forgotten.
    if predecessor > 0 && number >= after { after.min(predecessor) } else { after }
}

/// Behind the last mark something may have been refused that was not sent again before the node died: up to which number
/// an event follows one that is not there. A client's event is never there.
fn missing_through(last_mark: u64, events: &[&StoredEvent]) -> u64 {
    let (mut known, mut missing) = (last_mark, 0);
    for Numbering { number, predecessor } in events.iter().map(|event| event.numbering) {
        if number > last_mark && predecessor > known {
            missing = predecessor;
        }
        known = known.max(number);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId::from_bits(1);
    const TWO: NodeId = NodeId::from_bits(2);

    fn seconds(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    fn place(sequence: u64, at: u64) -> Place {
        Place { sequence, at: seconds(at) }
    }

    fn marks(marks: impl IntoIterator<Item = (NodeId, u64, u64)>) -> Marks {
        let mut known = Marks::default();
        for (sequence, (node, at, number)) in marks.into_iter().enumerate() {
            known.note(node, place(sequence as u64 + 1, at), Mark { number, lost_through: 0, waited: Duration::ZERO });
        }
        known
    }

    fn event(node: NodeId, at: u64, number: u64, predecessor: u64) -> StoredEvent {
        StoredEvent { node, numbering: Numbering { number, predecessor }, place: place(0, at), payload: Bytes::new() }
    }

    fn spans(marks: &Marks, events: &[StoredEvent]) -> Vec<(NodeId, u64, u64)> {
        marks.spans(events, Place::default()).into_iter().map(|span| (span.node, span.after, span.last)).collect()
    }

    #[test]
    fn of_long_ago_the_first_mark_is_known_and_of_lately_all() {
        let mut known = Marks::default();
        let mark = |number| Mark { number, lost_through: 0, waited: Duration::ZERO };
        known.note_first(ONE, place(1, 0), mark(3));
        (0..200).for_each(|count| known.note(ONE, place(10 + count, 1_000 + count * 10), mark(100 + count)));
        assert_eq!((known.nodes[&ONE].recent.len(), spans(&known, &[])), (91, vec![(ONE, 3, 299)]));
        assert!(known.knows_first(ONE) && !known.knows_first(TWO));
        known.forget_before(2);
        assert!(!known.knows_first(ONE));
        assert_eq!(spans(&known, &[]), [(ONE, 209, 299)]);
    }

    #[test]
    fn of_a_node_that_was_quiet_in_a_room_everything_is_known_between_its_first_and_last_mark() {
        let mut known = marks([(ONE, 0, 7), (TWO, 1, 3), (ONE, 10, 9)]);
        assert_eq!(spans(&known, &[]), [(ONE, 7, 9), (TWO, 3, 3)]);
        known.forget_before(2);
        assert_eq!(spans(&known, &[]), [(ONE, 9, 9), (TWO, 3, 3)]);
        known.forget_before(3);
        assert_eq!(spans(&known, &[]), [(ONE, 9, 9)]);
    }

    #[test]
    fn marks_before_what_was_read_prove_nothing() {
        let known = marks([(ONE, 0, 7), (ONE, 10, 9), (ONE, 20, 12)]);
        let span = |behind: Place| known.spans(&[], behind)[0].after;
        assert_eq!([place(0, 0), place(2, 0), place(3, 0)].map(span), [7, 9, 12]);
        assert_eq!([place(0, 5), place(0, 10), place(0, 11)].map(span), [9, 9, 12]);
        assert_eq!(known.spans(&[], place(0, 21)), []);
        let span = &known.spans(&[event(ONE, 22, 15, 14)], place(0, 21))[0];
        assert_eq!((span.after, span.last), (14, 15));
    }

    #[test]
    fn events_reach_further_than_marks_on_both_sides() {
        let known = marks([(ONE, 0, 7), (ONE, 10, 20)]);
        assert_eq!(spans(&known, &[event(ONE, 1, 8, 4), event(ONE, 11, 25, 8)]), [(ONE, 4, 25)]);
        // What lies before an event that follows a forgotten one is not known.
        assert_eq!(spans(&known, &[event(ONE, 1, 8, 0)]), [(ONE, 7, 20)]);
        // A chain of events goes back as far as it holds.
        let chain = [event(ONE, 0, 3, 2), event(ONE, 0, 5, 4), event(ONE, 0, 7, 5), event(ONE, 1, 9, 7)];
        assert_eq!(spans(&known, &chain), [(ONE, 4, 20)]);
    }

    #[test]
    fn events_without_a_mark_are_known_from_the_one_before_them() {
        let known = Marks::default();
        assert_eq!(spans(&known, &[event(ONE, 0, 5, 4), event(ONE, 0, 9, 5)]), [(ONE, 4, 9)]);
        assert_eq!(spans(&known, &[event(ONE, 0, 5, 4), event(ONE, 0, 9, 6)]), [(ONE, 6, 9)]);
    }

    #[test]
    fn what_was_never_stored_is_not_known() {
        let mut known = marks([(ONE, 0, 7)]);
        known.note(ONE, place(9, 10), Mark { number: 20, lost_through: 15, waited: Duration::ZERO });
        assert_eq!(spans(&known, &[event(ONE, 1, 8, 7), event(ONE, 9, 18, 15)]), [(ONE, 15, 20)]);
        known.note(ONE, place(10, 20), Mark { number: 20, lost_through: 25, waited: Duration::ZERO });
        assert_eq!(spans(&known, &[]), []);
    }

    #[test]
    fn what_was_refused_after_the_last_mark_is_not_known() {
        let known = marks([(ONE, 0, 7), (ONE, 10, 20)]);
        let hole = |first: u64| spans(&known, &[event(ONE, 1, first, 20), event(ONE, 11, 25, 24)]);
        assert_eq!(hole(24), [(ONE, 7, 25)]);
        assert_eq!(hole(23), [(ONE, 24, 25)]);
        // Before a mark nothing can be missing: what is not there was never to be stored.
        assert_eq!(spans(&known, &[event(ONE, 1, 8, 7), event(ONE, 9, 18, 15)]), [(ONE, 7, 20)]);
    }

    #[test]
    fn who_heard_a_node_long_after_the_last_event_of_another_one_misses_nothing_of_that() {
        let known = marks([(ONE, 0, 1), (TWO, 0, 5), (TWO, 10, 6), (TWO, 20, 8), (TWO, 30, 9)]);
        let settled = |at: u64| known.spans(&[event(ONE, at, 2, 1)], Place::default())[0].settled.clone();
        assert_eq!(settled(3), [(TWO, 9)]);
        assert_eq!(settled(15), [(TWO, 10)]);
        assert_eq!(settled(16), []);
    }

    #[test]
    fn a_mark_that_waited_speaks_of_the_time_before() {
        let mut known = marks([(ONE, 0, 1)]);
        known.note(TWO, place(9, 40), Mark { number: 8, lost_through: 0, waited: seconds(30) });
        assert_eq!(known.spans(&[event(ONE, 3, 2, 1)], Place::default())[0].settled, []);
    }
}
