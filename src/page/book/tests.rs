//! What becomes of pages, told step by step.

mod moving;

use gaung_cluster::page::PageHash;

use super::*;
use crate::protocol::{EventId, EventOrigin, Position};

const SECOND: Duration = Duration::from_secs(1);

/// A book, the time, and what it wants done.
struct Stage {
    book: PageBook,
    start: Instant,
    at: Duration,
    drawn: u64,
}

fn stage() -> Stage {
    stage_with(Rules {
        id_lifetime: SECOND * 3_600,
        doubt: Duration::ZERO,
        max_away: 100,
        max_positions: 1_000,
        max_known: 1_000,
        cluster: None,
    })
}

fn stage_with(rules: Rules) -> Stage {
    let start = Instant::now();
    Stage { book: PageBook::new(rules, start), start, at: Duration::ZERO, drawn: 0 }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).unwrap()
}

fn up_to(number: u64) -> Since {
    Since::Position([EventId { origin: EventOrigin::of_node(1), number }].into_iter().collect::<Position>())
}

fn visit(page: u8, number: u64) -> PageVisit {
    PageVisit { page: PageKey(PageHash([page; 16])), number }
}

impl Stage {
    fn step(&mut self, input: BookInput) -> Vec<BookOutput> {
        let (mut outputs, drawn) = (Vec::new(), &mut self.drawn);
        let mut draw = || {
            *drawn += 1;
            SocketId::from_bits(*drawn)
        };
        self.book.step(input, &mut Turn { now: self.start + self.at, draw: &mut draw, outputs: &mut outputs });
        outputs
    }

    fn arrive(&mut self, page: u8, number: u64) -> Vec<BookOutput> {
        self.step(BookInput::Arrived(visit(page, number)))
    }

    /// With what the next socket of a page begins.
    fn start(&mut self, page: u8, number: u64) -> PageStart {
        match self.arrive(page, number).pop() {
            Some(BookOutput::Start(begun, start)) if begun == number => start,
            other => panic!("{other:?}"),
        }
    }

    fn depart(&mut self, page: u8, number: u64, channels: &[&str]) -> Vec<BookOutput> {
        self.depart_with(page, number, channels, Positions::default(), false)
    }

    fn depart_with(
        &mut self,
        page: u8,
        number: u64,
        channels: &[&str],
        before: Positions,
        gives_up_id: bool,
    ) -> Vec<BookOutput> {
        let (visit, channels) = (visit(page, number), channels.iter().map(|name| channel(name)).collect());
        let app = if page < 100 { "shop" } else { "other" }.into();
        self.step(BookInput::Departed(Departure {
            app,
            visit,
            channels,
            before,
            user: None,
            gives_up_id,
            window: SECOND * 120,
        }))
    }

    fn part(&mut self, page: u8, number: u64, name: &str, proven: u64, written: u64) -> Vec<BookOutput> {
        let heard = Heard { proven: up_to(proven), written: up_to(written) };
        self.step(BookInput::Parted(visit(page, number), channel(name), Some(heard)))
    }

    fn tick(&mut self, later: Duration) -> Vec<BookOutput> {
        self.at += later;
        self.step(BookInput::Tick)
    }
}

fn claim(start: &PageStart, name: &str) -> Option<Since> {
    start.positions.clone().claim(&channel(name))
}

#[test]
fn a_page_that_comes_back_has_its_socket_id_and_hears_its_channels_from_where_it_has_proven_to_have_heard_them() {
    let mut stage = stage();
    let first = stage.start(1, 10);
    assert_eq!(claim(&first, "a"), None);
    assert_eq!(stage.depart(1, 10, &["a", "b"]), []);
    assert_eq!(stage.part(1, 10, "a", 3, 5), []);
    assert_eq!(stage.part(1, 10, "b", 7, 7), [BookOutput::RoomsLeft(10)]);
    let second = stage.start(1, 11);
    assert_eq!((second.socket, second.was), (first.socket, None));
    assert_eq!((claim(&second, "a"), claim(&second, "b"), claim(&second, "c")), (Some(up_to(3)), Some(up_to(7)), None));
}

#[test]
fn a_page_that_proves_to_have_heard_everything_hears_nothing_twice() {
    let mut stage = stage();
    stage.start(1, 10);
    stage.depart(1, 10, &["a"]);
    stage.part(1, 10, "a", 3, 5);
    stage.step(BookInput::Proven(visit(1, 9)));
    stage.step(BookInput::Proven(visit(1, 10)));
    assert_eq!(claim(&stage.start(1, 11), "a"), Some(up_to(5)));
}

