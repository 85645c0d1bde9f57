//! What is heard from one peer: each stream in order, without doubles, with holes asked for and, when they cannot be
//! filled in time, declared. Knows nothing of what the frames mean.
//!
//! Invariant: a frame is given out only after its predecessor, or after the hole before it was declared.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::frame::{Body, Frame, Hole, Stream};

/// How often a hole is asked for.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long a missing tail is waited for before it is asked for: what tells of it may have overtaken it.
const TAIL_GRACE: Duration = Duration::from_millis(200);

/// How long what follows a hole is held back, counted while the peer can be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes held back for one peer at most; beyond it holes are declared at once.
const MAX_HELD: usize = 8 << 20;

/// Holes asked for at once at most.
const MAX_ASKS: usize = 256;

/// Everything that is heard from one peer.
#[derive(Debug)]
pub struct Lane {
    last: u64,
    held: usize,
    courses: BTreeMap<Stream, Course>,
    open: BTreeSet<Stream>,
}

/// One stream.
#[derive(Debug, Default)]
struct Course {
    /// Up to where the stream was given out; `None` while a snapshot is awaited.
    position: Option<u64>,
    /// The highest number that is known to exist.
    tail: u64,
    held: BTreeMap<u64, Held>,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Held {
    predecessor: u64,
    size: usize,
    body: Body,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Duration,
    ask_at: Duration,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// In order: this frame, and those that waited for it.
    InOrder(Vec<Body>),
    /// Held back, or given up for want of room.
    Held,
    /// It was heard before.
    Double,
    /// Nobody here follows its stream.
    Unwanted,
}

/// What a declared hole set free.
#[derive(Debug, PartialEq, Eq)]
pub struct Declared {
    /// The part that is lost.
    pub hole: Hole,
    /// The frames that waited for it.
    pub freed: Vec<Body>,
}

impl Lane {
    /// A lane to a peer of whom nothing up to `baseline` was promised to us. Its state stream awaits a snapshot.
    pub fn new(baseline: u64) -> Self {
        let courses = BTreeMap::from([(Stream::STATE, Course::default())]);
        Self { last: baseline, held: 0, courses, open: BTreeSet::new() }
    }

