//! What a history keeps, and how it knows what it lost.

mod merging;

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::{shared::EventNumbers, *};
use crate::{
    event::{Event, Words},
    protocol::{ChannelName, Since},
};

const SECOND: Duration = Duration::from_secs(1);

/// A history, the moments of its events, and two nodes that send them.
struct Story {
    history: History,
    budget: HistoryBudget,
    start: Instant,
}

fn story(seconds: u64, events: usize, bytes: usize) -> Story {
    let budget = HistoryBudget::new(bytes);
    let window = HistoryWindow { time: SECOND * seconds as u32, events };
    Story { history: History::new(window, budget.clone()), budget, start: Instant::now() }
}

fn origin(node: u64) -> EventOrigin {
    EventOrigin::of_node(node)
}

fn id(node: u64, number: u64) -> EventId {
    EventId { origin: origin(node), number }
}

fn event(name: &str) -> EncodedEvent {
    let channel = ChannelName::parse("products.7", 200).unwrap();
    Event::from_back_end(channel, Words::new(name, "{}"), None, (Instant::now(), Duration::ZERO)).encode()
}

impl Story {
    fn hear(&mut self, node: u64, number: u64, predecessor: u64, seconds: u32) {
        let numbered = Numbered { id: id(node, number), predecessor: Some(predecessor) };
        self.history.keep(event(&format!("{node}-{number}")), numbered, self.start + SECOND * seconds);
    }

    fn since(&self, position: &[(u64, u64)]) -> (Vec<String>, Completeness) {
        let position = position.iter().map(|(node, number)| id(*node, *number)).collect();
        let missed = self.history.after(&position);
        let names = missed.events.iter().map(|event| event.words().unwrap().name.clone());
        (names.collect(), missed.completeness)
    }

    fn check(&self, position: &[(u64, u64)], names: &[&str], completeness: Completeness) {
        let (found, complete) = self.since(position);
        assert_eq!((found, complete), (names.iter().map(ToString::to_string).collect(), completeness), "{position:?}");
    }
}

const WHOLE: Completeness = Completeness::Whole;
const WINDOW: Completeness = Completeness::Partial(Cause::Window);
const OPENED: Completeness = Completeness::Partial(Cause::Opened);

#[test]
fn what_came_after_a_position_is_missed_in_the_order_in_which_it_came() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 4));
    story.hear(1, 5, 4, 0);
    story.hear(2, 9, 0, 0);
    story.hear(1, 8, 5, 0);
    story.check(&[(1, 4)], &["1-5", "2-9", "1-8"], WHOLE);
    story.check(&[(1, 5)], &["2-9", "1-8"], WHOLE);
    story.check(&[(1, 5), (2, 9)], &["1-8"], WHOLE);
    story.check(&[(1, 8), (2, 9)], &[], WHOLE);
    assert_eq!(story.history.position(), [id(1, 8), id(2, 9)].into_iter().collect());
}

#[test]
fn a_position_before_the_history_began_is_not_whole() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 4));
    story.check(&[(1, 3)], &[], OPENED);
    story.check(&[], &[], OPENED);
    story.check(&[(1, 4)], &[], WHOLE);
}

#[test]
fn a_node_of_which_nothing_is_known_is_not_taken_for_silent() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.check(&[(1, 0), (9, 1)], &[], Completeness::Partial(Cause::NodeLost));
}

#[test]
fn an_origin_that_began_after_the_position_is_replayed_whole() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.hear(2, 3, 0, 0);
    story.check(&[(1, 0)], &["2-3"], WHOLE);
    story.hear(3, 8, 5, 0);
    story.check(&[(1, 0)], &["2-3", "3-8"], OPENED);
    story.check(&[(1, 0), (3, 5)], &["2-3", "3-8"], WHOLE);
}

#[test]
fn a_predecessor_that_was_not_heard_is_lost() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.hear(1, 1, 0, 0);
    story.hear(1, 7, 4, 0);
    story.check(&[(1, 1)], &["1-7"], Completeness::Partial(Cause::NodeLost));
    story.check(&[(1, 4)], &["1-7"], WHOLE);
}

#[test]
fn what_was_lost_at_the_end_is_not_taken_for_silence() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.hear(1, 1, 0, 0);
    story.history.lose(id(1, 2));
    story.check(&[(1, 1)], &[], Completeness::Partial(Cause::NodeLost));
    story.check(&[(1, 2)], &[], WHOLE);
}

#[test]
fn a_clients_event_is_part_of_the_chain_and_not_kept() {
    let mut story = story(60, 10, 1 << 20);
    story.history.begin(id(1, 0));
    story.history.pass_over(Numbered { id: id(1, 1), predecessor: Some(0) });
    story.hear(1, 2, 1, 0);
    story.check(&[(1, 0)], &["1-2"], WHOLE);
}

#[test]
fn more_events_than_the_window_has_let_the_oldest_go() {
    let mut story = story(60, 2, 1 << 20);
    story.history.begin(id(1, 0));
    (1..=3).for_each(|number| story.hear(1, number, number - 1, 0));
    story.check(&[(1, 0)], &["1-2", "1-3"], WINDOW);
    story.check(&[(1, 1)], &["1-2", "1-3"], WHOLE);
}

