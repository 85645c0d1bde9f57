//! The messages of a slot that its consumer has taken, and the order in which they may be posted. Pure.
//!
//! The stream delivers new messages to a new owner at once, but those that the previous owner had taken only once that
//! one gives them back, or `ack_wait` has passed. The same holds for messages that were lost with a connection. New
//! messages are held back meanwhile, so that the older ones are posted first.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// Finished messages that are remembered, in case their ack was lost and the stream redelivers them.
const MAX_FINISHED: usize = 16_384;

/// One owner's lease of one slot. Messages are identified by their sequence number in the stream.
#[derive(Debug)]
pub(super) struct Lease {
    /// Messages that the stream has delivered to another owner, or that were lost in transit.
    missing: u64,
    /// An upper bound of their sequence numbers.
    last: u64,
    /// Deliveries so far, to any owner, redeliveries included.
    delivered: u64,
    held: BTreeMap<u64, Bytes>,
    /// Where to acknowledge each message that was taken and is not finished.
    replies: BTreeMap<u64, String>,
    finished: BTreeSet<u64>,
}

/// What to do with a delivered message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Post these, in this order. There may be none.
    Post(Vec<(u64, Bytes)>),
    /// It was posted before, and its ack was lost.
    Acknowledge(String),
}

impl Lease {
    /// `missing` messages were taken by another owner and are not acknowledged; none has a number above `last`. The
    /// stream has made `delivered` deliveries so far.
    pub(super) fn new(missing: u64, last: u64, delivered: u64) -> Self {
        Self { missing, last, delivered, held: BTreeMap::new(), replies: BTreeMap::new(), finished: BTreeSet::new() }
    }

    /// Takes a message, the `delivered`th delivery of the stream.
    pub(super) fn take(&mut self, number: u64, delivered: u64, body: Bytes, reply: String) -> Step {
        self.miss(number, delivered);
        if self.finished.contains(&number) {
            return Step::Acknowledge(reply);
        }
        if self.replies.insert(number, reply).is_some() {
            return Step::Post(Vec::new());
        }
        if !self.holds_back() {
            return Step::Post(vec![(number, body)]);
        }
        self.held.insert(number, body);
        if number <= self.last {
            self.missing -= 1;
        }
        Step::Post(if self.holds_back() { Vec::new() } else { self.release() })
    }

    /// Whether messages are missing that must be posted before those that came.
    pub(super) fn holds_back(&self) -> bool {
        self.missing > 0
    }

    /// How many messages are taken and not finished.
    pub(super) fn taken(&self) -> usize {
        self.replies.len()
    }

    /// Returns what was held back, to be posted: nothing is missing any more, or the wait was long enough.
    pub(super) fn release(&mut self) -> Vec<(u64, Bytes)> {
        self.missing = 0;
        std::mem::take(&mut self.held).into_iter().collect()
    }

    /// All endpoints took a message, or gave it up; returns where to acknowledge it.
    pub(super) fn finish(&mut self, number: u64) -> Option<String> {
        let reply = self.replies.remove(&number)?;
        self.finished.insert(number);
        if self.finished.len() > MAX_FINISHED {
            self.finished.pop_first();
        }
        Some(reply)
    }

    /// Where to acknowledge what is taken and not finished, in order.
    pub(super) fn replies(&self) -> impl Iterator<Item = &String> {
        self.replies.values()
    }

    /// Counts the deliveries between the previous one and this one, which did not arrive here.
    fn miss(&mut self, number: u64, delivered: u64) {
        let missed = delivered.saturating_sub(self.delivered.saturating_add(1));
        if missed > 0 {
            self.missing += missed;
            self.last = self.last.max(number.saturating_sub(1));
        }
        self.delivered = self.delivered.max(delivered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a message that came in its turn.
    fn take(lease: &mut Lease, number: u64) -> Step {
        lease.take(number, lease.delivered + 1, Bytes::from(number.to_string()), format!("reply {number}"))
    }

    fn post(numbers: impl IntoIterator<Item = u64>) -> Step {
        Step::Post(numbers.into_iter().map(|number| (number, Bytes::from(number.to_string()))).collect())
    }

    #[test]
    fn where_nothing_is_left_over_messages_are_posted_as_they_come() {
        let mut lease = Lease::new(0, 7, 0);
        assert_eq!(take(&mut lease, 8), post([8]));
        assert_eq!(take(&mut lease, 9), post([9]));
    }

    #[test]
    fn what_another_owner_had_taken_is_posted_before_what_came_later() {
        let mut lease = Lease::new(2, 7, 0);
        for (number, posted) in [(8, vec![]), (6, vec![]), (9, vec![]), (5, vec![5, 6, 8, 9]), (10, vec![10])] {
            assert_eq!(take(&mut lease, number), post(posted));
        }
    }

    #[test]
    fn what_never_comes_back_is_not_waited_for_forever() {
        let mut lease = Lease::new(1, 7, 0);
        assert_eq!(take(&mut lease, 8), post([]));
        assert_eq!(Step::Post(lease.release()), post([8]));
        assert_eq!(take(&mut lease, 7), post([7]));
    }

    #[test]
    fn what_was_lost_on_the_way_is_posted_before_what_came_later() {
        let mut lease = Lease::new(0, 0, 0);
        assert_eq!(take(&mut lease, 1), post([1]));
        assert_eq!(lease.take(4, 4, Bytes::from("4"), "reply 4".to_owned()), post([]));
        assert_eq!(take(&mut lease, 5), post([]));
        assert_eq!(take(&mut lease, 2), post([]));
        assert_eq!(take(&mut lease, 3), post([2, 3, 4, 5]));
    }

    #[test]
    fn a_message_that_comes_again_while_it_is_being_posted_is_not_posted_twice() {
        let mut lease = Lease::new(0, 0, 0);
        assert_eq!(take(&mut lease, 1), post([1]));
        assert_eq!(lease.take(1, 2, Bytes::new(), "again".to_owned()), post([]));
        assert_eq!(lease.finish(1).as_deref(), Some("again"));
    }

    #[test]
    fn a_message_that_comes_again_after_it_was_posted_is_only_acknowledged() {
        let mut lease = Lease::new(0, 0, 0);
        assert_eq!(take(&mut lease, 1), post([1]));
        assert_eq!(lease.finish(1).as_deref(), Some("reply 1"));
        assert_eq!(take(&mut lease, 1), Step::Acknowledge("reply 1".to_owned()));
        assert_eq!((lease.finish(1), lease.taken()), (None, 0));
    }

    #[test]
    fn what_is_not_finished_is_given_back_in_order() {
        let mut lease = Lease::new(1, 1, 0);
        for number in [3, 2, 4] {
            take(&mut lease, number);
        }
        lease.finish(3);
        assert_eq!(lease.replies().collect::<Vec<_>>(), ["reply 2", "reply 4"]);
    }
}
