//! What a page has proven to have heard. Pure.
//!
//! Only its answer to a `pusher:ping` is proof: it answers in order, so it has heard everything that was sent before. A
//! browser answers closes and WebSocket pings for pages that hear nothing.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::page::OwedReceipt;

/// How soon a page that has just come is asked.
const SOON: Duration = Duration::from_millis(500);

/// The receipts of one session.
#[derive(Debug, Default)]
pub struct Receipts {
    /// When it was asked what it has not answered yet, and what it owes for it.
    asked: VecDeque<(Instant, OwedReceipt)>,
    /// When it was asked what it has answered last.
    proven: Option<Instant>,
    /// How often something had been sent when it was asked last, the question included.
    sends: u64,
}

/// After how long a page is asked again, whose socket is so old. During its first interval it is asked sooner: what it is
/// replayed must be proven even where its sockets do not last, or it is replayed again and again.
pub(super) fn pause(age: Duration, interval: Duration) -> Duration {
    if age < interval { (interval / 10).max(SOON).min(interval) } else { interval }
}

impl Receipts {
    /// Whether there is something to ask for: it was sent something since, and owes no answer.
    pub fn is_due(&self, sends: u64) -> bool {
        self.is_settled() && sends > self.sends
    }

    /// It is asked now; `sends` is how often something had been sent before.
    pub fn ask(&mut self, now: Instant, sends: u64, owed: OwedReceipt) {
        // Nobody asks twice but a drain.
        self.asked.reserve_exact(1);
        self.asked.push_back((now, owed));
        self.sends = sends + 1;
    }

    /// It answered, if it was asked.
    pub fn answer(&mut self) {
        self.proven = self.asked.pop_front().map(|(asked, _)| asked).or(self.proven);
        if self.asked.is_empty() {
            // An idle page keeps no list.
            self.asked = VecDeque::new();
        }
    }

    /// Whether it has answered all that it was asked.
    pub fn is_settled(&self) -> bool {
        self.asked.is_empty()
    }

    /// It has heard everything that was sent before this.
    pub fn proven(&self) -> Option<Instant> {
        self.proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::OutstandingReceipts;

    #[test]
    fn a_page_that_has_just_come_is_asked_sooner() {
        let check = |age, interval, expected| {
            let pause = pause(Duration::from_millis(age), Duration::from_millis(interval));
            assert_eq!(pause, Duration::from_millis(expected), "{age} ms of {interval} ms");
        };
        check(0, 5_000, 500);
        check(4_999, 5_000, 500);
        check(5_000, 5_000, 5_000);
        check(0, 60_000, 6_000);
        check(0, 50, 50);
    }

    #[test]
    fn a_page_is_asked_once_for_what_it_was_sent_and_proves_what_came_before() {
        let (mut receipts, owed, start) = (Receipts::default(), OutstandingReceipts::default(), Instant::now());
        assert!(!receipts.is_due(0) && receipts.is_due(1));
        receipts.ask(start, 1, owed.owe());
        // While it owes an answer it is not asked again, whatever it is sent.
        assert!(!receipts.is_due(9) && !receipts.is_settled());
        receipts.answer();
        assert_eq!(receipts.proven(), Some(start));
        assert!(receipts.is_due(9) && !receipts.is_due(2));
    }

    #[test]
    fn an_answer_to_no_question_proves_nothing() {
        let (mut receipts, owed, start) = (Receipts::default(), OutstandingReceipts::default(), Instant::now());
        receipts.answer();
        assert_eq!(receipts.proven(), None);
        receipts.ask(start, 0, owed.owe());
        receipts.ask(start + Duration::from_secs(1), 1, owed.owe());
        receipts.answer();
        assert_eq!((receipts.proven(), receipts.is_settled()), (Some(start), false));
        receipts.answer();
        receipts.answer();
        assert_eq!(receipts.proven(), Some(start + Duration::from_secs(1)));
    }

    #[test]
    fn what_a_page_owes_is_counted_until_it_answers_or_goes() {
        let (mut receipts, owed, now) = (Receipts::default(), OutstandingReceipts::default(), Instant::now());
        // A drain asks once more, whatever it owes already.
        (0..3).for_each(|sends| receipts.ask(now, sends, owed.owe()));
        assert_eq!(owed.count(), 3);
        receipts.answer();
        assert_eq!(owed.count(), 2);
        drop(receipts);
        assert_eq!(owed.count(), 0);
    }
}
