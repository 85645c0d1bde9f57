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
    kept.spans.iter_mut().for_each(|span| span.has_ended = !lives.contains(&span.origin));
    kept.spans.extend(own(node, published).spans);
    wire::write(&kept)
}

/// What a node's core knows of the node itself.
fn own(node: NodeId, &Published { after, last, .. }: &Published) -> Shared {
    let span = Span { origin: origin(node), after, last, has_ended: false, settled: Position::default() };
    Shared { spans: vec![span], ..Shared::default() }
}

fn origin(node: NodeId) -> EventOrigin {
    EventOrigin::of_node(node.bits())
}
