//! What all nodes know of a channel, put together: what a node asks that opened it later than a client heard it, and what
//! it is answered. Pure.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{NodeId, core::Published, history::StoredHistory};

use super::{
    from_peers::{event_id, origin},
    history::{History, HistoryBudget, Known, Shared, Span, wire},
    stored::stored,
};
use crate::{
    config::HistoryWindow,
    protocol::{ChannelName, EventOrigin, Position},
};

/// How long subscribers wait for what other nodes know.
pub const PATIENCE: Duration = Duration::from_millis(600);

/// How long they wait for a node that has said that it leaves: it ends without a word, and then it is known that it has.
const LEAVING_PATIENCE: Duration = Duration::from_secs(4);

/// How long they wait until a node that was killed is taken for dead, where a stream knows the rest.
const DEATH_PATIENCE: Duration = Duration::from_secs(8);

/// How long they wait for a turn, and then for what the stream behind the nodes' memory has: when a node died, thousands of
/// channels are read.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(5);

/// How much longer than from the moment on what was missed is read: clocks differ.
const MARGIN: Duration = Duration::from_secs(15);

/// What subscribers have missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What came after this position.
    pub since: Option<Position>,
    /// What came from this moment on.
    pub moment: Option<Instant>,
    /// The last event of each origin that any of them has heard.
    pub named: Position,
    /// For how long the channel's events are kept.
    pub window: Duration,
}

/// What came of a question to all other nodes.
#[derive(Debug)]
pub enum Answered {
    /// All have answered, or the stream has told what those know who have not.
    All(Known),
    /// All have answered, and the stream, which may know more, could not be read.
    WithoutStream(Known),
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
    /// How far each node was heard here, the dead too.
    heard: Position,
    /// Nodes that may have ended, and are not known to.
    leaving: BTreeSet<NodeId>,
    stream_is_away: bool,
}

impl Wanted {
    /// What both have missed.
    pub fn and(self, other: Self) -> Self {
        let since = match (self.since, other.since) {
            (Some(one), Some(other)) => Some(one.earlier(&other)),
            (one, other) => one.or(other),
        };
        let moment = self.moment.into_iter().chain(other.moment).min();
        let named = self.named.events().chain(other.named.events()).collect();
        Self { since, moment, named, window: self.window.max(other.window) }
    }

    /// Whether who knows this knows the other too.
    pub fn covers(&self, other: &Self) -> bool {
        let is_within = |since: &Position| self.since.as_ref().is_some_and(|asked| asked.is_up_to(since));
        let is_later = |moment: Instant| self.moment.is_some_and(|asked| asked <= moment);
        other.since.as_ref().is_none_or(is_within) && other.moment.is_none_or(is_later)
    }

    /// How far back the stream is to be read where it has much.
    pub fn reach(&self, now: Instant) -> Duration {
        let away = self.moment.map_or(Duration::ZERO, |moment| now.saturating_duration_since(moment));
        self.window.max(away) + MARGIN
    }
}

impl Inquiry {
    /// A question of this node.
    pub fn new(channel: ChannelName, node: NodeId, published: &Published) -> Self {
        let positions = published.living().map(|(other, number)| event_id(other, number));
        let known = Known { positions: positions.collect(), answers: vec![own(node, published)], stored: None };
        let awaited = published.living().map(|(other, _)| other).filter(|other| *other != node).collect();
        let leaving = published.leaving.clone();
        Self { channel, awaited, known, heard: heard(published), leaving, stream_is_away: false }
    }

    /// Looks again which nodes live: who has ended is not awaited any longer.
    pub fn look(&mut self, published: &Published) {
        self.awaited.retain(|node| published.living().any(|(other, _)| other == *node));
        let ended: BTreeSet<EventOrigin> = published.ended.iter().map(|node| origin(*node)).collect();
        self.known.positions.retain(|position| !ended.contains(&position.origin));
        self.heard = heard(published);
        self.leaving.clone_from(&published.leaving);
    }

