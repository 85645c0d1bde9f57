//! Pages that come to one node from another.

use gaung_cluster::page::Standing;

use super::*;
use crate::page::messages::Finding;

fn clustered() -> Stage {
    let cluster = Some(ClusterRules { owes_after: SECOND * 5 });
    stage_with(Rules {
        id_lifetime: SECOND * 3_600,
        doubt: SECOND * 60,
        max_away: 100,
        max_positions: 1_000,
        max_known: 1_000,
        cluster,
    })
}

fn key(page: u8) -> PageKey {
    visit(page, 0).page
}

fn handed(keeps_id: bool) -> HandedPage {
    HandedPage {
        socket: SocketId::from_bits(77),
        keeps_id,
        given_for: SECOND * 60,
        user: Some("ada".to_owned()),
        positions: Positions::of([(channel("a"), up_to(3))].into(), None),
    }
}

fn shared(page: u8, change: PageChange) -> BookOutput {
    BookOutput::Share(key(page), change)
}

impl Stage {
    /// A page comes that nobody had before.
    fn welcome(&mut self, page: u8, number: u64) -> PageStart {
        assert_eq!(self.arrive(page, number), [BookOutput::Seek(key(page))]);
        self.found(page, number, Finding::Nothing { known_for: SECOND * 60 })
    }

    fn found(&mut self, page: u8, number: u64, finding: Finding) -> PageStart {
        let mut outputs = self.step(BookInput::Found(key(page), finding));
        match outputs.pop() {
            Some(BookOutput::Start(begun, start)) if begun == number => {
                // What it missed before it has not proven to have heard.
                let owing = (!start.positions.is_empty()).then(|| shared(page, PageChange::Stands(Standing::Owing)));
                let expected: Vec<_> = [shared(page, PageChange::Came)].into_iter().chain(owing).collect();
                assert_eq!(outputs, expected);
                start
            }
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, page: u8, question: u64) -> Vec<BookOutput> {
        self.step(BookInput::Asked(key(page), question))
    }
}

#[test]
fn a_page_that_no_node_had_is_new_once_those_who_know_none_are_old_enough() {
    let mut stage = clustered();
    assert_eq!(claim(&stage.welcome(1, 10), "a"), None);
    stage.arrive(2, 11);
    let start = stage.found(2, 11, Finding::Nothing { known_for: SECOND * 59 });
    assert_eq!(claim(&start, "a"), Some(Since::Unknown));
}

#[test]
fn a_page_that_its_node_hands_over_has_what_it_had_there() {
    let mut stage = clustered();
    stage.arrive(1, 10);
    stage.at += SECOND * 100;
    let start = stage.found(1, 10, Finding::Handed(handed(true)));
    assert_eq!((start.socket, start.was, start.user.as_deref()), (SocketId::from_bits(77), None, Some("ada")));
    assert_eq!(start.given, stage.start + SECOND * 40);
    assert_eq!((claim(&start, "a"), claim(&start, "b")), (Some(up_to(3)), None));
}

#[test]
fn a_page_that_gave_up_its_socket_id_or_had_it_for_too_long_is_given_another() {
    let old = HandedPage { given_for: SECOND * 3_600, ..handed(true) };
    for page in [handed(false), old] {
        let mut stage = clustered();
        stage.at += SECOND * 10_000;
        stage.arrive(1, 10);
        let start = stage.found(1, 10, Finding::Handed(page));
        assert_eq!((start.socket, start.was), (SocketId::from_bits(1), Some(SocketId::from_bits(77))));
        assert_eq!(claim(&start, "a"), Some(up_to(3)));
    }
}

#[test]
fn a_page_whose_node_is_gone_hears_all_channels_from_one_moment_on() {
    let mut stage = clustered();
    stage.arrive(1, 10);
    let moment = Since::Moment(stage.start);
    let start = stage.found(1, 10, Finding::Lost(moment.clone()));
    assert_eq!((claim(&start, "a"), claim(&start, "b")), (Some(moment.clone()), Some(moment)));
}

#[test]
fn of_two_sockets_of_a_page_that_is_sought_the_newer_begins() {
    let mut stage = clustered();
    stage.arrive(1, 10);
    assert_eq!(stage.arrive(1, 11), [BookOutput::Supersede(10)]);
    assert_eq!(claim(&stage.found(1, 11, Finding::Handed(handed(true))), "a"), Some(up_to(3)));
    assert_eq!(stage.step(BookInput::Found(key(1), Finding::Handed(handed(true)))), []);
}

#[test]
fn another_node_is_given_a_page_that_is_away_and_it_is_known_here_no_longer() {
    let mut stage = clustered();
    let start = stage.welcome(1, 10);
    stage.depart(1, 10, &["a"]);
    stage.part(1, 10, "a", 3, 5);
    stage.at += SECOND;
    let page = HandedPage {
        socket: start.socket,
        keeps_id: true,
        given_for: SECOND,
        user: None,
        positions: Positions::of([(channel("a"), up_to(3))].into(), None),
    };
    // Until the other has said that it has the page nobody is to believe that it is new.
    let held = shared(1, PageChange::Stands(Standing::Owing));
    assert_eq!(stage.ask(1, 5), [BookOutput::HandOver(5, page), held]);
    assert_eq!(stage.ask(1, 6), [BookOutput::Decline(6)]);
    assert_eq!((stage.book.counts(), stage.tick(SECOND * 9)), ([0; 3], vec![]));
    assert_eq!(stage.tick(SECOND), [shared(1, PageChange::Gone)]);
    assert_eq!(stage.tick(SECOND * 100_000), []);
}

#[test]
fn a_page_that_was_handed_over_and_is_back_is_not_withdrawn() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    stage.depart(1, 10, &[]);
    stage.ask(1, 5);
    stage.arrive(1, 11);
    stage.found(1, 11, Finding::Handed(handed(true)));
    assert_eq!(stage.tick(SECOND * 20), []);
}

