//! What is proven of a page, by when it was asked and when events were written.

use std::{iter, time::Duration};

use super::*;
use crate::{
    config::HistoryWindow,
    event::{Event, Numbered, Words},
    protocol::{ChannelName, EventOrigin},
    room::history::HistoryBudget,
};

const A: SocketId = SocketId::from_bits(1);

fn id(number: u64) -> EventId {
    EventId { origin: EventOrigin::of_node(1), number }
}

fn up_to(number: u64) -> Position {
    [id(number)].into_iter().collect()
}

/// A history that begins after event 0, and the seconds since.
struct Stage {
    history: History,
    slots: PageSlots,
    start: Instant,
}

fn stage(events: usize) -> Stage {
    let window = HistoryWindow { time: Duration::from_secs(60), events };
    let mut history = History::new(window, HistoryBudget::new(1 << 20));
    history.begin(id(0));
    Stage { history, slots: PageSlots::default(), start: Instant::now() }
}

impl Stage {
    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn publish(&mut self, number: u64, second: u64) {
        let channel = ChannelName::parse("products.1", 200).unwrap();
        let moment = (self.start, Duration::from_secs(1_000));
        let event = Event::from_back_end(channel, Words::new("e", "{}"), None, moment).encode();
        self.history.keep(event, Numbered { id: id(number), predecessor: None }, self.at(second));
    }

    fn part(&mut self, proven: Option<u64>) -> (Since, Since) {
        let proven = proven.map(|second| self.at(second));
        let Heard { proven, written } = self.slots.part(A, proven, &self.history, |_| false).unwrap();
        (proven, written)
    }
}

#[test]
fn a_page_has_proven_to_have_heard_what_was_written_before_it_was_asked() {
    for (proven, expected) in [(None, 0), (Some(0), 0), (Some(3), 1), (Some(4), 2), (Some(9), 2)] {
        let mut stage = stage(10);
        stage.slots.insert(A, None, up_to(0));
        stage.slots.answered(stage.at(1));
        stage.publish(1, 1);
        stage.publish(2, 1);
        stage.history.written(iter::once(id(1)), stage.at(2));
        stage.history.written(iter::once(id(2)), stage.at(4));
        stage.publish(3, 5);
        let (proven_position, written) = stage.part(proven);
        assert_eq!(proven_position, Since::Position(up_to(expected)), "asked at {proven:?}");
        // The last event waits for all.
        assert_eq!(written, Since::Position(up_to(2)));
    }
}

#[test]
fn what_was_replayed_is_not_proven_before_the_answer_is() {
    for (proven, expected) in [(2, 0), (3, 2)] {
        let mut stage = stage(10);
        stage.publish(1, 0);
        stage.publish(2, 0);
        stage.history.written(iter::once(id(2)), stage.at(1));
        stage.slots.insert(A, Some(Since::Position(up_to(0))), up_to(2));
        stage.slots.answered(stage.at(3));
        assert_eq!(stage.part(Some(proven)).0, Since::Position(up_to(expected)), "asked at {proven}");
    }
}

#[test]
fn who_was_told_that_something_may_be_missing_is_told_again_until_it_has_heard_so() {
    for (proven, expected) in [(2, Since::Unknown), (3, Since::Position(up_to(0)))] {
        let mut stage = stage(10);
        stage.slots.insert(A, Some(Since::Unknown), up_to(0));
        stage.slots.answered(stage.at(3));
        assert_eq!(stage.part(Some(proven)).0, expected);
    }
}

#[test]
fn events_that_the_history_has_let_go_are_proven_too_if_they_were_written_in_time() {
    for (written, expected) in [(2, 4), (6, 0)] {
        let mut stage = stage(1);
        stage.slots.insert(A, None, up_to(0));
        stage.slots.answered(stage.at(1));
        for number in 1..=4 {
            stage.publish(number, 1);
            stage.history.written(iter::once(id(number)), stage.at(written));
        }
        assert_eq!(stage.part(Some(5)).0, Since::Position(up_to(expected)), "written at {written}");
    }
}

#[test]
fn what_was_lost_on_the_way_is_not_proven() {
    let mut stage = stage(10);
    stage.slots.insert(A, None, up_to(0));
    stage.slots.answered(stage.at(1));
    stage.publish(1, 1);
    stage.history.written(iter::once(id(1)), stage.at(1));
    stage.history.lose(id(5));
    assert_eq!(stage.part(Some(9)).0, Since::Position(up_to(1)));
}

#[test]
fn an_event_that_only_some_were_written_counts_for_those_who_were() {
    let mut stage = stage(10);
    stage.slots.insert(A, None, up_to(0));
    stage.slots.answered(stage.at(1));
    stage.publish(1, 1);
    let heard = stage.slots.part(A, None, &stage.history, |event| event == id(1)).unwrap();
    assert_eq!((heard.proven, heard.written), (Since::Position(up_to(0)), Since::Position(up_to(1))));
}