#[test]
fn events_go_when_their_time_is_over_and_the_room_is_woken_once_for_the_oldest() {
    let mut story = story(10, 9, 1 << 20);
    story.history.begin(id(1, 0));
    story.hear(1, 1, 0, 0);
    story.hear(1, 2, 1, 5);
    assert_eq!(story.history.watch(story.start + SECOND * 6), Some(SECOND * 4));
    assert_eq!(story.history.watch(story.start + SECOND * 6), None);
    story.history.woke(story.start + SECOND * 10);
    story.check(&[(1, 0)], &["1-2"], WINDOW);
    assert_eq!(story.history.watch(story.start + SECOND * 10), Some(SECOND * 5));
    story.history.woke(story.start + SECOND * 15);
    assert!(story.history.is_idle());
    assert_eq!(story.history.watch(story.start + SECOND * 15), None);
}

#[test]
fn the_room_of_a_subscriber_that_left_lives_on_for_the_window() {
    let mut story = story(10, 9, 1 << 20);
    story.history.await_return(story.start);
    assert!(!story.history.is_idle());
    assert_eq!(story.history.watch(story.start), Some(SECOND * 10));
    story.history.woke(story.start + SECOND * 10);
    assert!(story.history.is_idle());
}

#[test]
fn a_window_that_shrinks_lets_events_go_at_once() {
    let mut story = story(60, 9, 1 << 20);
    story.history.begin(id(1, 0));
    (1..=3).for_each(|number| story.hear(1, number, number - 1, number as u32));
    story.history.set_window(HistoryWindow { time: SECOND * 60, events: 1 }, story.start);
    story.check(&[(1, 2)], &["1-3"], WHOLE);
}

#[test]
fn the_nodes_budget_lets_events_go_early_and_comes_back() {
    let size = event("1-1").bytes() + OVERHEAD;
    let mut story = story(60, 9, size * 2);
    story.history.begin(id(1, 0));
    let keep = |story: &mut Story, number| {
        let numbered = Numbered { id: id(1, number), predecessor: Some(number - 1) };
        story.history.keep(event(&format!("1-{number}")), numbered, story.start)
    };
    assert_eq!([1, 2, 3].map(|number| keep(&mut story, number)), [0, 0, 1]);
    assert_eq!(story.budget.used(), size * 2);
    story.check(&[(1, 0)], &["1-2", "1-3"], Completeness::Partial(Cause::Memory));
    let budget = story.budget.clone();
    drop(story);
    assert_eq!(budget.used(), 0);
}

#[test]
fn positions_stay_short_however_many_nodes_come_and_go() {
    let mut story = story(60, 3, 1 << 20);
    for node in 0..200 {
        story.hear(node, 1, 0, 0);
    }
    assert_eq!(story.history.position().events().count(), MAX_ORIGINS);
    story.check(&[(0, 1)], &["197-1", "198-1", "199-1"], Completeness::Partial(Cause::NodeLost));
}

#[test]
fn a_node_that_is_alone_numbers_its_events() {
    let numbers = EventNumbers::new(origin(1));
    assert_eq!(numbers.last(), id(1, 0));
    assert_eq!([numbers.next(), numbers.next(), numbers.last()], [id(1, 1), id(1, 2), id(1, 2)]);
}

#[test]
fn what_one_app_keeps_is_bounded_too_and_counted() {
    let used = Arc::new(AtomicUsize::new(0));
    let mut story = story(60, 100, 1 << 20);
    story.history = History::new(HistoryWindow { time: SECOND * 60, events: 100 }, story.budget.of_app(&used));
    story.hear(1, 1, 0, 0);
    let one = used.load(Relaxed);
    assert_eq!((one > 0, story.budget.used()), (true, one));
    story.history.set_app_limit(2 * one);
    for number in 2..=5 {
        story.hear(1, number, number - 1, 0);
    }
    assert_eq!((used.load(Relaxed), story.budget.used()), (2 * one, 2 * one));
    story.check(&[(1, 3)], &["1-4", "1-5"], WHOLE);
    story.check(&[(1, 2)], &["1-4", "1-5"], Completeness::Partial(Cause::Memory));
    drop(story.history);
    assert_eq!(used.load(Relaxed), 0);
}

#[test]
fn a_moment_is_a_position_if_everything_from_after_it_is_kept() {
    let mut story = story(60, 3, 1 << 20);
    let start = story.start;
    let since = |story: &Story, seconds: u32| match story.history.since(start + SECOND * seconds) {
        Since::Position(position) => Some(position.number_of(origin(1)).unwrap()),
        Since::Moment(_) | Since::Unknown => None,
    };
    assert_eq!(since(&story, 1), None, "nobody said when it began");
    story.history.begin_at(start);
    story.history.begin(id(1, 0));
    (1..=3).for_each(|number| story.hear(1, u64::from(number), u64::from(number) - 1, number));
    assert_eq!([0, 1, 2, 4].map(|seconds| since(&story, seconds)), [None, Some(0), Some(1), Some(3)]);
    story.hear(1, 4, 3, 4);
    assert_eq!([1, 2, 5].map(|seconds| since(&story, seconds)), [None, Some(1), Some(4)], "the first has gone");
    story.history.lose(id(1, 6));
    assert_eq!(since(&story, 5), None, "something was lost, nobody knows when it came");
}
