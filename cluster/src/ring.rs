//! The frames that a node published lately, by number, for peers that missed some. Bounded by age, bytes and number.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::{
    frame::{Hole, Stream},
    subject::Subject,
};

/// How far back the ring reaches: whichever bound is hit first.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// The age of the oldest frame.
    pub age: Duration,
    /// The bytes of all frames together.
    pub bytes: usize,
    /// How many frames.
    pub frames: usize,
}

impl Default for Reach {
    fn default() -> Self {
        Self { age: Duration::from_secs(60), bytes: 16 << 20, frames: 1 << 17 }
    }
}

/// The ring. Every number goes through it, so the frames in it have consecutive numbers.
#[derive(Debug)]
pub struct Ring {
    reach: Reach,
    frames: VecDeque<Sent>,
    first: u64,
    bytes: usize,
}

/// A frame as it was published.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Where it went.
    pub subject: Subject,
    /// Its stream.
    pub stream: Stream,
    /// The number before it in its stream.
    pub predecessor: u64,
    /// When it was made.
    pub at: Duration,
    /// The frame.
    pub bytes: Bytes,
}

/// The answer to a request for a resend.
#[derive(Debug, PartialEq, Eq)]
pub struct Resend {
    /// The frames that could still be had, oldest first.
    pub frames: Vec<Bytes>,
    /// The last number of those asked for that could not.
    pub gone: Option<u64>,
}

impl Ring {
    /// An empty ring; the first frame will have number 1.
    pub fn new(reach: Reach) -> Self {
        Self { reach, frames: VecDeque::new(), first: 1, bytes: 0 }
    }

    /// Keeps the frame with the next number.
    pub fn push(&mut self, sent: Sent) {
        self.bytes += sent.bytes.len();
        let now = sent.at;
        self.frames.push_back(sent);
        self.expire(now);
    }

    /// Forgets what is beyond reach.
    pub fn expire(&mut self, now: Duration) {
        while let Some(oldest) = self.frames.front() {
            let within = self.bytes <= self.reach.bytes
                && self.frames.len() <= self.reach.frames
                && now.saturating_sub(oldest.at) <= self.reach.age;
            if within {
                return;
            }
            self.bytes -= oldest.bytes.len();
            self.frames.pop_front();
            self.first += 1;
        }
    }

    /// The number of the oldest frame, or of the next one if there is none.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// One frame.
    pub fn get(&self, number: u64) -> Option<&Sent> {
        let place = number.checked_sub(self.first)?;
        self.frames.get(usize::try_from(place).ok()?)
    }

    /// The frames of a hole, oldest first, of `most` bytes and one frame more at most; the asker asks again for the rest.
    pub fn resend(&self, hole: Hole, most: usize) -> Resend {
        let (mut chain, mut number) = (Vec::new(), hole.through);
        while number > hole.after {
            let Some(sent) = self.get(number).filter(|sent| sent.stream == hole.stream) else { break };
            chain.push(&sent.bytes);
            number = sent.predecessor;
        }
        let gone = (number > hole.after).then_some(number);
        let mut room = most;
        let fits = |bytes: &&&Bytes| {
            let fits = room > 0;
            room = room.saturating_sub(bytes.len());
            fits
        };
        Resend { frames: chain.iter().rev().take_while(fits).map(|bytes| (*bytes).clone()).collect(), gone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Stream = Stream::from_bits(7);

    fn ring(frames: usize) -> Ring {
        Ring::new(Reach { age: Duration::from_secs(60), bytes: 1000, frames })
    }

    fn push(ring: &mut Ring, stream: Stream, predecessor: u64, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        ring.push(Sent { subject: Subject::State, stream, predecessor, at: Duration::ZERO, bytes });
    }

    /// Numbers 1, 3 and 5 are of the state stream, 2 and 4 of a room.
    fn mixed(frames: usize) -> Ring {
        let mut ring = ring(frames);
        for (stream, predecessor, text) in
            [(Stream::STATE, 0, "1"), (ROOM, 0, "2"), (Stream::STATE, 1, "3"), (ROOM, 2, "4"), (Stream::STATE, 3, "5")]
        {
            push(&mut ring, stream, predecessor, text);
        }
        ring
    }

    fn check(ring: &Ring, (stream, after, through): (Stream, u64, u64), frames: &[&'static str], gone: Option<u64>) {
        let resend = ring.resend(Hole { stream, after, through }, 1000);
        let frames = frames.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
        assert_eq!(resend, Resend { frames, gone });
    }

    #[test]
    fn a_resend_has_one_stream_only_and_the_oldest_first() {
        check(&mixed(9), (Stream::STATE, 0, 5), &["1", "3", "5"], None);
        check(&mixed(9), (Stream::STATE, 1, 3), &["3"], None);
        check(&mixed(9), (ROOM, 0, 4), &["2", "4"], None);
    }

    #[test]
    fn what_the_ring_no_longer_holds_is_declared_gone() {
        check(&mixed(3), (Stream::STATE, 0, 5), &["3", "5"], Some(1));
        check(&mixed(3), (ROOM, 0, 4), &["4"], Some(2));
        check(&mixed(3), (ROOM, 0, 2), &[], Some(2));
    }

    #[test]
    fn a_number_of_another_stream_or_of_the_future_is_declared_gone() {
        check(&mixed(9), (ROOM, 0, 5), &[], Some(5));
        check(&mixed(9), (ROOM, 2, 99), &[], Some(99));
    }

    #[test]
    fn a_resend_is_no_longer_than_asked() {
        let resend = mixed(9).resend(Hole { stream: Stream::STATE, after: 0, through: 5 }, 2);
        assert_eq!(resend, Resend { frames: vec![Bytes::from("1"), Bytes::from("3")], gone: None });
    }

    #[test]
    fn age_and_bytes_bound_the_ring() {
        let mut ring = mixed(9);
        ring.expire(Duration::from_secs(60));
        assert_eq!(ring.first(), 1);
        ring.expire(Duration::from_secs(61));
        assert_eq!((ring.first(), ring.get(5).is_none()), (6, true));
        let kilobyte: &'static str = Box::leak("x".repeat(999).into_boxed_str());
        push(&mut ring, ROOM, 4, kilobyte);
        push(&mut ring, ROOM, 6, "7");
        push(&mut ring, ROOM, 7, "8");
        assert_eq!(ring.first(), 7);
    }
}