    /// How long those are waited for that have not answered, since the question. With a stream behind the nodes all is known
    /// once a node is taken for dead that was killed; without one only what one knew that leaves is known to others.
    pub fn patience(&self, has_stream: bool) -> Duration {
        match self.is_complete() {
            true => Duration::ZERO,
            false if has_stream => DEATH_PATIENCE,
            false if self.awaited.is_subset(&self.leaving) => LEAVING_PATIENCE,
            false => PATIENCE,
        }
    }

    /// A node has answered.
    pub fn take(&mut self, from: NodeId, answer: Bytes, now: Instant) {
        if let Some(shared) = wire::read(answer, &self.channel, now) {
            self.awaited.remove(&from);
            self.known.answers.push(shared);
        }
    }

    /// The nodes that have not answered, and are not known to have ended.
    pub fn awaited(&self) -> impl Iterator<Item = NodeId> {
        self.awaited.iter().copied()
    }

    /// Whether nobody is left who could answer.
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Whether the stream behind the nodes' memory may know what they do not who were asked for what came after a position.
    pub fn needs_stream(&self, asked: &Position, wanted: &Wanted, now: Instant) -> bool {
        if !self.is_complete() || wanted.moment.is_some() {
            return true;
        }
        let spans = |shared: &Shared| Shared { events: Vec::new(), ..shared.clone() };
        let answers = self.known.answers.iter().map(spans).collect();
        let known = Known { positions: self.known.positions.clone(), answers, stored: None };
        let mut history = History::new(HistoryWindow { time: wanted.window, events: 0 }, HistoryBudget::new(0));
        history.merge(known, now);
        !history.is_whole_after(asked)
    }

    /// What the stream has of the channel; `None` if it could not be read.
    pub fn take_stored(&mut self, read: Option<StoredHistory>, wanted: &Wanted, now: Instant) {
        match read {
            Some(read) => {
                let lives = |origin| self.known.positions.iter().any(|position| position.origin == origin);
                let heard = self.heard.events().chain(wanted.named.events()).collect();
                self.known.stored = Some(stored(read, &self.channel, (lives, &heard), now));
            }
            None => self.stream_is_away = true,
        }
    }

    /// What came of it. Where not all have answered, somebody may know of events of which the others do not know that they
    /// exist; the stream knows of them.
    pub fn end(mut self) -> Answered {
        if let Some(stored) = &mut self.known.stored {
            stored.silent = self.awaited.iter().map(|node| origin(*node)).collect();
        }
        let is_complete = self.is_complete() || self.known.stored.is_some();
        match (is_complete, self.stream_is_away) {
            (true, false) => Answered::All(self.known),
            (true, true) => Answered::WithoutStream(self.known),
            (false, _) => Answered::Silent,
        }
    }
}

/// What a node answers: what it published itself, and what its room of the channel knows, if it has one.
pub fn answer(node: NodeId, published: &Published, mut kept: Shared) -> Bytes {
    let lives: BTreeSet<EventOrigin> = published.living().map(|(other, _)| origin(other)).collect();
    let left: BTreeSet<EventOrigin> = published.left.iter().map(|node| origin(*node)).collect();
    for span in kept.spans.iter_mut().filter(|span| !lives.contains(&span.origin)) {
        // Whether any other published more before it died is not known here.
        span.last = span.last.max(heard_of(span.origin, published));
        span.has_ended |= left.contains(&span.origin);
    }
    kept.spans.extend(own(node, published).spans);
    wire::write(&kept)
}

/// Up to which number nothing of an origin is missed here, as far as this node's core knows.
fn heard_of(ended: EventOrigin, published: &Published) -> u64 {
    published.positions.iter().find(|(node, _)| origin(*node) == ended).map_or(0, |(_, number)| *number)
}

/// What a node's core knows of the node itself.
fn own(node: NodeId, &Published { after, last, .. }: &Published) -> Shared {
    let span = Span { origin: origin(node), after, last, has_ended: false, settled: Position::default() };
    Shared { spans: vec![span], ..Shared::default() }
}

