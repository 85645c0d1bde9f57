//! One stream of a peer: how far it was released, what is held back, and what is missing.

use std::{collections::BTreeMap, time::Duration};

use super::Released;
use crate::frame::{Gap, Numbered, Stream};

/// The pause before a gap is asked for again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long a missing last frame may take before it is asked for: what announced its number may have overtaken it.
const HEAD_GRACE: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// Up to where the stream was released or marked lost, or was not for us.
    pub position: u64,
    /// The last number that was released; 0 if none was.
    pub last_released: u64,
    /// The highest number that is known to exist.
    pub head: u64,
    pub held: BTreeMap<u64, Held>,
    pub waiting: Option<Waiting>,
}

/// A frame that is held back.
#[derive(Debug)]
pub(super) struct Held {
    pub predecessor: u64,
    pub size: usize,
    pub content: Numbered,
}

/// The request for what is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// Since when it is asked for and nothing has come; `None` before the first time.
    pub since: Option<Duration>,
    pub ask_at: Duration,
}

impl StreamState {
    pub(super) fn release(&mut self, number: u64) {
        (self.position, self.last_released) = (number, number);
        self.head = self.head.max(number);
    }

    /// Whether the first held frame is in order.
    pub(super) fn is_ready(&self) -> bool {
        let is_in_order = |(number, held): (&u64, &Held)| *number <= self.position || held.predecessor <= self.position;
        self.held.first_key_value().is_some_and(is_in_order)
    }

    /// Releases the next frames in order; returns them, and what is no longer held, with its bytes.
    pub(super) fn advance(&mut self, most: usize) -> (Vec<Released>, Vec<(u64, usize)>) {
        let (mut released, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < most
            && self.is_ready()
            && let Some((number, held)) = self.held.pop_first()
        {
            bytes += held.size;
            left.push((number, held.size));
            if number > self.position {
                self.release(number);
                let Held { predecessor, content, .. } = held;
                released.push(Released { number, predecessor, content });
            }
        }
        (released, left)
    }

    pub(super) fn wait(&mut self, has_moved: bool, now: Duration) {
        if self.gap(Stream::STATE).is_none() {
            self.waiting = None;
            return;
        }
        let grace = if self.held.is_empty() { HEAD_GRACE } else { Duration::ZERO };
        let waiting = self.waiting.get_or_insert(Waiting { since: None, ask_at: now + grace });
        waiting.ask_at = waiting.ask_at.min(now + ASK_AGAIN);
        if has_moved && waiting.since.is_some() {
            waiting.since = Some(now);
        }
    }

    /// The first gap.
    pub(super) fn gap(&self, stream: Stream) -> Option<Gap> {
        let after = self.position;
        let through = self.held.values().next().map_or(self.head, |held| held.predecessor);
        (after < through).then_some(Gap { stream, after, through })
    }
}
