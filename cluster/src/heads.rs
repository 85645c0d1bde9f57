//! The last number of each stream in which this node published: it is the next frame's predecessor, and is
//! announced again during silence, so that a lost last frame is noticed although nothing follows.
//!
//! Bounds: `MAX_HEADS` streams are known beside those of which the ring still has a frame; of those that go, only the
//! number is left, and of too many of these nothing. No call looks at more than it returns.

mod silent;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::frame::{Head, Stream};

use silent::Silent;

/// A silent stream's last number is among what peers are told for so long.
const HEAD_AGE: Duration = Duration::from_secs(600);

/// Streams that are known beside those of which the ring still has a frame, at most.
const MAX_HEADS: usize = 1 << 17;

/// The longest pause between two announcements of a silent stream's head.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Heads in one frame at most. An answer whose frame is full goes on in the next.
pub const PAGE: usize = 4096;

/// Heads in one answer at most: all that are known. A lost event after a head that is not announced would go unnoticed.
const MAX_ANSWER: usize = MAX_HEADS;

/// Streams that are forgotten with each that is used: more than can come.
const FORGOTTEN_PER_USE: usize = 2;

#[derive(Debug, Default)]
pub struct Heads {
    /// The head of the state stream, which every heartbeat carries.
    state: u64,
    heads: BTreeMap<Stream, StreamHead>,
    /// The same by their numbers, the oldest first.
    ages: BTreeMap<u64, Stream>,
    /// When they are announced again.
    schedule: BTreeSet<(Duration, Stream)>,
    /// Whether more was due lately than one frame has room for.
    is_behind: bool,
    silent: Silent,
}

/// The end of one stream.
#[derive(Debug)]
struct StreamHead {
    number: u64,
    at: Duration,
    repeat: Option<Repeat>,
}

/// When the head of a silent stream is announced again: after 1, 2, 4 … 64 s, so that a lost head is noticed
/// although several beats may be lost, and silence costs nothing in the end.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    next: Duration,
    pause: Duration,
}

impl Heads {
    /// The last number of the state stream.
    pub fn state(&self) -> u64 {
        self.state
    }

    /// A number after which nothing of a room's stream came: its last, or one that is higher where that is forgotten.
    pub fn after(&self, stream: Stream) -> u64 {
        self.heads.get(&stream).map_or_else(|| self.silent.after(stream), |head| head.number)
    }

    /// A stream goes on with a number higher than all before; returns its number before, 0 if none is known.
    pub fn advance(&mut self, stream: Stream, number: u64, now: Duration) -> u64 {
        if stream == Stream::STATE {
            return std::mem::replace(&mut self.state, number);
        }
        let before = self.remove(stream).or_else(|| self.silent.take(stream)).unwrap_or(0);
        let repeat = Repeat { next: now, pause: Duration::from_secs(1) };
        self.schedule.insert((now, stream));
        self.ages.insert(number, stream);
        self.heads.insert(stream, StreamHead { number, at: now, repeat: Some(repeat) });
        before
    }

    /// Forgets a few that are too old or too many. None from `first` on goes, which the ring may be asked for.
    pub fn forget(&mut self, first: u64, now: Duration) {
        for _ in 0..FORGOTTEN_PER_USE {
            let Some((number, stream)) = self.ages.first_key_value().map(|(number, stream)| (*number, *stream)) else {
                return;
            };
            let is_old = |head: &StreamHead| now.saturating_sub(head.at) >= HEAD_AGE;
            let is_beyond = self.heads.len() > MAX_HEADS || self.heads.get(&stream).is_some_and(is_old);
            if number >= first || !is_beyond {
                return;
            }
            if let Some(number) = self.remove(stream) {
                self.silent.insert(stream, number);
            }
        }
    }

    /// Forgets some that are too old or too many, now and then.
    pub fn expire(&mut self, first: u64, now: Duration) {
        (0..PAGE / FORGOTTEN_PER_USE).for_each(|_| self.forget(first, now));
    }