#[test]
fn another_node_that_asks_for_a_page_ends_its_session_here_and_waits_for_its_rooms() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    assert_eq!(stage.ask(1, 5), [BookOutput::Supersede(10)]);
    assert_eq!(stage.depart(1, 10, &["a", "b"]), []);
    assert_eq!(stage.part(1, 10, "a", 3, 5), []);
    // A room that does not answer in time is unknown.
    let outputs = stage.tick(PATIENCE);
    let [BookOutput::RoomsLeft(10), BookOutput::HandOver(5, page), BookOutput::Share(..)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    let expected = [(channel("a"), up_to(3)), (channel("b"), Since::Unknown)];
    assert_eq!((page.positions.channels.clone(), page.keeps_id), (expected.into(), true));
}

#[test]
fn a_session_that_does_not_end_in_time_keeps_its_socket_id_and_tells_nothing() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    stage.ask(1, 5);
    let outputs = stage.tick(PATIENCE);
    let [BookOutput::HandOver(5, page), BookOutput::Share(..)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((page.keeps_id, &page.positions.others), (false, &Some(Since::Unknown)));
    assert_eq!(stage.depart(1, 10, &["a"]), [BookOutput::RoomsLeft(10)]);
}

#[test]
fn who_comes_last_is_given_the_page_whether_here_or_on_another_node() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    assert_eq!(stage.ask(1, 5), [BookOutput::Supersede(10)]);
    assert_eq!(stage.arrive(1, 11), [BookOutput::Decline(5)]);
    assert_eq!(stage.ask(1, 6), [BookOutput::Supersede(11)]);
    assert_eq!(stage.ask(1, 7), [BookOutput::Decline(6)]);
    let outputs = stage.depart(1, 10, &[]);
    assert!(matches!(outputs[..], [BookOutput::RoomsLeft(10), BookOutput::HandOver(7, _), _]), "{outputs:?}");
}

#[test]
fn a_page_that_comes_back_to_its_own_node_claims_it_anew() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    stage.depart(1, 10, &[]);
    let outputs = stage.arrive(1, 11);
    let [claimed, BookOutput::Start(11, _)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(*claimed, shared(1, PageChange::Came));
}

#[test]
fn a_page_that_another_node_has_since_later_ends_here() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    stage.welcome(2, 20);
    stage.depart(2, 20, &[]);
    let taken = |stage: &mut Stage, page, number| stage.step(BookInput::Taken(visit(page, number)));
    assert_eq!(taken(&mut stage, 1, 9), [], "an earlier visit");
    assert_eq!(taken(&mut stage, 1, 10), [BookOutput::Supersede(10), shared(1, PageChange::Gone)]);
    assert_eq!(taken(&mut stage, 2, 20), [shared(2, PageChange::Gone)]);
    assert_eq!((stage.book.counts(), stage.depart(1, 10, &["a"])), ([0; 3], vec![BookOutput::RoomsLeft(10)]));
}

