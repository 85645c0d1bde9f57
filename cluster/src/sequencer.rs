//! Puts the frames of one peer in order, stream by stream: drops duplicates, asks for gaps, and marks those lost that
//! cannot be filled in time. Knows nothing of what the frames mean.
//!
//! Invariant: a frame is released only after its predecessor, or after the gap before it was marked lost. A gap is
//! never marked lost for lack of memory: what is held back behind it is dropped instead, and asked for again in its
//! turn.

mod stream_state;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::frame::{Gap, Numbered, Stream};

use stream_state::{ASK_AGAIN, Held, StreamState, Waiting};

/// How long what follows a gap is held back while the peer can be asked and answers nothing at all. A peer that answers
/// reports itself what it no longer has; this is for one whose answers never arrive.
const GAP_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that holding a frame costs beside its own.
const OVERHEAD: usize = size_of::<Held>() + size_of::<(Priority, Stream)>();

/// Gaps in one round of requests at most.
const MAX_ASKS: usize = 1024;

/// The streams of one peer.
#[derive(Debug)]
pub struct Sequencer {
    baseline: u64,
    last: u64,
    held: usize,
    bounds: SequencerBounds,
    /// Everything that is held back; the end is dropped first.
    by_priority: BTreeMap<Priority, Stream>,
    answered: Option<Duration>,
    noticed: u64,
    states: BTreeMap<Stream, StreamState>,
    /// The streams with gaps.
    open: BTreeSet<Stream>,
    /// The streams of which more is in order than was released in one step.
    ready: BTreeSet<Stream>,
}

/// Which held frames are dropped first: those that sort last, events before state and the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Priority {
    is_event: bool,
    number: u64,
}

/// What a sequencer holds back and releases at most.
#[derive(Debug, Clone, Copy)]
pub struct SequencerBounds {
    /// Bytes held back behind gaps.
    pub held: usize,
    /// Bytes of held frames that are released in one step, exceeded by one frame at most.
    pub step: usize,
}

/// A frame as it came.
#[derive(Debug)]
pub struct NumberedFrame {
    pub number: u64,
    /// The number before it in its stream.
    pub predecessor: u64,
    pub content: Numbered,
    /// Its bytes.
    pub size: usize,
}

/// A frame whose turn has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    pub number: u64,
    /// The number before it in its stream; 0 for the first.
    pub predecessor: u64,
    pub content: Numbered,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Sequenced {
    /// In order: this frame, and those that were held back behind it.
    InOrder(Vec<Released>),
    /// Held back, or dropped for lack of memory until it is asked for again.
    Held,
    /// Received before.
    Duplicate,
    /// This node does not follow its stream.
    NotFollowed,
}

/// How far a sequencer has been dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teardown {
    /// Streams are left.
    Part,
    /// Nothing is left.
    Whole,
}

/// A gap that was marked lost, and what it held back.
#[derive(Debug, PartialEq, Eq)]
pub struct LostGap {
    /// The part that is lost.
    pub gap: Gap,
    /// The frames that were held back behind it.
    pub released: Vec<Released>,
}

impl Sequencer {
    /// A sequencer for what a peer publishes after `baseline`. The state stream is followed.
    pub fn new(baseline: u64, bounds: SequencerBounds) -> Self {
        let mut sequencer = Self {
            baseline,
            last: baseline,
            held: 0,
            bounds,
            by_priority: BTreeMap::new(),
            answered: None,
            noticed: 0,
            states: BTreeMap::new(),
            open: BTreeSet::new(),
            ready: BTreeSet::new(),
        };
        sequencer.follow(Stream::STATE);
        sequencer
    }