    /// Notes a number that the peer has used.
    pub fn note(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// Follows a stream: what the peer published up to now was not for us.
    pub fn follow(&mut self, stream: Stream) {
        let start = Course { position: Some(self.last), ..Course::default() };
        self.courses.entry(stream).or_insert(start);
    }

    /// Follows a stream no more.
    pub fn leave(&mut self, stream: Stream) {
        let Some(course) = self.courses.remove(&stream) else { return };
        self.held -= course.held.values().map(|held| held.size).sum::<usize>();
        self.open.remove(&stream);
    }

    /// Takes a numbered frame of `size` bytes.
    pub fn hear(&mut self, stream: Stream, frame: Frame, size: usize, now: Duration) -> Heard {
        self.note(frame.number);
        let Some(course) = self.courses.get_mut(&stream) else { return Heard::Unwanted };
        if course.position.is_some_and(|position| frame.number <= position) || course.held.contains_key(&frame.number) {
            return Heard::Double;
        }
        course.tail = course.tail.max(frame.number);
        if self.held + size > MAX_HELD && course.position.is_none_or(|position| frame.predecessor > position) {
            return Heard::Held;
        }
        self.held += size;
        course.held.insert(frame.number, Held { predecessor: frame.predecessor, size, body: frame.body });
        let freed = self.advance(stream, now);
        if freed.is_empty() { Heard::Held } else { Heard::InOrder(freed) }
    }

    /// Learns the last number of a stream.
    pub fn learn_tail(&mut self, stream: Stream, number: u64, now: Duration) {
        self.note(number);
        let Some(course) = self.courses.get_mut(&stream) else { return };
        course.tail = course.tail.max(number);
        let freed = self.advance(stream, now);
        debug_assert!(freed.is_empty(), "a tail fills no hole");
    }

    /// The peer cannot give what was asked. `None` if it was had in the meantime.
    pub fn declare(&mut self, hole: Hole, now: Duration) -> Option<Declared> {
        let course = self.courses.get_mut(&hole.stream)?;
        let position = course.position?;
        if hole.through <= position {
            return None;
        }
        // Never past what we hold: a peer that declares too much would take away what it gave.
        let through = course.held.values().next().map_or(hole.through, |held| held.predecessor.min(hole.through));
        course.position = Some(through.max(position));
        let freed = self.advance(hole.stream, now);
        Some(Declared { hole: Hole { after: position, through, ..hole }, freed })
    }

    /// The holes that are to be asked for now.
    pub fn asks(&mut self, now: Duration) -> Vec<Hole> {
        let mut asks = Vec::new();
        for stream in &self.open {
            let Some(course) = self.courses.get_mut(stream) else { continue };
            let (Some(hole), Some(waiting)) = (course.hole(*stream), &mut course.waiting) else { continue };
            if waiting.ask_at <= now && asks.len() < MAX_ASKS {
                waiting.ask_at = now + ASK_AGAIN;
                asks.push(hole);
            }
        }
        asks
    }

    /// The holes for which nobody waits any longer.
    pub fn overdue(&self, now: Duration) -> Vec<Hole> {
        let crowded = self.held + self.held / 8 > MAX_HELD;
        let is_overdue = |waiting: &Waiting| crowded || now.saturating_sub(waiting.since) > PATIENCE;
        let open = self.open.iter().filter_map(|stream| Some((*stream, self.courses.get(stream)?)));
        open.filter(|(_, course)| course.waiting.as_ref().is_some_and(is_overdue))
            .filter_map(|(stream, course)| course.hole(stream))
            .collect()
    }

    /// The peer can be asked again: patience starts anew.
    pub fn resume(&mut self, now: Duration) {
        for course in self.courses.values_mut() {
            if let Some(waiting) = &mut course.waiting {
                *waiting = Waiting { since: now, ask_at: now };
            }
        }
    }

    /// Up to where a stream was given out; `None` while a snapshot is awaited.
    pub fn position(&self, stream: Stream) -> Option<u64> {
        self.courses.get(&stream)?.position
    }

    /// Whether something of a stream is known to be missing.
    pub fn has_hole(&self, stream: Stream) -> bool {
        self.open.contains(&stream)
    }

    /// Holds the state stream back until a snapshot says where it goes on.
    pub fn await_snapshot(&mut self) {
        if let Some(course) = self.courses.get_mut(&Stream::STATE) {
            course.position = None;
            course.waiting = None;
        }
        self.open.remove(&Stream::STATE);
    }

    /// A snapshot covers the state stream up to `number`; returns what follows it.
    pub fn go_on_from(&mut self, number: u64, now: Duration) -> Vec<Body> {
        self.note(number);
        if let Some(course) = self.courses.get_mut(&Stream::STATE) {
            course.position = Some(number);
        }
        self.advance(Stream::STATE, now)
    }

    fn advance(&mut self, stream: Stream, now: Duration) -> Vec<Body> {
        let Some(course) = self.courses.get_mut(&stream) else { return Vec::new() };
        let (freed, size) = course.advance(now);
        self.held -= size;
        if course.waiting.is_some() {
            self.open.insert(stream);
        } else {
            self.open.remove(&stream);
        }
        freed
    }
}

impl Course {
    /// Gives out what is in order; returns it and the bytes that are no longer held.
    fn advance(&mut self, now: Duration) -> (Vec<Body>, usize) {
        let (mut freed, mut size) = (Vec::new(), 0);
        let Some(mut position) = self.position else { return (freed, size) };
        let before = position;
        while let Some(first) = self.held.first_entry() {
            if *first.key() > position && first.get().predecessor > position {
                break;
            }
            let (number, held) = first.remove_entry();
            size += held.size;
            if number > position {
                position = number;
                freed.push(held.body);
            }
        }
        self.position = Some(position);
        self.tail = self.tail.max(position);
        self.wait(position > before, now);
        (freed, size)
    }

    fn wait(&mut self, has_moved: bool, now: Duration) {
        if self.hole(Stream::STATE).is_none() {
            self.waiting = None;
            return;
        }
        let grace = if self.held.is_empty() { TAIL_GRACE } else { Duration::ZERO };
        let waiting = self.waiting.get_or_insert(Waiting { since: now, ask_at: now + grace });
        waiting.ask_at = waiting.ask_at.min(now + ASK_AGAIN);
        if has_moved {
            waiting.since = now;
        }
    }

