//! What all nodes know of a channel, put together: what a node asks that opened it later than a client heard it, and what
//! it is answered. Pure.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{NodeId, core::Published};

use super::history::{Known, Shared, Span, wire};
use crate::protocol::{ChannelName, EventId, EventOrigin, Position};

/// How long subscribers wait for what other nodes know.
pub const PATIENCE: Duration = Duration::from_millis(600);

/// What came of a question to all other nodes.
#[derive(Debug)]
pub enum Answered {
    /// All have answered.
    All(Known),
    /// Somebody has not answered in time.
    Silent,
    /// Too many other channels were asked for.
    Busy,
}

/// A question to all other nodes, and what was answered so far.
#[derive(Debug)]
pub struct Inquiry {
    channel: ChannelName,
    awaited: BTreeSet<NodeId>,
    known: Known,
}

impl Inquiry {
    /// A question of this node.
    pub fn new(channel: ChannelName, node: NodeId, published: &Published) -> Self {
        let lives = published.positions.iter().filter(|(other, _)| !published.ended.contains(other));
        let positions = lives.clone().map(|(other, number)| EventId { origin: origin(*other), number: *number });
        let known = Known { positions: positions.collect(), answers: vec![own(node, published)] };
        Self { channel, awaited: lives.map(|(other, _)| *other).filter(|other| *other != node).collect(), known }
    }

    /// A node has answered.
    pub fn take(&mut self, from: NodeId, answer: Bytes, now: Instant) {
        if let Some(shared) = wire::read(answer, &self.channel, now) {
            self.awaited.remove(&from);
            self.known.answers.push(shared);
        }
    }

    /// Whether nobody is left who could answer.
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// What came of it. Where not all have answered, somebody may know of events of which the others do not know that they
    /// exist.
    pub fn end(self) -> Answered {
        if self.is_complete() { Answered::All(self.known) } else { Answered::Silent }
    }
}

/// What a node answers: what it published itself, and what its room of the channel knows, if it has one.
pub fn answer(node: NodeId, published: &Published, mut kept: Shared) -> Bytes {
    let lives = published.positions.iter().filter(|(other, _)| !published.ended.contains(other));
    let lives: BTreeSet<EventOrigin> = lives.map(|(other, _)| origin(*other)).collect();
    for span in kept.spans.iter_mut().filter(|span| !lives.contains(&span.origin)) {
        match dead_at(span.origin, published) {
            // Whether it published more before it died is not known here.
            Some(heard) => span.last = span.last.max(heard),
            None => span.has_ended = true,
        }
    }
    kept.spans.extend(own(node, published).spans);
    wire::write(&kept)
}

/// Of an origin that is dead, up to which number nothing of it is missed here.
fn dead_at(dead: EventOrigin, published: &Published) -> Option<u64> {
    let is_it = |node: NodeId| origin(node) == dead && published.dead.contains(&node);
    published.positions.iter().find(|(node, _)| is_it(*node)).map(|(_, number)| *number)
}

/// What a node's core knows of the node itself.
fn own(node: NodeId, &Published { after, last, .. }: &Published) -> Shared {
    let span = Span { origin: origin(node), after, last, has_ended: false, settled: Position::default() };
    Shared { spans: vec![span], ..Shared::default() }
}

fn origin(node: NodeId) -> EventOrigin {
    EventOrigin::of_node(node.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 4] = [NodeId::from_bits(1), NodeId::from_bits(2), NodeId::from_bits(3), NodeId::from_bits(4)];

    /// What the first node knows of four, the last of which has ended.
    fn published() -> Published {
        let positions = NODES.map(|node| (node, node.bits() * 10)).into();
        Published { after: 4, last: 10, positions, ended: [NODES[3]].into(), dead: BTreeSet::new() }
    }

    fn inquiry() -> Inquiry {
        Inquiry::new(ChannelName::parse("orders", 200).unwrap(), NODES[0], &published())
    }

    fn span(node: NodeId, after: u64, last: u64) -> Span {
        Span { origin: origin(node), after, last, has_ended: false, settled: Position::default() }
    }

    #[test]
    fn a_question_is_answered_once_all_have_answered_that_live() {
        let (mut inquiry, now) = (inquiry(), Instant::now());
        for (index, node) in NODES[1..3].iter().enumerate() {
            assert!(!inquiry.is_complete(), "{index} have answered");
            inquiry.take(*node, answer(*node, &published(), Shared::default()), now);
        }
        assert!(inquiry.is_complete());
        let Answered::All(known) = inquiry.end() else { panic!("all have answered") };
        let lives: Vec<_> = known.positions.iter().map(|position| (position.origin, position.number)).collect();
        assert_eq!(lives, [(origin(NODES[0]), 10), (origin(NODES[1]), 20), (origin(NODES[2]), 30)]);
        let spans: Vec<_> = known.answers.iter().flat_map(|answer| answer.spans.clone()).collect();
        assert_eq!(spans, [0, 1, 2].map(|node| span(NODES[node], 4, 10)));
    }

    #[test]
    fn who_says_nothing_that_can_be_read_has_not_answered() {
        let (mut inquiry, now) = (inquiry(), Instant::now());
        inquiry.take(NODES[1], answer(NODES[1], &published(), Shared::default()), now);
        inquiry.take(NODES[2], Bytes::from_static(b"\x02"), now);
        assert!(!inquiry.is_complete());
        assert!(matches!(inquiry.end(), Answered::Silent));
    }

    #[test]
    fn an_answer_says_which_origins_have_ended() {
        let spans = vec![span(NODES[2], 1, 2), span(NODES[3], 3, 4), span(NodeId::from_bits(5), 5, 6)];
        let answer = answer(NODES[0], &published(), Shared { spans, ..Shared::default() });
        let read = wire::read(answer, &ChannelName::parse("orders", 200).unwrap(), Instant::now()).unwrap();
        assert_eq!(read.spans.iter().map(|span| span.has_ended).collect::<Vec<_>>(), [false, true, true, false]);
    }

    #[test]
    fn of_a_node_that_is_dead_an_answer_says_only_how_far_it_was_heard() {
        let published = Published { dead: [NODES[3]].into(), ..published() };
        let spans = vec![span(NODES[3], 3, 4)];
        let answer = answer(NODES[0], &published, Shared { spans, ..Shared::default() });
        let read = wire::read(answer, &ChannelName::parse("orders", 200).unwrap(), Instant::now()).unwrap();
        assert_eq!((read.spans[0].has_ended, read.spans[0].last), (false, 40));
    }
}
