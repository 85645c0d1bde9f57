//! What this node has still to store, in the order of its numbers. Pure.
//!
//! Invariant: a mark goes to the stream alone: once all events before it are stored, and before any event behind it is
//! sent. So the stream, which forgets its oldest messages first, has all events behind a mark that it has.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::mark::Mark;
use crate::room::Room;

/// Events that are on their way to the stream at once at most.
const MAX_UNDERWAY: usize = 256;

/// An event of this node that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnstoredEvent {
    pub room: Room,
    pub number: u64,
    /// Its frame, as it crosses the bus.
    pub bytes: Bytes,
}

/// What is sent to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Event(UnstoredEvent),
    /// All events up to this number were there at this moment.
    Mark(u64, Instant),
}

/// What waits or is on its way.
#[derive(Debug)]
pub struct Backlog {
    waiting: VecDeque<Item>,
    /// Events among them.
    events: usize,
    /// Events that are on their way.
    underway: usize,
    /// Whether a mark is.
    mark_is_underway: bool,
    /// Bytes of events that wait.
    bytes: usize,
    limit: usize,
    lost_through: u64,
}

impl Backlog {
    /// An empty one, in which so many bytes may wait.
    pub fn new(limit: usize) -> Self {
        let waiting = VecDeque::new();
        Self { waiting, events: 0, underway: 0, mark_is_underway: false, bytes: 0, limit, lost_through: 0 }
    }

    /// An event is to be stored. Returns how many others will not be, because too much waits.
    pub fn push(&mut self, event: UnstoredEvent) -> usize {
        (self.events, self.bytes) = (self.events + 1, self.bytes + event.bytes.len());
        self.waiting.push_back(Item::Event(event));
        let before = self.events;
        while self.bytes > self.limit && self.events > 1 {
            self.drop_oldest();
        }
        before - self.events
    }

    /// All events up to this number were pushed.
    pub fn mark(&mut self, number: u64, now: Instant) {
        let mark = Item::Mark(number, now);
        match self.waiting.back_mut() {
            Some(last @ Item::Mark(..)) => *last = mark,
            Some(Item::Event(_)) | None => self.waiting.push_back(mark),
        }
    }

    /// What is to be sent next, if anything may be.
    pub fn pop(&mut self) -> Option<Item> {
        let is_busy = match self.waiting.front()? {
            Item::Event(_) => self.underway == MAX_UNDERWAY,
            Item::Mark(..) => self.underway > 0,
        };
        if is_busy || self.mark_is_underway {
            return None;
        }
        let item = self.waiting.pop_front()?;
        match &item {
            Item::Event(event) => {
                (self.events, self.bytes) = (self.events - 1, self.bytes - event.bytes.len());
                self.underway += 1;
            }
            Item::Mark(..) => self.mark_is_underway = true,
        }
        Some(item)
    }

    /// The mark of this number and moment, as it is sent now.
    pub fn written_mark(&self, number: u64, since: Instant, now: Instant) -> Mark {
        Mark { number, lost_through: self.lost_through, waited: now.saturating_duration_since(since) }
    }

    /// What was sent is stored.
    pub fn stored(&mut self, item: &Item) {
        match item {
            Item::Event(_) => self.underway -= 1,
            Item::Mark(..) => self.mark_is_underway = false,
        }
    }

    /// What was sent may not be stored: it is to be sent again, before all that waits.
    pub fn unsent(&mut self, item: Item) {
        self.stored(&item);
        if let Item::Event(event) = &item {
            (self.events, self.bytes) = (self.events + 1, self.bytes + event.bytes.len());
        }
        self.waiting.push_front(item);
    }

    /// The stream will never take this event.
    pub fn refused(&mut self, event: UnstoredEvent) {
        self.lost_through = self.lost_through.max(event.number);
        self.stored(&Item::Event(event));
    }

    /// How many events wait or are on their way.
    pub fn len(&self) -> usize {
        self.events + self.underway
    }