    /// What is missing next.
    fn hole(&self, stream: Stream) -> Option<Hole> {
        let after = self.position?;
        let through = self.held.values().next().map_or(self.tail, |held| held.predecessor);
        (after < through).then_some(Hole { stream, after, through })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::NodeId;

    const ROOM: Stream = Stream::from_bits(7);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn lane() -> Lane {
        let mut lane = Lane::new(10);
        lane.follow(ROOM);
        lane
    }

    fn body(token: u64) -> Body {
        Body::Barrier { token }
    }

    fn hear(lane: &mut Lane, number: u64, predecessor: u64, millis: u64) -> Heard {
        let frame = Frame { origin: NodeId::from_bits(1), number, predecessor, body: body(number) };
        lane.hear(ROOM, frame, 1, at(millis))
    }

    fn in_order(numbers: &[u64]) -> Heard {
        Heard::InOrder(numbers.iter().map(|number| body(*number)).collect())
    }

    fn hole(after: u64, through: u64) -> Hole {
        Hole { stream: ROOM, after, through }
    }

    #[test]
    fn what_was_published_before_we_followed_leaves_no_hole() {
        assert_eq!(hear(&mut lane(), 14, 9, 0), in_order(&[14]));
    }

    #[test]
    fn numbers_of_other_streams_leave_no_hole() {
        let mut lane = lane();
        assert_eq!(hear(&mut lane, 11, 0, 0), in_order(&[11]));
        assert_eq!(hear(&mut lane, 17, 11, 0), in_order(&[17]));
        assert_eq!(lane.asks(at(0)), []);
    }

    #[test]
    fn what_follows_a_hole_is_held_back_and_the_hole_asked_for_at_once_and_every_200_ms() {
        let mut lane = lane();
        assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Held);
        assert_eq!(lane.asks(at(0)), [hole(10, 12)]);
        assert_eq!(lane.asks(at(199)), []);
        assert_eq!(lane.asks(at(200)), [hole(10, 12)]);
        assert_eq!(hear(&mut lane, 12, 11, 300), Heard::Held);
        assert_eq!(lane.asks(at(400)), [hole(10, 11)]);
        assert_eq!(hear(&mut lane, 11, 8, 500), in_order(&[11, 12, 13]));
        assert_eq!(lane.asks(at(9000)), []);
    }

    #[test]
    fn doubles_are_dropped_whether_given_out_or_held() {
        let mut lane = lane();
        assert_eq!(hear(&mut lane, 11, 0, 0), in_order(&[11]));
        assert_eq!(hear(&mut lane, 11, 0, 0), Heard::Double);
        assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Held);
        assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Double);
    }

    #[test]
    fn a_hole_is_declared_after_five_seconds_in_which_nothing_came() {
        let mut lane = lane();
        hear(&mut lane, 13, 12, 0);
        assert_eq!(lane.overdue(at(5000)), []);
        assert_eq!(lane.overdue(at(5001)), [hole(10, 12)]);
        let declared = lane.declare(hole(10, 12), at(5001));
        assert_eq!(declared, Some(Declared { hole: hole(10, 12), freed: vec![body(13)] }));
        assert_eq!(lane.overdue(at(99_000)), []);
    }

    #[test]
    fn patience_starts_anew_when_the_peer_can_be_asked_again() {
        let mut lane = lane();
        hear(&mut lane, 13, 12, 0);
        lane.resume(at(30_000));
        assert_eq!(lane.overdue(at(35_000)), []);
        assert_eq!(lane.overdue(at(35_001)), [hole(10, 12)]);
    }

    #[test]
    fn a_lost_tail_is_asked_for_once_it_had_time_to_arrive() {
        let mut lane = lane();
        lane.learn_tail(ROOM, 15, at(0));
        assert_eq!(lane.asks(at(199)), []);
        assert_eq!(lane.asks(at(200)), [hole(10, 15)]);
        assert_eq!(hear(&mut lane, 15, 3, 201), in_order(&[15]));
        assert_eq!(lane.asks(at(999)), []);
    }

    #[test]
    fn a_peer_cannot_declare_away_what_was_heard() {
        let mut lane = lane();
        hear(&mut lane, 13, 12, 0);
        let declared = lane.declare(hole(10, 99), at(1)).unwrap();
        assert_eq!(declared, Declared { hole: hole(10, 12), freed: vec![body(13)] });
        assert_eq!(lane.declare(hole(10, 12), at(2)), None);
    }

    #[test]
    fn a_stream_that_nobody_follows_is_unwanted() {
        let mut lane = lane();
        hear(&mut lane, 13, 12, 0);
        lane.leave(ROOM);
        assert_eq!(hear(&mut lane, 14, 13, 0), Heard::Unwanted);
        assert_eq!((lane.asks(at(999)), lane.held), (vec![], 0));
    }

    #[test]
    fn the_state_stream_waits_for_its_snapshot_and_goes_on_behind_it() {
        let mut lane = lane();
        for (number, predecessor) in [(11, 9), (12, 11), (14, 12)] {
            let frame = Frame { origin: NodeId::from_bits(1), number, predecessor, body: body(number) };
            assert_eq!(lane.hear(Stream::STATE, frame, 1, at(0)), Heard::Held);
        }
        assert_eq!(lane.asks(at(999)), []);
        assert_eq!(lane.go_on_from(12, at(1000)), [body(14)]);
        assert_eq!(lane.position(Stream::STATE), Some(14));
    }
}
