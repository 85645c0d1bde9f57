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
const MAX_ASKS: usize = 1024;

/// Everything that is heard from one peer.
#[derive(Debug)]
pub struct Lane {
    last: u64,
    held: usize,
    noticed: u64,
    courses: BTreeMap<Stream, Course>,
    open: BTreeSet<Stream>,
}

/// One stream.
#[derive(Debug, Default)]
struct Course {
    /// Up to where the stream was given out, or was not for us.
    position: u64,
    /// The last number that was given out; 0 if none was.
    given: u64,
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
    /// Since when it is asked for and nothing has come; `None` before the first time.
    since: Option<Duration>,
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
    /// A lane to a peer of whom nothing up to `baseline` was promised to us. Its state stream is followed.
    pub fn new(baseline: u64) -> Self {
        let mut lane = Self { last: baseline, held: 0, noticed: 0, courses: BTreeMap::new(), open: BTreeSet::new() };
        lane.follow(Stream::STATE);
        lane
    }

    /// Notes a number that the peer has used.
    pub fn note(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// Follows a stream: what the peer published up to now was not for us.
    pub fn follow(&mut self, stream: Stream) {
        let start = Course { position: self.last, ..Course::default() };
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
        if frame.number <= course.position || course.held.contains_key(&frame.number) {
            return Heard::Double;
        }
        course.tail = course.tail.max(frame.number);
        if self.held + size > MAX_HELD && frame.predecessor > course.position {
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
        let position = course.position;
        // Never past what is missing: a peer that declares too much would take away what it gave, or will give.
        let through = course.hole(hole.stream)?.through.min(hole.through);
        if through <= position {
            return None;
        }
        course.position = through;
        let freed = self.advance(hole.stream, now);
        Some(Declared { hole: Hole { after: position, through, ..hole }, freed })
    }

    /// The holes that are to be asked for now.
    pub fn asks(&mut self, now: Duration) -> Vec<Hole> {
        let mut asks = Vec::new();
        for stream in &self.open {
            let Some(course) = self.courses.get_mut(stream) else { continue };
            let (Some(hole), Some(waiting)) = (course.hole(*stream), &mut course.waiting) else { continue };
            if waiting.ask_at <= now {
                waiting.ask_at = now + ASK_AGAIN;
                self.noticed += u64::from(waiting.since.is_none());
                waiting.since.get_or_insert(now);
                asks.push(hole);
            }
            if asks.len() == MAX_ASKS {
                break;
            }
        }
        asks
    }

    /// Whether so much is held back that what is missing cannot be waited for.
    pub fn is_crowded(&self) -> bool {
        self.held + self.held / 8 > MAX_HELD
    }

    /// How many holes were asked for that had not been before, or not since their peer was away; counted anew from here.
    pub fn take_noticed(&mut self) -> u64 {
        std::mem::take(&mut self.noticed)
    }

    /// The holes for which nobody waits any longer.
    pub fn overdue(&self, now: Duration) -> Vec<Hole> {
        let is_long_ago = |since: Duration| now.saturating_sub(since) > PATIENCE;
        self.holes(|waiting| self.is_crowded() || waiting.since.is_some_and(is_long_ago))
    }

    /// All holes, of a peer that cannot be asked any longer.
    pub fn hopeless(&self) -> Vec<Hole> {
        self.holes(|_| true)
    }

    fn holes(&self, is_meant: impl Fn(&Waiting) -> bool) -> Vec<Hole> {
        let open = self.open.iter().filter_map(|stream| Some((*stream, self.courses.get(stream)?)));
        open.filter(|(_, course)| course.waiting.as_ref().is_some_and(&is_meant))
            .filter_map(|(stream, course)| course.hole(stream))
            .collect()
    }

    /// The peer can be asked again: patience starts anew.
    pub fn resume(&mut self, now: Duration) {
        for course in self.courses.values_mut() {
            if let Some(waiting) = &mut course.waiting {
                *waiting = Waiting { since: None, ask_at: now };
            }
        }
    }

    /// Up to where a stream was given out, declared lost, or was not for us.
    pub fn position(&self, stream: Stream) -> u64 {
        self.courses.get(&stream).map_or(0, |course| course.position)
    }

    /// The last number of a stream that was given out; 0 if none was.
    pub fn given(&self, stream: Stream) -> u64 {
        self.courses.get(&stream).map_or(0, |course| course.given)
    }

    /// Whether something of a stream is known to be missing.
    pub fn has_hole(&self, stream: Stream) -> bool {
        self.open.contains(&stream)
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
        let (mut freed, mut size, before) = (Vec::new(), 0, self.position);
        while let Some(first) = self.held.first_entry() {
            if *first.key() > self.position && first.get().predecessor > self.position {
                break;
            }
            let (number, held) = first.remove_entry();
            size += held.size;
            if number > self.position {
                (self.position, self.given) = (number, number);
                freed.push(held.body);
            }
        }
        self.tail = self.tail.max(self.position);
        self.wait(self.position > before, now);
        (freed, size)
    }

    fn wait(&mut self, has_moved: bool, now: Duration) {
        if self.hole(Stream::STATE).is_none() {
            self.waiting = None;
            return;
        }
        let grace = if self.held.is_empty() { TAIL_GRACE } else { Duration::ZERO };
        let waiting = self.waiting.get_or_insert(Waiting { since: None, ask_at: now + grace });
        waiting.ask_at = waiting.ask_at.min(now + ASK_AGAIN);
        if has_moved && waiting.since.is_some() {
            waiting.since = Some(now);
        }
    }

    /// What is missing next.
    fn hole(&self, stream: Stream) -> Option<Hole> {
        let after = self.position;
        let through = self.held.values().next().map_or(self.tail, |held| held.predecessor);
        (after < through).then_some(Hole { stream, after, through })
    }
}

#[cfg(test)]
mod tests;