    /// Whether everything is stored.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.underway == 0 && !self.mark_is_underway
    }

    /// The oldest event that waits is not stored. Marks before it say so too.
    fn drop_oldest(&mut self) {
        let oldest = self.waiting.iter().position(|item| matches!(item, Item::Event(_)));
        if let Some(Item::Event(event)) = oldest.and_then(|index| self.waiting.remove(index)) {
            (self.events, self.bytes) = (self.events - 1, self.bytes - event.bytes.len());
            self.lost_through = self.lost_through.max(event.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(number: u64) -> UnstoredEvent {
        UnstoredEvent { room: Room::new("shop", "orders").unwrap(), number, bytes: vec![0; 100].into() }
    }

    fn backlog(limit: usize, numbers: impl IntoIterator<Item = u64>) -> (Backlog, usize) {
        let mut backlog = Backlog::new(limit);
        let dropped = numbers.into_iter().map(|number| backlog.push(event(number))).sum();
        (backlog, dropped)
    }

    /// The number of the mark that is next, and what it says is lost.
    fn next_mark(backlog: &mut Backlog) -> (u64, u64) {
        let Some(Item::Mark(number, since)) = backlog.pop() else { panic!("a mark is next") };
        let mark = backlog.written_mark(number, since, since + Duration::from_secs(3));
        assert_eq!(mark.waited, Duration::from_secs(3));
        (mark.number, mark.lost_through)
    }

    #[test]
    fn a_mark_goes_alone_between_the_events_before_it_and_those_behind_it() {
        let (mut backlog, _) = backlog(1_000, [3, 5]);
        backlog.mark(6, Instant::now());
        backlog.push(event(7));
        let sent = [backlog.pop().unwrap(), backlog.pop().unwrap()];
        assert_eq!(backlog.pop(), None);
        sent.iter().for_each(|item| backlog.stored(item));
        assert_eq!(next_mark(&mut backlog), (6, 0));
        assert_eq!(backlog.pop(), None);
        backlog.stored(&Item::Mark(6, Instant::now()));
        assert_eq!(backlog.pop(), Some(Item::Event(event(7))));
        assert_eq!(backlog.pop(), None);
        backlog.stored(&Item::Event(event(7)));
        assert!(backlog.is_empty());
    }

    #[test]
    fn what_failed_is_sent_again_before_the_mark_behind_it() {
        let (mut backlog, _) = backlog(1_000, [3, 5]);
        backlog.mark(6, Instant::now());
        let [three, five] = [backlog.pop().unwrap(), backlog.pop().unwrap()];
        backlog.unsent(three.clone());
        backlog.stored(&five);
        assert_eq!(backlog.pop(), Some(three.clone()));
        assert_eq!(backlog.pop(), None);
        backlog.stored(&three);
        let sent = backlog.pop().unwrap();
        backlog.unsent(sent.clone());
        assert_eq!(backlog.pop(), Some(sent));
    }

    #[test]
    fn of_several_marks_in_a_row_the_last_goes() {
        let mut backlog = Backlog::new(1_000);
        [1, 2, 3].into_iter().for_each(|number| backlog.mark(number, Instant::now()));
        assert_eq!(next_mark(&mut backlog), (3, 0));
    }

    #[test]
    fn of_what_waits_beyond_the_bound_the_oldest_go_and_marks_say_so() {
        let (mut small, dropped) = backlog(350, 1..=9);
        assert_eq!((dropped, small.len(), small.bytes), (6, 3, 300));
        small.mark(9, Instant::now());
        let sent: Vec<Item> = std::iter::from_fn(|| small.pop()).collect();
        assert_eq!(sent.len(), 3);
        sent.iter().for_each(|item| small.stored(item));
        assert_eq!(next_mark(&mut small), (9, 6));
        let (one, dropped) = backlog(10, [1]);
        assert_eq!((dropped, one.len()), (0, 1));
    }

    #[test]
    fn what_the_stream_refuses_for_good_is_marked_as_lost() {
        let (mut backlog, _) = backlog(1_000, [4]);
        backlog.mark(5, Instant::now());
        assert!(backlog.pop().is_some());
        backlog.refused(event(4));
        assert_eq!(next_mark(&mut backlog), (5, 4));
    }

    #[test]
    fn only_so_many_are_on_their_way_at_once() {
        let (mut backlog, _) = backlog(usize::MAX, 1..=1_000);
        assert_eq!(std::iter::from_fn(|| backlog.pop()).count(), MAX_UNDERWAY);
        backlog.stored(&Item::Event(event(1)));
        assert_eq!((std::iter::from_fn(|| backlog.pop()).count(), backlog.len()), (1, 999));
    }
}