fn heard(published: &Published) -> Position {
    published.positions.iter().map(|(node, number)| event_id(*node, *number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 4] = [NodeId::from_bits(1), NodeId::from_bits(2), NodeId::from_bits(3), NodeId::from_bits(4)];

    /// What the first node knows of four, the last of which has ended.
    fn published() -> Published {
        let positions = NODES.map(|node| (node, node.bits() * 10)).into();
        let (left, leaving) = (BTreeSet::new(), BTreeSet::new());
        Published { after: 4, last: 10, positions, ended: [NODES[3]].into(), left, leaving }
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
    fn who_ends_meanwhile_is_not_awaited_any_longer() {
        let (mut inquiry, mut published) = (inquiry(), published());
        inquiry.take(NODES[1], wire::write(&Shared::default()), Instant::now());
        assert_eq!([false, true].map(|has_stream| inquiry.patience(has_stream)), [PATIENCE, DEATH_PATIENCE]);
        published.leaving.insert(NODES[2]);
        inquiry.look(&published);
        assert_eq!([false, true].map(|has_stream| inquiry.patience(has_stream)), [LEAVING_PATIENCE, DEATH_PATIENCE]);
        published.ended.insert(NODES[2]);
        inquiry.look(&published);
        assert_eq!((inquiry.patience(true), inquiry.is_complete()), (Duration::ZERO, true));
        let Answered::All(known) = inquiry.end() else { panic!("all have answered that live") };
        let lives: Vec<_> = known.positions.iter().map(|position| position.origin).collect();
        assert_eq!(lives, [origin(NODES[0]), origin(NODES[1])]);
    }

    #[test]
    fn the_stream_is_needed_where_the_answers_do_not_reach_the_position_that_was_asked_for() {
        let now = Instant::now();
        let needs = |after: u64, moment: Option<Instant>| {
            let mut inquiry = inquiry();
            let spans = vec![span(NODES[1], after, 20), span(NODES[2], after, 30)];
            for node in &NODES[1..3] {
                inquiry.take(*node, wire::write(&Shared { spans: spans.clone(), ..Shared::default() }), now);
            }
            let since = NODES[..3].iter().map(|node| event_id(*node, 15));
            let since: Position = since.collect();
            let window = Duration::from_secs(60);
            let wanted = Wanted { since: Some(since.clone()), moment, named: since.clone(), window };
            inquiry.needs_stream(&since, &wanted, now)
        };
        assert_eq!([needs(15, None), needs(16, None), needs(15, Some(now))], [false, true, true]);
    }

    /// What an answer says of how far each of these origins is known, and whether it has ended.
    fn told(published: &Published, spans: Vec<Span>) -> Vec<(u64, bool)> {
        let answer = answer(NODES[0], published, Shared { spans, ..Shared::default() });
        let read = wire::read(answer, &ChannelName::parse("orders", 200).unwrap(), Instant::now()).unwrap();
        read.spans.iter().map(|span| (span.last, span.has_ended)).collect()
    }

    #[test]
    fn an_answer_says_which_origins_have_left_in_order_also_those_that_are_no_peers_any_more() {
        let fifth = NodeId::from_bits(5);
        let published = Published { left: [NODES[3], fifth].into(), ..published() };
        let spans = vec![span(NODES[2], 1, 2), span(NODES[3], 3, 4), span(fifth, 5, 6)];
        // The first three are those; the last is the node's own.
        assert_eq!(told(&published, spans), [(2, false), (40, true), (6, true), (10, false)]);
    }

    #[test]
    fn of_a_node_that_died_an_answer_says_only_how_far_it_was_heard() {
        let spans = vec![span(NODES[3], 3, 4), span(NodeId::from_bits(5), 5, 6)];
        assert_eq!(told(&published(), spans), [(40, false), (6, false), (10, false)]);
    }

    #[test]
    fn what_others_have_said_of_a_node_that_had_left_is_passed_on() {
        let spans = vec![Span { has_ended: true, ..span(NodeId::from_bits(5), 5, 6) }];
        assert_eq!(told(&published(), spans), [(6, true), (10, false)]);
    }
}