    /// The highest number that the peer is known to have used.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Notes a number that the peer has used.
    pub fn note(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// Follows a stream from now on.
    pub fn follow(&mut self, stream: Stream) {
        let start = StreamState { position: self.last, ..StreamState::default() };
        self.states.entry(stream).or_insert(start);
    }

    /// Follows a stream that was wanted before the peer was known.
    pub fn follow_from_start(&mut self, stream: Stream) {
        let position = self.baseline;
        self.states.entry(stream).or_insert_with(|| StreamState { position, ..StreamState::default() });
    }

    /// Stops following a stream.
    pub fn leave(&mut self, stream: Stream) {
        let Some(state) = self.states.remove(&stream) else { return };
        state.held.iter().for_each(|(number, held)| self.free(stream, *number, held.size));
        self.open.remove(&stream);
        self.ready.remove(&stream);
    }

    /// Drops up to `most` streams of a sequencer that is no longer needed.
    pub fn tear_down(&mut self, most: usize) -> Teardown {
        for _ in 0..most {
            if self.states.pop_first().is_none() {
                return Teardown::Whole;
            }
        }
        Teardown::Part
    }

    /// Takes a numbered frame of a stream.
    pub fn receive(&mut self, stream: Stream, frame: NumberedFrame, now: Duration) -> Sequenced {
        self.note(frame.number);
        let Some(state) = self.states.get_mut(&stream) else { return Sequenced::NotFollowed };
        if frame.number <= state.position || state.held.contains_key(&frame.number) {
            return Sequenced::Duplicate;
        }
        let before = state.position;
        state.head = state.head.max(frame.number);
        if frame.predecessor > state.position || !state.held.is_empty() {
            let size = frame.size + OVERHEAD;
            self.held += size;
            self.by_priority.insert(priority(stream, frame.number), stream);
            state.held.insert(frame.number, Held { predecessor: frame.predecessor, size, content: frame.content });
            let released = self.advance(stream, before, now);
            self.make_room();
            return if released.is_empty() { Sequenced::Held } else { Sequenced::InOrder(released) };
        }
        state.release(frame.number);
        let NumberedFrame { number, predecessor, content, .. } = frame;
        let mut released = vec![Released { number, predecessor, content }];
        released.extend(self.advance(stream, before, now));
        Sequenced::InOrder(released)
    }

    /// Learns the last number (the head) of a stream.
    pub fn learn_head(&mut self, stream: Stream, number: u64, now: Duration) {
        self.note(number);
        let Some(state) = self.states.get_mut(&stream) else { return };
        state.head = state.head.max(number);
        state.wait(false, now);
        self.reindex(stream);
    }

    /// Releases more of what is in order and was too much for earlier steps.
    pub fn next_released(&mut self, now: Duration) -> Vec<Released> {
        let Some(stream) = self.ready.first().copied() else { return Vec::new() };
        self.advance(stream, self.position(stream), now)
    }

    /// Whether [`Sequencer::next_released`] has more to give.
    pub fn is_behind(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Gives up a gap that the peer cannot fill. `None` if it was filled in the meantime.
    pub fn mark_lost(&mut self, gap: Gap, now: Duration) -> Option<LostGap> {
        let state = self.states.get_mut(&gap.stream)?;
        let position = state.position;
        // Never past what is missing: a peer that reports too much as gone would take away what it sent, or will send.
        let through = state.gap(gap.stream)?.through.min(gap.through);
        if through <= position {
            return None;
        }
        state.position = through;
        let released = self.advance(gap.stream, through, now);
        Some(LostGap { gap: Gap { after: position, through, ..gap }, released })
    }

    /// The gaps that are to be asked for now.
    pub fn asks(&mut self, now: Duration) -> Vec<Gap> {
        let mut asks = Vec::new();
        for stream in &self.open {
            let Some(state) = self.states.get_mut(stream) else { continue };
            let (Some(gap), Some(waiting)) = (state.gap(*stream), &mut state.waiting) else { continue };
            if waiting.ask_at <= now {
                waiting.ask_at = now + ASK_AGAIN;
                self.noticed += u64::from(waiting.since.is_none());
                waiting.since.get_or_insert(now);
                asks.push(gap);
            }
            if asks.len() == MAX_ASKS {
                break;
            }
        }
        asks
    }

    /// The peer answered a request.
    pub fn note_answer(&mut self, now: Duration) {
        self.answered = Some(now);
    }

    /// The peer has answered as much as fits, and these gaps are left: they are asked for at once.
    pub fn ask_at_once(&mut self, gaps: &[Gap], now: Duration) {
        for gap in gaps {
            if let Some(waiting) = self.states.get_mut(&gap.stream).and_then(|state| state.waiting.as_mut()) {
                waiting.ask_at = now;
            }
        }
    }

    /// How many gaps were asked for that had not been before, or not since their peer was away; counted anew from here.
    pub fn take_noticed(&mut self) -> u64 {
        std::mem::take(&mut self.noticed)
    }

    /// The gaps to give up.
    pub fn overdue(&self, now: Duration) -> Vec<Gap> {
        let is_long_ago = |since: Duration| now.saturating_sub(self.answered.unwrap_or(since).max(since)) > GAP_TIMEOUT;
        self.gaps(|waiting| waiting.since.is_some_and(is_long_ago))
    }

    /// All gaps, of a peer that cannot be asked any longer.
    pub fn all_gaps(&self) -> Vec<Gap> {
        self.gaps(|_| true)
    }

    fn gaps(&self, is_meant: impl Fn(&Waiting) -> bool) -> Vec<Gap> {
        let open = self.open.iter().filter_map(|stream| Some((*stream, self.states.get(stream)?)));
        open.filter(|(_, state)| state.waiting.as_ref().is_some_and(&is_meant))
            .filter_map(|(stream, state)| state.gap(stream))
            .collect()
    }

    /// The peer can be asked again: timeouts start anew.
    pub fn resume(&mut self, now: Duration) {
        for stream in &self.open {
            if let Some(waiting) = self.states.get_mut(stream).and_then(|state| state.waiting.as_mut()) {
                *waiting = Waiting { since: None, ask_at: now };
            }
        }
    }

    /// Up to where a stream was released or marked lost, or was not for us.
    pub fn position(&self, stream: Stream) -> u64 {
        self.states.get(&stream).map_or(self.baseline, |state| state.position)
    }

    /// The last number of a stream that was released; 0 if none was.
    pub fn last_released(&self, stream: Stream) -> u64 {
        self.states.get(&stream).map_or(0, |state| state.last_released)
    }

    /// Whether something of a stream is known to be missing, or is held back.
    pub fn lacks(&self, stream: Stream) -> bool {
        self.open.contains(&stream) || self.ready.contains(&stream)
    }

    /// Releases what is in order now; `before` is the stream's position before this step.
    fn advance(&mut self, stream: Stream, before: u64, now: Duration) -> Vec<Released> {
        let Some(state) = self.states.get_mut(&stream) else { return Vec::new() };
        let (released, left) = state.advance(self.bounds.step);
        state.wait(state.position > before, now);
        self.reindex(stream);
        left.into_iter().for_each(|(number, size)| self.free(stream, number, size));
        released
    }

    fn reindex(&mut self, stream: Stream) {
        let Some(state) = self.states.get(&stream) else { return };
        for (is_in, streams) in [(state.waiting.is_some(), &mut self.open), (state.is_ready(), &mut self.ready)] {
            if is_in {
                streams.insert(stream);
            } else {
                streams.remove(&stream);
            }
        }
    }

    fn free(&mut self, stream: Stream, number: u64, size: usize) {
        self.held -= size;
        self.by_priority.remove(&priority(stream, number));
    }

    /// Drops held frames beyond the bound. Their streams still know that they exist, and ask for them.
    fn make_room(&mut self) {
        while self.held > self.bounds.held
            && let Some((priority, stream)) = self.by_priority.pop_last()
        {
            let held = self.states.get_mut(&stream).and_then(|state| state.held.remove(&priority.number));
            self.held -= held.map_or(0, |held| held.size);
        }
    }
}

fn priority(stream: Stream, number: u64) -> Priority {
    Priority { is_event: stream != Stream::STATE, number }
}

#[cfg(test)]
mod tests;
