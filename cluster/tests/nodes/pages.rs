//! Which node has which page, as two nodes tell one another.

use std::time::Duration;

use gaung_cluster::{
    Subject,
    codec::{decode, encode},
    core::{Core, Input, Output, Settings},
    detector::Inbound,
    frame::{Body, Frame, Unnumbered},
    page::{LastSeen, PageChange, PageHash, PageWhere, Standing},
};

use crate::{
    event,
    pair::{A, B, Pair, id, member, room},
};

fn hash(number: u32) -> PageHash {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    PageHash(bytes)
}

fn share(number: u32) -> Input {
    Input::Page(hash(number), PageChange::Came)
}

fn withdraw(number: u32) -> Input {
    Input::Page(hash(number), PageChange::Gone)
}

/// The node that has a page, as `slot` sees it.
fn home(pair: &Pair, slot: usize, number: u32) -> Option<usize> {
    match pair.nodes[slot].page(hash(number)) {
        PageWhere::On(node, _) => [A, B].into_iter().find(|slot| id(*slot) == node),
        PageWhere::Unknown | PageWhere::Lost(_) => None,
    }
}

fn lost(pair: &Pair, number: u32) -> Option<LastSeen> {
    match pair.nodes[A].page(hash(number)) {
        PageWhere::Lost(seen) => Some(seen),
        PageWhere::Unknown | PageWhere::On(..) => None,
    }
}

#[test]
fn a_page_is_known_everywhere_within_a_tick_and_until_it_is_withdrawn() {
    let mut pair = Pair::acquainted();
    pair.step(B, share(7));
    assert_eq!((home(&pair, A, 7), home(&pair, B, 7)), (None, Some(B)));
    pair.pass(50);
    assert_eq!((home(&pair, A, 7), home(&pair, A, 8)), (Some(B), None));
    pair.step(B, Input::Page(hash(7), PageChange::Stands(Standing::Owing)));
    pair.pass(50);
    let PageWhere::On(_, seen) = pair.nodes[A].page(hash(7)) else { panic!("it is on B") };
    assert_eq!(seen.standing, Standing::Owing);
    pair.step(B, withdraw(7));
    pair.pass(50);
    assert_eq!((home(&pair, A, 7), home(&pair, B, 7)), (None, None));
}

#[test]
fn pages_that_come_and_go_together_take_one_frame() {
    let mut pair = Pair::acquainted();
    let before = pair.nodes[B].published();
    (0..300).for_each(|number| pair.step(B, share(number)));
    (0..100).for_each(|number| pair.step(B, withdraw(number)));
    pair.pass(50);
    assert_eq!(pair.nodes[B].published() - before, 1);
    assert_eq!((home(&pair, A, 99), home(&pair, A, 100), home(&pair, A, 299)), (None, Some(B), Some(B)));
}

#[test]
fn the_newer_claim_wins_and_the_older_node_is_told() {
    let mut pair = Pair::acquainted();
    pair.step(B, share(7));
    pair.pass(1_000);
    pair.behind = 3_000;
    pair.step(A, share(7));
    assert_eq!((home(&pair, A, 7), home(&pair, B, 7)), (Some(A), Some(B)));
    pair.pass(50);
    assert_eq!(pair.outputs, [(B, Output::PageTaken(hash(7)))]);
    assert_eq!((home(&pair, A, 7), home(&pair, B, 7)), (Some(A), Some(A)));
}

#[test]
fn a_page_that_comes_back_to_a_node_which_had_it_is_there_and_not_where_it_was_meanwhile() {
    let mut pair = Pair::acquainted();
    pair.step(B, share(7));
    pair.is_cut = true;
    pair.step(A, share(7));
    pair.pass(100);
    pair.step(B, share(7));
    pair.is_cut = false;
    pair.pass(5_000);
    assert_eq!((home(&pair, A, 7), home(&pair, B, 7)), (Some(B), Some(B)));
    assert!(pair.wanted(A, &Output::PageTaken(hash(7))) && !pair.wanted(B, &Output::PageTaken(hash(7))));
}