    /// The next heads to announce.
    pub fn due(&mut self, now: Duration) -> Vec<Head> {
        let mut due = Vec::new();
        while due.len() < PAGE
            && self.schedule.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, stream)) = self.schedule.pop_first()
            && let Some(head) = self.heads.get_mut(&stream)
        {
            due.push(Head { stream, number: head.number });
            let pause = head.repeat.map_or(LONGEST_PAUSE, |repeat| repeat.pause);
            head.repeat = (pause < LONGEST_PAUSE).then(|| Repeat { next: now + pause, pause: pause * 2 });
            self.schedule.extend(head.repeat.map(|repeat| (repeat.next, stream)));
        }
        self.is_behind = due.len() == PAGE;
        due
    }

    /// Whether more is due than [`Heads::due`] gave.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// An answer to a peer that asks for all: pages of which all are full but the last, which may be empty.
    pub fn pages(&self) -> Vec<Vec<Head>> {
        let newest = self.ages.iter().rev().take(MAX_ANSWER);
        let mut heads: Vec<Head> = newest.map(|(number, stream)| Head { stream: *stream, number: *number }).collect();
        heads.extend((self.state > 0).then_some(Head { stream: Stream::STATE, number: self.state }));
        let mut pages: Vec<Vec<Head>> = heads.chunks(PAGE).map(<[Head]>::to_vec).collect();
        if pages.last().is_none_or(|page| page.len() == PAGE) {
            pages.push(Vec::new());
        }
        pages
    }

    fn remove(&mut self, stream: Stream) -> Option<u64> {
        let head = self.heads.remove(&stream)?;
        self.ages.remove(&head.number);
        if let Some(repeat) = head.repeat {
            self.schedule.remove(&(repeat.next, stream));
        }
        Some(head.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u64) -> Stream {
        Stream::from_bits(number + 1000)
    }

    /// Streams with the numbers from 1 to `count`.
    fn filled(count: usize) -> Heads {
        let mut heads = Heads::default();
        for number in 1..=count as u64 {
            heads.advance(stream(number), number, Duration::ZERO);
        }
        heads
    }

    #[test]
    fn a_silent_streams_head_is_announced_at_growing_intervals_and_then_no_more() {
        let mut heads = filled(1);
        let due: Vec<u64> = (0..600).filter(|second| !heads.due(Duration::from_secs(*second)).is_empty()).collect();
        assert_eq!(due, [0, 1, 3, 7, 15, 31, 63]);
    }

    #[test]
    fn a_stream_that_goes_on_has_a_predecessor_and_is_announced_anew() {
        let mut heads = filled(1);
        assert_eq!(heads.due(Duration::ZERO), [Head { stream: stream(1), number: 1 }]);
        assert_eq!(heads.advance(stream(1), 2, Duration::from_millis(500)), 1);
        assert_eq!(heads.due(Duration::from_millis(500)), [Head { stream: stream(1), number: 2 }]);
        assert_eq!((heads.heads.len(), heads.ages.len(), heads.schedule.len()), (1, 1, 1));
    }

    #[test]
    fn more_heads_than_one_frame_holds_are_announced_in_several() {
        let mut heads = filled(PAGE + 1);
        assert_eq!((heads.due(Duration::ZERO).len(), heads.is_behind()), (PAGE, true));
        assert_eq!((heads.due(Duration::ZERO).len(), heads.is_behind()), (1, false));
        assert_eq!(heads.due(Duration::ZERO), []);
    }

    #[test]
    fn the_oldest_beyond_the_bound_go_and_none_that_the_ring_may_be_asked_for() {
        let mut heads = filled(MAX_HEADS + 3);
        heads.expire(1, Duration::ZERO);
        assert_eq!(heads.heads.len(), MAX_HEADS + 3);
        heads.expire(3, Duration::ZERO);
        assert_eq!(heads.heads.len(), MAX_HEADS + 1);
        heads.expire(u64::MAX, Duration::ZERO);
        assert_eq!((heads.heads.len(), heads.ages.len(), heads.schedule.len()), (MAX_HEADS, MAX_HEADS, MAX_HEADS));
        assert_eq!(heads.ages.first_key_value(), Some((&4, &stream(4))));
    }

    #[test]
    fn of_a_stream_that_was_silent_for_long_the_last_number_stays_known() {
        let mut heads = filled(1);
        heads.forget(u64::MAX, HEAD_AGE - Duration::from_secs(1));
        assert_eq!(heads.heads.len(), 1);
        heads.forget(u64::MAX, HEAD_AGE);
        assert_eq!((heads.heads.len(), heads.pages().concat().len()), (0, 0));
        assert_eq!([heads.after(stream(1)), heads.after(stream(2))], [1, 0]);
        assert_eq!(heads.advance(stream(1), 2, HEAD_AGE), 1);
        assert_eq!((heads.after(stream(1)), heads.advance(stream(1), 3, HEAD_AGE)), (2, 2));
    }

    #[test]
    fn an_answer_ends_with_a_page_that_is_not_full() {
        let lengths = |heads: &Heads| heads.pages().iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&filled(0)), [0]);
        assert_eq!(lengths(&filled(PAGE - 1)), [PAGE - 1]);
        assert_eq!(lengths(&filled(PAGE)), [PAGE, 0]);
        let mut heads = filled(PAGE);
        assert_eq!(heads.advance(Stream::STATE, 9999, Duration::ZERO), 0);
        assert_eq!(lengths(&heads), [PAGE, 1]);
        assert_eq!(heads.pages()[1], [Head { stream: Stream::STATE, number: 9999 }]);
    }
}
