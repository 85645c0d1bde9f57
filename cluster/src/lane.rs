//! What is heard from one peer: each stream in order, without doubles, with holes asked for and, when they cannot be
//! filled in time, declared. Knows nothing of what the frames mean.
//!
//! Invariant: a frame is given out only after its predecessor, or after the hole before it was declared. A hole is never
//! declared for want of room: what waits behind it is dropped instead, and asked for again in its turn.

mod course;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::frame::{Body, Frame, Hole, Stream};

use course::{ASK_AGAIN, Course, Held, Waiting};

/// How long what follows a hole is held back, counted while the peer can be asked and answers nothing at all. A peer that
/// answers says itself what it no longer has; this is for one whose answers never arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that a frame which is held back costs beside its own.
const OVERHEAD: usize = size_of::<Held>() + size_of::<(Place, Stream)>();

/// Holes asked for at once at most.
const MAX_ASKS: usize = 1024;

/// Everything that is heard from one peer.
#[derive(Debug)]
pub struct Lane {
    baseline: u64,
    last: u64,
    held: usize,
    bounds: LaneBounds,
    /// Everything that is held back, the last to be missed last.
    places: BTreeMap<Place, Stream>,
    answered: Option<Duration>,
    noticed: u64,
    courses: BTreeMap<Stream, Course>,
    /// The streams with holes.
    open: BTreeSet<Stream>,
    /// The streams of which more is in order than was given out in one step.
    ready: BTreeSet<Stream>,
}

/// In which order frames that are held back are missed least: events before state, of either the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_event: bool,
    number: u64,
}

/// What a lane holds back and gives out at most.
#[derive(Debug, Clone, Copy)]
pub struct LaneBounds {
    /// Bytes that wait behind holes.
    pub held: usize,
    /// Bytes of what waited that are given out in one step, exceeded by one frame at most.
    pub step: usize,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// In order: this frame, and those that waited for it.
    InOrder(Vec<Body>),
    /// Held back, or dropped for want of room until it is asked for again.
    Held,
    /// It was heard before.
    Double,
    /// Nobody here follows its stream.
    Unwanted,
}

