//! What a node that pulls a slot has taken from it, and in which order it may be posted. Pure.
//!
//! The stream gives a new owner fresh messages at once, but those that the owner before it had taken only when that one
//! gives them back, or has been silent for long enough. The same holds for messages that were lost with a connection. So
//! that they are posted first, fresh ones are held back meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// Finished messages that are remembered, in case the stream did not hear of it and gives them again.
const MAX_FINISHED: usize = 16_384;

/// One owner's time with one slot. Messages are known by their number in the stream, which rises.
#[derive(Debug)]
pub(super) struct Tenure {
    /// Messages that the stream has given to somebody else, or that were lost on the way.
    missing: u64,
    /// The last of them, at most.
    last: u64,
    /// How many messages the stream has given to anybody, repeats included.
    given: u64,
    held: BTreeMap<u64, Bytes>,
    /// Where to acknowledge each message that was taken and is not finished.
    replies: BTreeMap<u64, String>,
    finished: BTreeSet<u64>,
}

/// What is to be done with a message that the stream gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Post these, in this order. There may be none.
    Post(Vec<(u64, Bytes)>),
    /// It was posted before, and the stream did not hear of it.
    Acknowledge(String),
}

impl Tenure {
    /// `missing` messages were taken by another owner and are not done, the last of them `last` at most. The stream has
    /// given out `given` messages so far.
    pub fn new(missing: u64, last: u64, given: u64) -> Self {
        Self { missing, last, given, held: BTreeMap::new(), replies: BTreeMap::new(), finished: BTreeSet::new() }
    }

    /// The stream gave a message, the `given`th that it gave to anybody.
    pub fn take(&mut self, number: u64, given: u64, body: Bytes, reply: String) -> Step {
        self.miss(number, given);
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
    pub fn holds_back(&self) -> bool {
        self.missing > 0
    }

    /// How many messages are taken and not finished.
    pub fn taken(&self) -> usize {
        self.replies.len()
    }

    /// Nothing is missing any more, or it was waited for long enough: what was held back is to be posted.
    pub fn release(&mut self) -> Vec<(u64, Bytes)> {
        self.missing = 0;
        std::mem::take(&mut self.held).into_iter().collect()
    }

    /// All endpoints took a message or gave it up; returns where to acknowledge it.
    pub fn finish(&mut self, number: u64) -> Option<String> {
        let reply = self.replies.remove(&number)?;
        self.finished.insert(number);
        if self.finished.len() > MAX_FINISHED {
            self.finished.pop_first();
        }
        Some(reply)
    }

    /// Where to acknowledge what is taken and not finished, in order.
    pub fn replies(&self) -> impl Iterator<Item = &String> {
        self.replies.values()
    }

    /// Messages that the stream gave between the one before and this one did not come here.
    fn miss(&mut self, number: u64, given: u64) {
        let missed = given.saturating_sub(self.given.saturating_add(1));
        if missed > 0 {
            self.missing += missed;
            self.last = self.last.max(number.saturating_sub(1));
        }
        self.given = self.given.max(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a message that came in its turn.
    fn take(tenure: &mut Tenure, number: u64) -> Step {
        tenure.take(number, tenure.given + 1, Bytes::from(number.to_string()), format!("reply {number}"))
    }

    fn post(numbers: impl IntoIterator<Item = u64>) -> Step {
        Step::Post(numbers.into_iter().map(|number| (number, Bytes::from(number.to_string()))).collect())
    }

    #[test]
    fn where_nothing_is_left_over_messages_are_posted_as_they_come() {
        let mut tenure = Tenure::new(0, 7, 0);
        assert_eq!(take(&mut tenure, 8), post([8]));
        assert_eq!(take(&mut tenure, 9), post([9]));
    }

    #[test]
    fn what_another_owner_had_taken_is_posted_before_what_came_later() {
        let mut tenure = Tenure::new(2, 7, 0);
        for (number, posted) in [(8, vec![]), (6, vec![]), (9, vec![]), (5, vec![5, 6, 8, 9]), (10, vec![10])] {
            assert_eq!(take(&mut tenure, number), post(posted));
        }
    }

    #[test]
    fn what_never_comes_back_is_not_waited_for_forever() {
        let mut tenure = Tenure::new(1, 7, 0);
        assert_eq!(take(&mut tenure, 8), post([]));
        assert_eq!(Step::Post(tenure.release()), post([8]));
        assert_eq!(take(&mut tenure, 7), post([7]));
    }

    #[test]
    fn what_was_lost_on_the_way_is_posted_before_what_came_later() {
        let mut tenure = Tenure::new(0, 0, 0);
        assert_eq!(take(&mut tenure, 1), post([1]));
        assert_eq!(tenure.take(4, 4, Bytes::from("4"), "reply 4".to_owned()), post([]));
        assert_eq!(take(&mut tenure, 5), post([]));
        assert_eq!(take(&mut tenure, 2), post([]));
        assert_eq!(take(&mut tenure, 3), post([2, 3, 4, 5]));
    }

    #[test]
    fn a_message_that_comes_again_while_it_is_being_posted_is_not_posted_twice() {
        let mut tenure = Tenure::new(0, 0, 0);
        assert_eq!(take(&mut tenure, 1), post([1]));
        assert_eq!(tenure.take(1, 2, Bytes::new(), "again".to_owned()), post([]));
        assert_eq!(tenure.finish(1).as_deref(), Some("again"));
    }

    #[test]
    fn a_message_that_comes_again_after_it_was_posted_is_only_acknowledged() {
        let mut tenure = Tenure::new(0, 0, 0);
        assert_eq!(take(&mut tenure, 1), post([1]));
        assert_eq!(tenure.finish(1).as_deref(), Some("reply 1"));
        assert_eq!(take(&mut tenure, 1), Step::Acknowledge("reply 1".to_owned()));
        assert_eq!((tenure.finish(1), tenure.taken()), (None, 0));
    }

    #[test]
    fn what_is_not_finished_is_given_back_in_order() {
        let mut tenure = Tenure::new(1, 1, 0);
        for number in [3, 2, 4] {
            take(&mut tenure, number);
        }
        tenure.finish(3);
        assert_eq!(tenure.replies().collect::<Vec<_>>(), ["reply 2", "reply 4"]);
    }
}
