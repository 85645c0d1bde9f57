//! The frames that a node published lately, by number, for peers that missed some. Bounded by age, bytes and number.

mod evicted;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use crate::{
    frame::{Gap, Stream},
    subject::Subject,
};
use evicted::EvictedFrames;

/// Bytes that a frame costs beside its own.
const OVERHEAD: usize = size_of::<Kept>() + 32;

/// Over how long it is measured how fast the ring fills.
const LATELY: Duration = Duration::from_secs(30);

/// How far back the ring keeps frames: the bound that is hit first.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The age of the oldest frame.
    pub age: Duration,
    /// The bytes of all frames together, with what keeping them costs.
    pub bytes: usize,
    /// How many frames.
    pub frames: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(300), bytes: 64 << 20, frames: usize::MAX }
    }
}

/// The ring. Every number goes through it, so the frames in it have consecutive numbers.
#[derive(Debug)]
pub struct Ring {
    retention: Retention,
    frames: VecDeque<Kept>,
    first: u64,
    bytes: usize,
    /// Bytes of all frames that there ever were.
    total: u64,
    evicted: EvictedFrames,
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
    /// How many events are lost where it is.
    pub events: u8,
    /// When it was made.
    pub at: Duration,
    /// For how long what it says had waited by then.
    pub waited: Duration,
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Kept {
    sent: Sent,
    /// Bytes of all frames before this one.
    before: u64,
}

/// The answer to a request for a resend.
#[derive(Debug, PartialEq, Eq)]
pub struct Resend {
    /// The frames that the ring still has, oldest first.
    pub frames: Vec<Bytes>,
    /// What of the gap it no longer has.
    pub gone: Option<Gone>,
    /// What it has and did not fit.
    pub unsent: Option<Gap>,
}

/// What the ring no longer holds of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    pub through: u64,
    /// The events in it.
    pub events: u64,
}

impl Ring {
    /// An empty ring; the first frame will have number 1.
    pub fn new(retention: Retention) -> Self {
        Self { retention, frames: VecDeque::new(), first: 1, bytes: 0, total: 0, evicted: EvictedFrames::default() }
    }

    /// Keeps the frame with the next number.
    pub fn push(&mut self, sent: Sent) {
        let (now, size) = (sent.at, size(&sent));
        self.frames.push_back(Kept { sent, before: self.total });
        self.bytes += size;
        self.total += size as u64;
        self.expire(now);
    }

    /// Forgets what is older or more than is retained.
    pub fn expire(&mut self, now: Duration) {
        while let Some(oldest) = self.frames.front() {
            let within = self.bytes <= self.retention.bytes
                && self.frames.len() <= self.retention.frames
                && now.saturating_sub(oldest.sent.at) <= self.retention.age;
            if within {
                return;
            }
            self.bytes -= size(&oldest.sent);
            self.evicted.add(self.first, &oldest.sent);
            self.frames.pop_front();
            self.first += 1;
        }
    }

    /// The number of the oldest frame, or of the next one if there is none.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Says how long the newest frame had waited before it was made.
    pub fn note_wait(&mut self, waited: Duration) {
        if let Some(newest) = self.frames.back_mut() {
            newest.sent.waited = waited;
        }
    }

    pub fn get(&self, number: u64) -> Option<&Sent> {
        self.kept(number).map(|kept| &kept.sent)
    }

    /// Whether something of a gap could be sent again.
    pub fn remembers(&self, gap: Gap) -> bool {
        let numbers = self.first.max(gap.after + 1)..=gap.through;
        numbers.map_while(|number| self.get(number)).any(|sent| sent.stream == gap.stream)
    }

    /// The frames of a gap, oldest first, of `most` bytes and one frame more at most.
    pub fn resend(&self, gap: Gap, most: usize) -> Resend {
        let (mut chain, mut number) = (Vec::new(), gap.through);
        while number > gap.after {
            let Some(sent) = self.get(number).filter(|sent| sent.stream == gap.stream) else { break };
            chain.push((number, &sent.bytes));
            number = sent.predecessor;
        }
        let gone = (number > gap.after).then(|| self.gone(Gap { through: number, ..gap }));
        let (mut frames, mut bytes) = (Vec::new(), 0);
        while bytes < most
            && let Some((sent, frame)) = chain.pop()
        {
            bytes += frame.len();
            number = sent;
            frames.push(frame.clone());
        }
        let unsent = (!chain.is_empty()).then_some(Gap { after: number, ..gap });
        Resend { frames, gone, unsent }
    }

    /// For how long the frames from `oldest` on will stay if as much comes as lately: until the first of them is too
    /// old, or there is no room for it.
    pub fn lasts(&self, oldest: u64, now: Duration) -> Duration {
        let start = self.kept(oldest);
        let age = start.map_or(Duration::ZERO, |kept| now.saturating_sub(kept.sent.at));
        let bytes = self.total - start.map_or(self.total, |kept| kept.before);
        let room = (self.retention.bytes as u64).saturating_sub(bytes);
        // Without a frame in all that time nothing comes, and only age counts.
        let lately = self.frames.partition_point(|kept| now.saturating_sub(kept.sent.at) > LATELY);
        let come = self.frames.get(lately).map_or(0, |kept| self.total - kept.before);
        let time_left = self.retention.age.saturating_sub(age);
        if come == 0 { time_left } else { time_left.min(self.measured(now).mul_f64(room as f64 / come as f64)) }
    }

    /// Over how long what came lately was measured: a ring that is full remembers less than that.
    fn measured(&self, now: Duration) -> Duration {
        let oldest = self.frames.front().map_or(LATELY, |kept| now.saturating_sub(kept.sent.at));
        if self.first > 1 { oldest.min(LATELY).max(Duration::from_millis(1)) } else { LATELY }
    }

    fn kept(&self, number: u64) -> Option<&Kept> {
        let index = number.checked_sub(self.first)?;
        self.frames.get(usize::try_from(index).ok()?)
    }

    fn gone(&self, gap: Gap) -> Gone {
        Gone { through: gap.through, events: self.evicted.events(gap, self.first) }
    }
}

fn size(sent: &Sent) -> usize {
    sent.bytes.len() + OVERHEAD
}

#[cfg(test)]
mod tests;