/// How far a lane is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismantled {
    /// Streams are left.
    Part,
    /// Nothing is left.
    Whole,
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
    /// A lane to a peer that promised us nothing up to `baseline`. Its state stream is followed.
    pub fn new(baseline: u64, bounds: LaneBounds) -> Self {
        let mut lane = Self {
            baseline,
            last: baseline,
            held: 0,
            bounds,
            places: BTreeMap::new(),
            answered: None,
            noticed: 0,
            courses: BTreeMap::new(),
            open: BTreeSet::new(),
            ready: BTreeSet::new(),
        };
        lane.follow(Stream::STATE);
        lane
    }

    /// The highest number that the peer is known to have used.
    pub fn last(&self) -> u64 {
        self.last
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

    /// Follows a stream that was wanted before the peer was met.
    pub fn follow_from_start(&mut self, stream: Stream) {
        let position = self.baseline;
        self.courses.entry(stream).or_insert_with(|| Course { position, ..Course::default() });
    }

    /// Follows a stream no more.
    pub fn leave(&mut self, stream: Stream) {
        let Some(course) = self.courses.remove(&stream) else { return };
        course.held.iter().for_each(|(number, held)| self.free(stream, *number, held.size));
        self.open.remove(&stream);
        self.ready.remove(&stream);
    }

    /// Drops some streams of a lane that nobody needs any longer.
    pub fn dismantle(&mut self, most: usize) -> Dismantled {
        for _ in 0..most {
            if self.courses.pop_first().is_none() {
                return Dismantled::Whole;
            }
        }
        Dismantled::Part
    }

    /// Takes a numbered frame of `size` bytes.
    pub fn hear(&mut self, stream: Stream, frame: Frame, size: usize, now: Duration) -> Heard {
        self.note(frame.number);
        let Some(course) = self.courses.get_mut(&stream) else { return Heard::Unwanted };
        if frame.number <= course.position || course.held.contains_key(&frame.number) {
            return Heard::Double;
        }
        let before = course.position;
        course.tail = course.tail.max(frame.number);
        if frame.predecessor > course.position || !course.held.is_empty() {
            let size = size + OVERHEAD;
            self.held += size;
            self.places.insert(place(stream, frame.number), stream);
            course.held.insert(frame.number, Held { predecessor: frame.predecessor, size, body: frame.body });
            let freed = self.advance(stream, before, now);
            self.make_room();
            return if freed.is_empty() { Heard::Held } else { Heard::InOrder(freed) };
        }
        course.give_out(frame.number);
        let mut freed = vec![frame.body];
        freed.extend(self.advance(stream, before, now));
        Heard::InOrder(freed)
    }

    /// Learns the last number of a stream.
    pub fn learn_tail(&mut self, stream: Stream, number: u64, now: Duration) {
        self.note(number);
        let Some(course) = self.courses.get_mut(&stream) else { return };
        course.tail = course.tail.max(number);
        course.wait(false, now);
        self.note_course(stream);
    }

    /// What is in order now and was too much for the steps before.
    pub fn next_freed(&mut self, now: Duration) -> Vec<Body> {
        let Some(stream) = self.ready.first().copied() else { return Vec::new() };
        self.advance(stream, self.position(stream), now)
    }

    /// Whether [`Lane::next_freed`] has more to give.
    pub fn is_behind(&self) -> bool {
        !self.ready.is_empty()
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
        let freed = self.advance(hole.stream, through, now);
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

    /// The peer answered something that it was asked.
    pub fn note_answer(&mut self, now: Duration) {
        self.answered = Some(now);
    }

    /// The peer has answered as much as fits, and this is left: it is asked for at once.
    pub fn ask_at_once(&mut self, holes: &[Hole], now: Duration) {
        for hole in holes {
            if let Some(waiting) = self.courses.get_mut(&hole.stream).and_then(|course| course.waiting.as_mut()) {
                waiting.ask_at = now;
            }
        }
    }

    /// How many holes were asked for that had not been before, or not since their peer was away; counted anew from here.
    pub fn take_noticed(&mut self) -> u64 {
        std::mem::take(&mut self.noticed)
    }

    /// The holes for which nobody waits any longer.
    pub fn overdue(&self, now: Duration) -> Vec<Hole> {
        let is_long_ago = |since: Duration| now.saturating_sub(self.answered.unwrap_or(since).max(since)) > PATIENCE;
        self.holes(|waiting| waiting.since.is_some_and(is_long_ago))
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
        for stream in &self.open {
            if let Some(waiting) = self.courses.get_mut(stream).and_then(|course| course.waiting.as_mut()) {
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

    /// Whether something of a stream is known to be missing, or waits for its turn.
    pub fn lacks(&self, stream: Stream) -> bool {
        self.open.contains(&stream) || self.ready.contains(&stream)
    }

    /// Gives out what is in order now; `before` is up to where the stream had come.
    fn advance(&mut self, stream: Stream, before: u64, now: Duration) -> Vec<Body> {
        let Some(course) = self.courses.get_mut(&stream) else { return Vec::new() };
        let (freed, left) = course.advance(self.bounds.step);
        course.wait(course.position > before, now);
        self.note_course(stream);
        left.into_iter().for_each(|(number, size)| self.free(stream, number, size));
        freed
    }

    fn note_course(&mut self, stream: Stream) {
        let Some(course) = self.courses.get(&stream) else { return };
        for (is_in, streams) in [(course.waiting.is_some(), &mut self.open), (course.is_ready(), &mut self.ready)] {
            if is_in {
                streams.insert(stream);
            } else {
                streams.remove(&stream);
            }
        }
    }

    fn free(&mut self, stream: Stream, number: u64, size: usize) {
        self.held -= size;
        self.places.remove(&place(stream, number));
    }

    /// Drops what is held back beyond the bound. Its streams still know that it exists, and ask for it.
    fn make_room(&mut self) {
        while self.held > self.bounds.held
            && let Some((place, stream)) = self.places.pop_last()
        {
            let held = self.courses.get_mut(&stream).and_then(|course| course.held.remove(&place.number));
            self.held -= held.map_or(0, |held| held.size);
        }
    }
}

fn place(stream: Stream, number: u64) -> Place {
    Place { is_event: stream != Stream::STATE, number }
}

#[cfg(test)]
mod tests;
