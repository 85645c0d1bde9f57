//! How far a history knows one origin. Pure.

use std::time::Instant;

use super::Cause;
use crate::protocol::{EventId, EventOrigin, Position};

/// How far the history knows one origin.
#[derive(Debug)]
pub(super) struct OriginState {
    /// The last number that is known here.
    pub(super) last: u64,
    /// Of one that does not live: it was heard up to this number, and what it published up to there is known here or nowhere,
    /// unless it comes back.
    pub(super) assumed: u64,
    /// Nothing up to this number is kept.
    pub(super) lost_through: u64,
    /// When that had been written to all subscribers here, if it had.
    pub(super) written: Option<Instant>,
    /// Why.
    pub(super) cause: Cause,
    /// Of one that is known from other nodes alone and has ended: who has heard one of these events has come to the channel,
    /// or heard it on, after its end.
    pub(super) settled: Option<Position>,
    /// Whether others have said that it has left in order, and nothing came after.
    pub(super) has_ended: bool,
}

impl OriginState {
    /// An origin of which nothing is known up to a number, where its events begin here.
    pub(super) fn begin(number: u64) -> Self {
        Self {
            last: number,
            assumed: 0,
            lost_through: number,
            written: None,
            cause: Cause::Opened,
            settled: None,
            has_ended: false,
        }
    }

    pub(super) fn lose(&mut self, through: u64, cause: Cause, written: Option<Instant>) {
        if through > self.lost_through {
            (self.lost_through, self.cause, self.written) = (through, cause, written);
        }
    }

    /// Whether somebody with this position may have missed something of it.
    pub(super) fn concerns(&self, origin: EventOrigin, position: &Position) -> bool {
        let is_later = |event: EventId| position.number_of(event.origin).is_some_and(|number| number >= event.number);
        let is_settled = self.settled.as_ref().is_some_and(|settled| settled.events().any(is_later));
        position.number_of(origin).is_some() || !is_settled
    }

    /// Up to which number nothing is missed that can be had.
    pub(super) fn vouched(&self) -> u64 {
        self.last.max(self.assumed)
    }

    /// Everything after a number is there, unless it went here.
    pub(super) fn close(&mut self, after: u64) {
        if self.cause.is_local() {
            self.lost_through = self.lost_through.min(after);
        }
    }
}
