//! In which order what a client sent is heard. Its requests are under way at once, each on a connection of its own, and
//! are never repeated; all requests of a page carry one count, `n`. One that is missing is waited for a little, for it may
//! be another session's. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// How long what came is held for what was sent before.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came and was not heard yet.
#[derive(Debug)]
pub(super) struct Sends<T> {
    /// The number that is awaited; `None` for a client that does not count.
    next: Option<u64>,
    early: BTreeMap<u64, (Instant, Vec<T>)>,
    ready: VecDeque<T>,
}

impl<T> Sends<T> {
    /// What is sent by a client whose session began with the request of this number.
    pub(super) fn after(first: Option<u64>) -> Self {
        Self { next: first.map(|first| first.saturating_add(1)), early: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// The messages of a request; none for one that sent nothing.
    pub(super) fn take(&mut self, number: Option<u64>, messages: Vec<T>, now: Instant) {
        match (number, self.next) {
            (Some(number), Some(next)) if number > next => {
                self.early.entry(number).or_insert((now, Vec::new())).1.extend(messages);
            }
            (Some(number), Some(next)) if number == next => {
                self.ready.extend(messages);
                self.go_on_after(number);
            }
            // Late, or not counted.
            _ => self.ready.extend(messages),
        }
    }

    /// The next message that may be heard.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        while self.ready.is_empty() && self.due().is_some_and(|due| due <= now) {
            let (number, (_, messages)) = self.early.pop_first()?;
            self.ready.extend(messages);
            self.go_on_after(number);
        }
        self.ready.pop_front()
    }

    /// When the first of those that are held is heard at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.early.values().map(|(came, _)| *came).min().map(|came| came + PATIENCE)
    }

    fn go_on_after(&mut self, number: u64) {
        let mut next = number.saturating_add(1);
        while let Some((_, messages)) = self.early.remove(&next) {
            self.ready.extend(messages);
            next = next.saturating_add(1);
        }
        self.next = Some(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(sends: &mut Sends<&'static str>, now: Instant) -> Vec<&'static str> {
        std::iter::from_fn(|| sends.pop(now)).collect()
    }

    #[test]
    fn requests_are_heard_in_the_order_of_their_numbers() {
        let now = Instant::now();
        let mut sends = Sends::after(Some(7));
        sends.take(Some(10), vec!["c"], now);
        sends.take(Some(9), vec!["b1", "b2"], now);
        assert_eq!((heard(&mut sends, now), sends.due()), (vec![], Some(now + PATIENCE)));
        sends.take(Some(8), vec!["a"], now);
        assert_eq!((heard(&mut sends, now), sends.due()), (vec!["a", "b1", "b2", "c"], None));
    }

    #[test]
    fn what_is_missing_is_waited_for_a_little_and_heard_when_it_comes() {
        let now = Instant::now();
        let mut sends = Sends::after(Some(1));
        sends.take(Some(3), vec!["c"], now);
        sends.take(Some(6), vec!["f"], now + PATIENCE / 2);
        assert_eq!(heard(&mut sends, now + PATIENCE - Duration::from_millis(1)), [""; 0]);
        assert_eq!(heard(&mut sends, now + PATIENCE), ["c"]);
        sends.take(Some(2), vec!["late"], now + PATIENCE);
        sends.take(Some(4), vec!["d"], now + PATIENCE);
        assert_eq!(heard(&mut sends, now + PATIENCE), ["late", "d"]);
        assert_eq!(heard(&mut sends, now + PATIENCE * 2), ["f"]);
    }

    #[test]
    fn the_request_of_an_answer_sends_nothing_and_is_counted_with_the_others() {
        let now = Instant::now();
        let mut sends = Sends::after(Some(1));
        sends.take(Some(3), vec!["b"], now);
        sends.take(Some(2), Vec::new(), now);
        assert_eq!(heard(&mut sends, now), ["b"]);
    }

    #[test]
    fn a_client_that_does_not_count_is_heard_as_it_comes_and_numbers_may_be_anything() {
        let now = Instant::now();
        let mut sends = Sends::after(None);
        sends.take(Some(u64::MAX), vec!["a"], now);
        sends.take(None, vec!["b"], now);
        assert_eq!(heard(&mut sends, now), ["a", "b"]);
        let mut sends = Sends::after(Some(u64::MAX));
        sends.take(Some(u64::MAX), vec!["a"], now);
        sends.take(Some(u64::MAX), vec!["b"], now);
        assert_eq!(heard(&mut sends, now), ["a", "b"]);
    }
}