#[test]
fn the_other_nodes_know_of_pages_that_owe_a_receipt_or_went_long_ago() {
    let mut stage = clustered();
    stage.welcome(1, 10);
    stage.welcome(2, 20);
    for standing in [Standing::Owing, Standing::UpToDate] {
        let outputs = stage.step(BookInput::Stands(visit(1, 10), standing));
        assert_eq!(outputs, [shared(1, PageChange::Stands(standing))]);
    }
    [(1, 10), (2, 20)].into_iter().for_each(|(page, number)| drop(stage.depart(page, number, &[])));
    assert_eq!(stage.step(BookInput::Stands(visit(1, 10), Standing::Owing)), []);
    stage.arrive(2, 21);
    assert_eq!(stage.tick(SECOND * 4), []);
    assert_eq!(stage.tick(SECOND), [shared(1, PageChange::Stands(Standing::Owing))]);
    assert_eq!(stage.tick(SECOND * 100_000), [shared(1, PageChange::Gone)]);
}

/// What a node leaves when it ends.
fn left(outputs: Vec<BookOutput>) -> Vec<LeftPage> {
    let page = |output| match output {
        BookOutput::Leave(page) => page,
        other => panic!("{other:?}"),
    };
    outputs.into_iter().map(page).collect()
}

#[test]
fn pages_that_are_away_when_their_node_ends_are_kept_by_another_with_what_they_had() {
    let (mut ending, mut staying) = (clustered(), clustered());
    let first = ending.welcome(1, 10);
    ending.welcome(2, 11);
    ending.depart(1, 10, &["a"]);
    ending.part(1, 10, "a", 3, 5);
    ending.at += SECOND * 50;
    // Who is still here comes back by itself.
    let pages = left(ending.step(BookInput::End));
    let [LeftPage { key: left_key, kept_for, known_for, .. }] = &pages[..] else { panic!("{pages:?}") };
    assert_eq!((*left_key, *kept_for, *known_for), (key(1), SECOND * 70, SECOND * 86_350));
    assert_eq!(ending.ask(1, 7), [BookOutput::Decline(7)]);
    staying.at += SECOND * 100;
    let owing = shared(1, PageChange::Stands(Standing::Owing));
    assert_eq!(staying.step(BookInput::Left(90, pages[0].clone())), [shared(1, PageChange::Came), owing]);
    assert_eq!(staying.book.counts(), [0, 1, 0]);
    let mut outputs = staying.arrive(1, 91);
    let Some(BookOutput::Start(91, second)) = outputs.pop() else { panic!("{outputs:?}") };
    assert_eq!((second.socket, second.was, claim(&second, "a")), (first.socket, None, Some(up_to(3))));
}

#[test]
fn a_page_that_is_left_here_is_known_for_no_longer_than_it_was_there() {
    let mut ending = clustered();
    ending.welcome(1, 10);
    ending.depart(1, 10, &["a"]);
    ending.part(1, 10, "a", 3, 3);
    ending.at += SECOND * 50;
    let page = left(ending.step(BookInput::End)).remove(0);
    for (away, expected) in [(69, Some(up_to(3))), (70, Some(Since::Unknown)), (86_349, Some(Since::Unknown))] {
        let mut staying = clustered();
        staying.step(BookInput::Left(90, page.clone()));
        staying.tick(SECOND * away);
        let mut outputs = staying.arrive(1, 91);
        let Some(BookOutput::Start(91, start)) = outputs.pop() else { panic!("{outputs:?}") };
        assert_eq!(claim(&start, "a"), expected, "after {away} s");
    }
    let mut staying = clustered();
    staying.step(BookInput::Left(90, page));
    assert_eq!(staying.tick(SECOND * 86_350), [shared(1, PageChange::Gone)]);
}

#[test]
fn a_page_that_came_here_before_it_was_left_here_is_as_it_is() {
    let page = |page| LeftPage {
        key: key(page),
        app: "shop".into(),
        kept_for: SECOND * 60,
        known_for: SECOND * 60,
        page: handed(true),
    };
    let mut stage = clustered();
    stage.at += SECOND * 100;
    stage.welcome(1, 10);
    assert_eq!(stage.step(BookInput::Left(90, page(1))), []);
    // One that is being looked for meanwhile is found here.
    stage.arrive(2, 11);
    stage.step(BookInput::Left(91, page(2)));
    let start = stage.found(2, 11, Finding::Nothing { known_for: Duration::ZERO });
    assert_eq!((start.socket, claim(&start, "a")), (SocketId::from_bits(77), Some(up_to(3))));
}