#[test]
fn what_was_missed_of_the_claims_is_found_by_their_hash() {
    let mut pair = Pair::acquainted();
    let node = &mut pair.nodes[B];
    let moment = gaung_cluster::core::Moment { up: Duration::from_millis(4_000), wall: Duration::from_millis(4_000) };
    (0..2_000).for_each(|number| drop(node.step(share(number), moment)));
    pair.is_cut = true;
    pair.pass(200);
    pair.is_cut = false;
    pair.pass(3_000);
    assert!((0..2_000).all(|number| home(&pair, A, number) == Some(B)));
}

#[test]
fn a_node_that_starts_learns_all_pages_before_it_is_ready() {
    let mut pair = Pair::strangers();
    pair.step(B, Input::Connected);
    (0..2_000).for_each(|number| pair.step(B, share(number)));
    pair.pass(4_000);
    pair.step(A, Input::Connected);
    while pair.nodes[A].readiness() == gaung_cluster::frame::Readiness::Learning {
        pair.pass(50);
    }
    assert!((0..2_000).all(|number| home(&pair, A, number) == Some(B)));
}

#[test]
fn the_pages_of_a_dead_node_are_lost_for_ten_minutes_with_its_last_sign_of_life() {
    let mut pair = Pair::acquainted();
    pair.step(B, share(7));
    pair.pass(1_000);
    pair.pass_for(&[A], 4_000);
    assert_eq!(home(&pair, A, 7), Some(B));
    pair.pass_for(&[A], 3_000);
    let seen = lost(&pair, 7).unwrap();
    assert_eq!(seen.standing, Standing::UpToDate);
    assert!((7_000..=8_000).contains(&seen.silent_for.as_millis()), "{seen:?}");
    // The peer itself is forgotten after two minutes.
    pair.pass_for(&[A], 590_000);
    assert_eq!(pair.nodes[A].peers().count(), 0);
    let silent = lost(&pair, 7).unwrap().silent_for;
    assert_eq!(silent - seen.silent_for, Duration::from_secs(590));
    pair.pass_for(&[A], 5_000);
    assert_eq!(lost(&pair, 7), None);
}

#[test]
fn a_node_that_was_not_heard_for_a_moment_may_be_behind_for_half_a_minute() {
    for (since, expected) in [(5_000, 16_000..=17_000), (31_000, 7_000..=8_000)] {
        let mut pair = Pair::acquainted();
        pair.step(B, share(7));
        pair.pass(1_000);
        pair.is_cut = true;
        pair.pass(4_000);
        pair.is_cut = false;
        pair.pass(since);
        pair.pass_for(&[A], 7_000);
        let silent_for = lost(&pair, 7).unwrap().silent_for;
        assert!(expected.contains(&silent_for.as_millis()), "{since}: {silent_for:?}");
    }
}

/// For how long a node has known all pages, in milliseconds.
fn known_for(pair: &Pair) -> u128 {
    pair.nodes[A].pages_known_for().as_millis()
}

#[test]
fn what_a_node_does_not_know_is_new_only_where_it_hears_all_others() {
    let mut pair = Pair::acquainted();
    assert!(known_for(&pair) >= 4_000);
    pair.step(A, Input::Disconnected);
    assert_eq!(known_for(&pair), 0, "it is cut off");
    pair.step(A, Input::Connected);
    pair.pass(5_000);
    assert!(known_for(&pair) >= 9_000);
    pair.pass_for(&[A], 3_000);
    assert!((3_000..=4_000).contains(&known_for(&pair)), "another one is silent");
    assert!(pair.nodes[A].heard_for().as_millis() >= 11_000);

    let mut pair = Pair::strangers();
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 2_000);
    assert_eq!(known_for(&pair), 0, "there may be others");
}

#[test]
fn a_node_that_has_left_says_nothing_that_others_could_miss() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Bye { hold: Duration::from_secs(10) });
    pair.pass_for(&[A], 20_000);
    assert!(known_for(&pair) >= 24_000);
}

