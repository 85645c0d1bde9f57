//! Rooms that live on without subscribers, because those who left may come back. Pure.
//!
//! Bound: a stranger may subscribe to ever-new channels and leave them; so of these rooms there are only so many, and the
//! oldest go first. Who comes back to one that went is told that it may have missed something.

use std::{collections::VecDeque, sync::Arc};

use crate::protocol::ChannelName;

/// Rooms of a node that await subscribers, at most. Each takes some 2.5 KB.
pub(super) const MAX_AWAITING: usize = 16_384;

/// A room, and the number of the wait.
type Wait = (Arc<str>, ChannelName, u64);

/// The waits, the oldest first. Some of them are over.
#[derive(Debug)]
pub(super) struct Awaiting {
    limit: usize,
    begun: u64,
    waits: VecDeque<Wait>,
}

impl Awaiting {
    /// No rooms, and `limit` at most.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), begun: 0, waits: VecDeque::new() }
    }

    /// A room begins to wait; the number of its wait.
    pub(super) fn begin(&mut self, app_id: Arc<str>, channel: ChannelName) -> u64 {
        self.begun += 1;
        self.waits.push_back((app_id, channel, self.begun));
        self.begun
    }

    /// The rooms that must go, if there are too many: an eighth of them and those that are too many, so that the waits
    /// which are over are looked for now and then only.
    pub(super) fn excess(
        &mut self,
        still_waits: impl Fn(&str, &ChannelName, u64) -> bool,
    ) -> Vec<(Arc<str>, ChannelName)> {
        if self.waits.len() <= self.limit {
            return Vec::new();
        }
        self.waits.retain(|(app_id, channel, number)| still_waits(app_id, channel, *number));
        let excess = match self.waits.len().checked_sub(self.limit) {
            Some(excess) if excess > 0 => excess + self.limit / 8,
            Some(_) | None => 0,
        };
        self.waits.drain(..excess).map(|(app_id, channel, _)| (app_id, channel)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> ChannelName {
        ChannelName::parse(&format!("products.{number}"), 200).unwrap()
    }

    #[test]
    fn of_too_many_rooms_that_wait_the_oldest_go() {
        let mut awaiting = Awaiting::new(16);
        for number in 1..=16 {
            assert_eq!(awaiting.begin("app".into(), name(number)), number);
            assert_eq!(awaiting.excess(|_, _, _| true), []);
        }
        awaiting.begin("app".into(), name(17));
        let gone: Vec<_> = awaiting.excess(|_, _, _| true).into_iter().map(|(_, channel)| channel).collect();
        assert_eq!(gone, [name(1), name(2), name(3)]);
    }

    #[test]
    fn waits_that_are_over_push_nobody_out() {
        let mut awaiting = Awaiting::new(16);
        for number in 1..=100 {
            awaiting.begin("app".into(), name(number));
            assert_eq!(awaiting.excess(|_, _, number| number > 90), []);
        }
    }
}
