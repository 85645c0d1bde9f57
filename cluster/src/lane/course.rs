//! One stream of a peer: how far it was given out, what waits, and what is missing.

use std::{collections::BTreeMap, time::Duration};

use crate::frame::{Body, Hole, Stream};

/// How often a hole is asked for.
pub const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long a missing tail is waited for before it is asked for: what tells of it may have overtaken it.
const TAIL_GRACE: Duration = Duration::from_millis(200);

/// One stream.
#[derive(Debug, Default)]
pub struct Course {
    /// Up to where the stream was given out, or was not for us.
    pub position: u64,
    /// The last number that was given out; 0 if none was.
    pub given: u64,
    /// The highest number that is known to exist.
    pub tail: u64,
    pub held: BTreeMap<u64, Held>,
    pub waiting: Option<Waiting>,
}

/// A frame that waits.
#[derive(Debug)]
pub struct Held {
    pub predecessor: u64,
    pub size: usize,
    pub body: Body,
}

/// For what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Since when it is asked for and nothing has come; `None` before the first time.
    pub since: Option<Duration>,
    pub ask_at: Duration,
}

impl Course {
    pub fn give_out(&mut self, number: u64) {
        (self.position, self.given) = (number, number);
        self.tail = self.tail.max(number);
    }

    /// Whether what is held first is in order.
    pub fn is_ready(&self) -> bool {
        let is_in_order = |(number, held): (&u64, &Held)| *number <= self.position || held.predecessor <= self.position;
        self.held.first_key_value().is_some_and(is_in_order)
    }

    /// Gives out the next of what is in order; returns it, and what is no longer held, with its bytes.
    pub fn advance(&mut self, most: usize) -> (Vec<Body>, Vec<(u64, usize)>) {
        let (mut freed, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < most
            && self.is_ready()
            && let Some((number, held)) = self.held.pop_first()
        {
            bytes += held.size;
            left.push((number, held.size));
            if number > self.position {
                self.give_out(number);
                freed.push(held.body);
            }
        }
        (freed, left)
    }

    pub fn wait(&mut self, has_moved: bool, now: Duration) {
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
    pub fn hole(&self, stream: Stream) -> Option<Hole> {
        let after = self.position;
        let through = self.held.values().next().map_or(self.tail, |held| held.predecessor);
        (after < through).then_some(Hole { stream, after, through })
    }
}