#[test]
fn a_node_that_leaves_has_its_pages_while_it_lives_and_what_nobody_took_is_lost() {
    let mut pair = Pair::acquainted();
    [7, 8].into_iter().for_each(|number| pair.step(B, share(number)));
    pair.step(B, Input::Bye { hold: Duration::from_secs(10) });
    pair.pass(2_000);
    assert_eq!((home(&pair, A, 7), home(&pair, A, 8)), (Some(B), Some(B)));
    pair.step(B, withdraw(7));
    pair.step(A, share(7));
    pair.pass(1_000);
    pair.pass_for(&[A], 12_000);
    assert_eq!(home(&pair, A, 7), Some(A));
    assert!(lost(&pair, 8).unwrap().silent_for >= Duration::from_secs(12));
}

#[test]
fn a_node_that_starts_learns_what_others_remember_of_dead_ones() {
    let mut pair = Pair::acquainted();
    (0..1_000).for_each(|number| pair.step(B, share(number)));
    pair.pass(1_000);
    let silence = 130_000;
    pair.pass_for(&[A], silence);
    // Another process in the place of B.
    pair.ids[B] = crate::pair::third();
    pair.nodes[B] = Core::new(Settings { expected_nodes: 2, ..Settings::new(crate::pair::third(), "1.0.0", 2) });
    pair.step(B, Input::Connected);
    pair.pass(4_000);
    for number in 0..1_000 {
        let PageWhere::Lost(seen) = pair.nodes[B].page(hash(number)) else { panic!("{number} is not known") };
        assert!(seen.silent_for.as_millis() >= u128::from(silence), "{seen:?}");
    }
}

#[test]
fn what_a_node_reads_after_it_was_stopped_may_be_as_old_as_that() {
    let mut pair = Pair::acquainted();
    pair.step(B, share(7));
    pair.pass(1_000);
    let moment = pair.moment();
    let waiting = pair.nodes[B].step(Input::Confirm, moment);
    pair.now += 10_000;
    for output in waiting {
        let Output::Publish(subject, bytes) = output else { continue };
        pair.step(A, Input::Received { subject, bytes });
    }
    let silent_for = |pair: &Pair| match pair.nodes[A].page(hash(7)) {
        PageWhere::On(_, seen) | PageWhere::Lost(seen) => seen.silent_for,
        PageWhere::Unknown => panic!("it is on B"),
    };
    assert_eq!(silent_for(&pair), Duration::from_secs(10));
    pair.pass(3_000);
    assert!(silent_for(&pair) <= Duration::from_secs(1));
}

/// What B publishes, as a release wrote it that knows no claims.
fn earlier(bytes: &bytes::Bytes) -> bytes::Bytes {
    let frame = decode(bytes.clone()).expect("nodes publish frames");
    let Body::Unnumbered(Unnumbered::Beat(mut beat)) = frame.body else { return bytes.clone() };
    (beat.minor, beat.claims) = (0, 0);
    encode(&Frame { body: Unnumbered::Beat(beat).into(), ..frame })
}

#[test]
fn a_node_of_an_earlier_release_is_not_asked_for_claims_and_works_with_this_one() {
    let mut pair = Pair::strangers();
    pair.earlier = Some((B, earlier));
    pair.step(A, share(7));
    [A, B].into_iter().for_each(|slot| pair.step(slot, Input::Connected));
    pair.pass(4_000);
    assert_eq!(pair.nodes[A].readiness(), gaung_cluster::frame::Readiness::Ready);
    let asks_for_claims = |bytes: &bytes::Bytes| matches!(bytes[3], 15 | 17);
    assert!(pair.published.iter().all(|(slot, bytes)| *slot == B || !asks_for_claims(bytes)));
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    pair.step(A, share(8));
    pair.step(A, Input::Fact(member("7", 1)));
    pair.step(A, Input::Publish(event("1")));
    pair.pass(2_000);
    assert_eq!((pair.moves(B), pair.outputs.len()), (&["+7".to_owned()][..], 1));
    assert_eq!(pair.nodes[A].counters().mismatches, 0);
}

#[test]
fn claims_belong_on_the_subject_of_state() {
    let mut pair = Pair::acquainted();
    let body = gaung_cluster::frame::Numbered::Claims(Vec::new()).after(0);
    let bytes = encode(&Frame { origin: id(A), number: 1, body });
    pair.step(B, Input::Received { subject: Subject::Room(room("orders")), bytes });
    assert_eq!(pair.nodes[B].counters().misdirected, 1);
    pair.step(B, Input::Tick(Inbound::Drained));
}