#[test]
fn a_newer_socket_begins_when_the_older_one_has_given_back_its_rooms() {
    let mut stage = stage();
    stage.start(1, 10);
    assert_eq!(stage.arrive(1, 11), [BookOutput::Supersede(10)]);
    // A still newer one: the one that waits never begins.
    assert_eq!(stage.arrive(1, 12), [BookOutput::Supersede(11)]);
    stage.depart(1, 10, &["a"]);
    let outputs = stage.part(1, 10, "a", 3, 3);
    assert!(matches!(&outputs[..], [BookOutput::RoomsLeft(10), BookOutput::Start(12, _)]), "{outputs:?}");
    assert_eq!(stage.tick(SECOND), []);
}

#[test]
fn what_rooms_do_not_say_in_time_is_unknown_unless_it_was_known_before() {
    let mut stage = stage();
    let first = stage.start(1, 10);
    stage.depart(1, 10, &["a"]);
    stage.part(1, 10, "a", 3, 3);
    let second = stage.start(1, 11);
    stage.depart_with(1, 11, &["a", "b"], second.positions, false);
    assert_eq!(stage.arrive(1, 12), []);
    assert_eq!(stage.tick(Duration::from_millis(349)), []);
    let outputs = stage.tick(Duration::from_millis(1));
    let [BookOutput::RoomsLeft(11), BookOutput::Start(12, third)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((claim(third, "a"), claim(third, "b")), (Some(up_to(3)), Some(Since::Unknown)));
    assert_eq!(third.socket, first.socket);
}

#[test]
fn a_session_that_does_not_end_keeps_its_socket_id_and_its_page_is_told_that_it_may_miss_something() {
    let mut stage = stage();
    let first = stage.start(1, 10);
    stage.arrive(1, 11);
    let outputs = stage.tick(SECOND);
    let [BookOutput::Start(11, second)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((claim(second, "a"), second.was), (Some(Since::Unknown), Some(first.socket)));
    assert_ne!(second.socket, first.socket);
    // It ends at last, and changes nothing.
    assert_eq!(stage.depart(1, 10, &["a"]), [BookOutput::RoomsLeft(10)]);
    assert_eq!(stage.part(1, 10, "a", 1, 1), []);
}

#[test]
fn channels_that_a_page_had_not_subscribed_to_again_are_still_known_the_next_time() {
    let mut stage = stage();
    stage.start(1, 10);
    stage.depart(1, 10, &["a", "b"]);
    stage.part(1, 10, "a", 1, 1);
    stage.part(1, 10, "b", 2, 2);
    let mut second = stage.start(1, 11);
    // It was cut off when it had asked for one of them, which had not answered yet.
    assert_eq!(second.positions.claim(&channel("a")), Some(up_to(1)));
    assert_eq!(second.positions.claim(&channel("a")), None);
    stage.depart_with(1, 11, &["a"], second.positions, false);
    stage.step(BookInput::Parted(visit(1, 11), channel("a"), None));
    let third = stage.start(1, 12);
    assert_eq!((claim(&third, "a"), claim(&third, "b")), (Some(up_to(1)), Some(up_to(2))));
}

#[test]
fn a_channel_that_a_page_does_not_want_any_more_is_new_to_it_the_next_time() {
    let mut positions = Positions::of([(channel("a"), up_to(1))].into(), None);
    positions.forget(&channel("a"));
    assert_eq!(positions.claim(&channel("a")), None);
    let mut unknown = Positions::unknown();
    unknown.forget(&channel("a"));
    assert_eq!((unknown.claim(&channel("a")), unknown.claim(&channel("b"))), (None, Some(Since::Unknown)));
}

#[test]
fn what_a_page_has_claimed_is_kept_no_longer_and_what_it_has_not_is() {
    let channels = [(channel("a"), up_to(1)), (channel("b"), up_to(2))];
    let mut positions = Positions::of(channels.into(), Some(Since::Unknown));
    positions.claim(&channel("a"));
    positions.let_claimed_go();
    assert_eq!(["a", "b", "c"].map(|name| positions.claim(&channel(name))), [None, Some(up_to(2)), None]);
    positions.let_claimed_go();
    assert_eq!(positions, Positions::default());
}

#[test]
fn a_socket_id_comes_back_for_its_time_only_and_not_where_a_right_was_taken_away() {
    let mut stage = stage();
    let first = stage.start(1, 10);
    stage.at += SECOND * 3_599;
    stage.depart(1, 10, &[]);
    assert_eq!(stage.start(1, 11).socket, first.socket);
    stage.at += SECOND;
    stage.depart(1, 11, &[]);
    let third = stage.start(1, 12);
    assert_eq!((third.was, third.socket == first.socket), (Some(first.socket), false));
    stage.depart_with(1, 12, &[], Positions::default(), true);
    assert_eq!(stage.start(1, 13).was, Some(third.socket));
}

#[test]
fn a_page_that_was_away_too_long_is_told_so_and_after_a_day_it_is_new() {
    for (away, expected) in
        [(119, Some(up_to(3))), (120, Some(Since::Unknown)), (86_399, Some(Since::Unknown)), (86_400, None)]
    {
        let mut stage = stage();
        stage.start(1, 10);
        stage.depart(1, 10, &["a"]);
        stage.part(1, 10, "a", 3, 3);
        stage.tick(SECOND * away);
        assert_eq!(claim(&stage.start(1, 11), "a"), expected, "after {away} s");
    }
}

#[test]
fn of_too_many_pages_the_oldest_lose_what_they_had_and_then_their_names() {
    let mut stage = stage_with(Rules {
        id_lifetime: SECOND,
        doubt: Duration::ZERO,
        max_away: 2,
        max_positions: 1_000,
        max_known: 3,
        cluster: None,
    });
    let evicted = [1, 2, 3, 4].map(|page| {
        stage.start(page, u64::from(page));
        stage.depart(page, u64::from(page), &["a"]);
        let outputs = stage.part(page, u64::from(page), "a", 3, 3);
        stage.at += SECOND;
        outputs.iter().filter(|output| **output == BookOutput::CountEvicted).count()
    });
    assert_eq!(evicted, [0, 0, 1, 2]);
    assert_eq!(stage.book.counts(), [0, 2, 1]);
    let claims: Vec<_> = (1..=4).map(|page| claim(&stage.start(page, 10 + u64::from(page)), "a")).collect();
    assert_eq!(claims, [None, Some(Since::Unknown), Some(up_to(3)), Some(up_to(3))]);
    assert_eq!(stage.book.counts(), [4, 0, 0]);
}

#[test]
fn an_app_with_very_many_pages_pushes_out_none_of_another_one() {
    let mut stage = stage_with(Rules {
        id_lifetime: SECOND,
        doubt: Duration::ZERO,
        max_away: 3,
        max_positions: 1_000,
        max_known: 4,
        cluster: None,
    });
    // The first is of an app of its own, and the oldest.
    for page in [100, 1, 2, 3, 4, 5, 6] {
        stage.start(page, u64::from(page));
        stage.depart(page, u64::from(page), &["a"]);
        stage.part(page, u64::from(page), "a", 3, 3);
        stage.at += SECOND;
    }
    assert_eq!(stage.book.counts(), [0, 3, 1]);
    let claims = [100, 3, 4, 5, 6].map(|page| claim(&stage.start(page, 200 + u64::from(page)), "a"));
    assert_eq!(claims, [Some(up_to(3)), None, Some(Since::Unknown), Some(up_to(3)), Some(up_to(3))]);
}

#[test]
fn a_page_that_is_older_than_the_node_is_told_that_it_may_have_missed_something() {
    let rules = Rules {
        id_lifetime: SECOND,
        doubt: SECOND * 60,
        max_away: 2,
        max_positions: 1_000,
        max_known: 3,
        cluster: None,
    };
    let mut stage = stage_with(rules);
    stage.at = SECOND * 59;
    assert_eq!(claim(&stage.start(1, 10), "a"), Some(Since::Unknown));
    stage.at = SECOND * 60;
    assert_eq!(claim(&stage.start(2, 11), "a"), None);
}

#[test]
fn positions_of_all_pages_together_are_bounded_and_those_of_one_too() {
    let mut stage = stage();
    stage.book.rules.max_positions = 3;
    for page in 1..=2 {
        stage.start(page, u64::from(page));
        stage.depart(page, u64::from(page), &["a", "b"]);
        stage.part(page, u64::from(page), "a", 3, 3);
        stage.part(page, u64::from(page), "b", 3, 3);
        stage.at += SECOND;
    }
    assert_eq!(stage.book.counts(), [0, 1, 1]);
    assert_eq!(claim(&stage.start(1, 11), "a"), Some(Since::Unknown));
    let second = stage.start(2, 12);
    assert_eq!(claim(&second, "a"), Some(up_to(3)));
    assert_eq!(stage.book.with_positions.positions(), 0);
    // A page that is cut off again and again, with ever-new channels that never answer.
    let many = (0..=1_000).map(|number| (channel(&format!("c{number}")), up_to(1))).collect();
    stage.depart_with(2, 12, &[], Positions::of(many, None), false);
    assert_eq!(claim(&stage.start(2, 13), "c7"), Some(Since::Unknown));
}
