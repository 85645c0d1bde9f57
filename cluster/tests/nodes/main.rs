//! Single promises of the core, on two nodes whose bus the test controls.

mod bounds;
mod cache;
mod deliveries;
mod leaving;
mod meeting;
mod numbering;
mod pages;
mod pair;
mod questions;
mod upgrade;
mod visits;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use gaung_cluster::{
    Subject,
    codec::{DecodeError, encode},
    core::{Core, Input, Moment, Output},
    detector::Inbound,
    fact::{Fact, Generation, Occupancy, Phase},
    frame::{Frame, Numbered, Readiness, RoomEvent, Unnumbered},
    peer::Stage,
    remote::{RemoteChange, RemoteState},
};
use pair::{A, B, Pair, count, delivered, id, member, room, serving, settings};

fn event(payload: &'static str) -> RoomEvent {
    RoomEvent { room: room("orders"), payload: payload.into(), trace: None }
}

fn stage(pair: &Pair, slot: usize) -> Vec<Stage> {
    pair.nodes[slot].peers().map(|peer| peer.stage).collect()
}

#[test]
fn a_room_is_served_only_once_our_own_message_is_back() {
    let mut pair = Pair::acquainted();
    pair.step_quietly(A, Input::Serve(room("orders")));
    assert_eq!(pair.outputs, [(A, Output::Subscribe(room("orders")))]);
    pair.resolve();
    assert_eq!(pair.outputs[1..], [(A, serving(room("orders")))]);
}

#[test]
fn without_a_bus_a_room_is_served_at_once() {
    let mut pair = Pair::strangers();
    pair.step(A, Input::Serve(room("orders")));
    assert!(pair.wanted(A, &serving(room("orders"))));
}

#[test]
fn a_room_that_is_no_longer_wanted_stays_subscribed_for_thirty_seconds() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    pair.step(A, Input::Leave(room("orders")));
    pair.pass(29_900);
    assert!(!pair.wanted(A, &Output::Unsubscribe(room("orders"))));
    pair.pass(1_200);
    assert!(pair.wanted(A, &Output::Unsubscribe(room("orders"))));
}

#[test]
fn an_event_reaches_the_other_node_with_its_excluded_socket_and_does_not_come_back() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    pair.step(A, Input::Publish(event("1")));
    assert_eq!(pair.outputs, [(B, delivered(A, event("1")))]);
}

#[test]
fn a_lost_last_event_is_had_within_two_seconds_although_nothing_follows() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    pair.is_cut = true;
    pair.step(A, Input::Publish(event("1")));
    pair.is_cut = false;
    pair.pass(2_000);
    assert_eq!(pair.outputs, [(B, delivered(A, event("1")))]);
}

#[test]
fn a_lost_last_fact_is_had_within_two_seconds_although_nothing_follows() {
    let mut pair = Pair::acquainted();
    pair.is_cut = true;
    pair.step(A, Input::Fact(member("7", 1)));
    pair.is_cut = false;
    pair.pass(2_000);
    assert_eq!(pair.moves(B), ["+7"]);
}

#[test]
fn a_node_that_returns_after_long_fills_its_gaps_although_its_first_word_is_no_beat() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.is_cut = true;
    pair.step(A, Input::Publish(event("1")));
    pair.pass(40_000);
    pair.outputs.clear();
    pair.is_cut = false;
    pair.step(A, Input::Publish(event("2")));
    pair.pass_for(&[B], 1_200);
    pair.pass(2_000);
    assert_eq!(pair.outputs, ["1", "2"].map(|payload| (B, delivered(A, event(payload)))));
}

#[test]
fn an_event_on_the_subject_of_another_room_is_dropped_and_counted() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    let frame = Frame { origin: id(A), number: 9, body: Numbered::Event(event("1")).after(0) };
    let input = Input::Received { subject: Subject::Room(room("other")), bytes: encode(&frame) };
    pair.step(B, input);
    assert_eq!((pair.outputs.len(), pair.nodes[B].counters().misdirected), (0, 1));
}

#[test]
fn what_was_meant_for_another_node_is_dropped_and_counted() {
    let mut pair = Pair::acquainted();
    let frame = Frame { origin: id(A), number: 9, body: Unnumbered::AskHeads.into() };
    pair.step_quietly(B, Input::Received { subject: Subject::Node(id(A)), bytes: encode(&frame) });
    assert_eq!((pair.outputs.len(), pair.nodes[B].counters().misdirected), (0, 1));
}

#[test]
fn what_is_no_frame_is_counted_by_reason() {
    let mut pair = Pair::acquainted();
    for bytes in [&b""[..], b"\x02", b"\x01\x24"] {
        pair.step(A, Input::Received { subject: Subject::State, bytes: Bytes::copy_from_slice(bytes) });
    }
    let refused: Vec<(DecodeError, u64)> = pair.nodes[A].counters().refused.clone().into_iter().collect();
    assert_eq!(refused, [(DecodeError::Short, 2), (DecodeError::Version, 1)]);
}

#[test]
fn an_event_too_large_for_the_bus_is_counted_and_not_published() {
    let mut pair = Pair::acquainted();
    let payload = Bytes::from(vec![0; 1 << 20]);
    pair.step(A, Input::Publish(RoomEvent { room: room("orders"), payload, trace: None }));
    assert_eq!(pair.nodes[A].counters().oversized, 1);
}

#[test]
fn occupancies_go_at_once_and_other_counts_within_a_quarter_of_a_second() {
    let mut pair = Pair::acquainted();
    let subscriptions = |pair: &Pair| pair.nodes[B].subscriptions(&room("orders"));
    pair.step(A, Input::Fact(count(1)));
    assert_eq!(subscriptions(&pair), 1);
    pair.step(A, Input::Fact(count(2)));
    pair.step(A, Input::Fact(count(3)));
    assert_eq!(subscriptions(&pair), 1);
    pair.pass(250);
    assert_eq!(subscriptions(&pair), 3);
    pair.step(A, Input::Fact(count(0)));
    assert_eq!(subscriptions(&pair), 0);
}

#[test]
fn a_node_is_ready_once_it_has_listened_and_knows_its_peers() {
    let mut pair = Pair::strangers();
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 2_450);
    assert_eq!(pair.nodes[A].readiness(), Readiness::Learning);
    pair.pass_for(&[A], 100);
    assert_eq!(pair.nodes[A].readiness(), Readiness::Ready);
    // B receives from A, but A does not answer: it is cut off.
    pair.step_quietly(B, Input::Connected);
    pair.pass_for(&[A], 1_000);
    pair.is_cut = true;
    pair.pass_for(&[B], 4_000);
    assert_eq!((stage(&pair, B), pair.nodes[B].readiness()), (vec![Stage::Meeting], Readiness::Learning));
    pair.is_cut = false;
    pair.pass(2_000);
    assert_eq!((stage(&pair, B), pair.nodes[B].readiness()), (vec![Stage::Live], Readiness::Ready));
}

#[test]
fn a_node_is_ready_once_its_peers_have_sent_their_records() {
    let mut pair = Pair::strangers();
    pair.loses_records = true;
    pair.step(A, Input::Connected);
    pair.step(B, Input::Connected);
    pair.pass(6_000);
    assert_eq!((stage(&pair, B), pair.nodes[B].readiness()), (vec![Stage::Live], Readiness::Learning));
    pair.loses_records = false;
    pair.pass(2_000);
    assert_eq!(pair.nodes.each_ref().map(Core::readiness), [Readiness::Ready; 2]);
}

#[test]
fn a_silent_peers_members_leave_within_six_seconds_and_come_back_with_it() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(member("7", 1)));
    pair.is_cut = true;
    pair.pass(6_000);
    assert_eq!(pair.moves(B), ["+7", "-7"]);
    pair.is_cut = false;
    pair.pass(2_000);
    assert_eq!(pair.moves(B), ["+7", "-7", "+7"]);
    assert_eq!(pair.nodes[B].counters().snapshots, 1);
}

#[test]
fn while_disconnected_no_peer_dies_and_nothing_is_published_then_everything_is() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(member("7", 1)));
    pair.step(A, Input::Disconnected);
    pair.step(B, Input::Disconnected);
    let before = pair.nodes[A].counters().bytes_out;
    pair.step(A, Input::Fact(member("8", 1)));
    pair.pass(30_000);
    assert_eq!((pair.moves(B), pair.nodes[A].counters().bytes_out), (&["+7".to_owned()][..], before));
    pair.step(B, Input::Connected);
    pair.step(A, Input::Connected);
    pair.pass(2_000);
    assert_eq!(pair.moves(B), ["+7", "+8"]);
}

#[test]
fn a_node_that_was_stopped_expires_no_peer() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(member("7", 1)));
    pair.now += 10_000;
    pair.step(B, Input::Tick(Inbound::Waiting));
    pair.step(B, Input::Tick(Inbound::Drained));
    pair.pass(2_000);
    assert_eq!(pair.moves(B), ["+7"]);
}

#[test]
fn users_who_move_during_a_drain_are_not_seen_leaving_or_joining() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(member("7", 1)));
    pair.step(A, Input::Fact(member("8", 1)));
    pair.step(A, Input::Bye { hold: Duration::from_secs(20) });
    pair.step(A, Input::Fact(member("7", 0)));
    pair.step(A, Input::Fact(member("8", 0)));
    pair.pass(2_000);
    pair.step(B, Input::Fact(member("7", 1)));
    // A ends; it is silent from here on.
    pair.is_cut = true;
    pair.pass_for(&[B], 19_000);
    assert_eq!(
        (pair.moves(A), pair.moves(B)),
        (&["+7".to_owned(), "+8".to_owned()][..], &["+7".to_owned(), "+8".to_owned()][..])
    );
    pair.pass_for(&[B], 2_000);
    assert_eq!(pair.moves(B), ["+7", "+8", "-8"]);
}

#[test]
fn a_served_room_begins_with_the_remote_state_and_receives_every_change() {
    let mut pair = Pair::acquainted();
    let presence = room("presence-a");
    pair.step(A, Input::Fact(member("7", 1)));
    pair.step(B, Input::Fact(member("8", 1)));
    assert_eq!(pair.outputs, []);
    pair.step(B, Input::Serve(presence.clone()));
    let Fact::Member { member: seven, .. } = member("7", 1) else { panic!("a member is a member") };
    let state =
        RemoteState { room: presence.clone(), sockets: 0, members: vec![seven], cached: None, positions: Vec::new() };
    assert_eq!(pair.outputs[1..], [(B, Output::Serving(state))]);
    pair.outputs.clear();
    pair.step(A, Input::Fact(member("7", 0)));
    pair.step(A, Input::Fact(Fact::Count { room: presence.clone(), sockets: 4 }));
    let gone = RemoteChange::Member { room: presence.clone(), user: "7".into(), member: None };
    let counted = RemoteChange::Subscriptions { room: presence, sockets: 4 };
    assert_eq!(pair.outputs, [(B, Output::Remote(gone)), (B, Output::Remote(counted))]);
}

#[test]
fn remote_sign_ins_are_reported_whatever_is_served() {
    let mut pair = Pair::acquainted();
    let (app, user) = ("shop".into(), "7".into());
    pair.step(A, Input::Fact(Fact::User { app, user, sockets: 1 }));
    let remote = RemoteChange::User { app: "shop".into(), user: "7".into(), sockets: 1 };
    assert_eq!(pair.outputs, [(B, Output::Remote(remote))]);
}

#[test]
fn a_peer_is_listed_with_its_sessions_and_its_version() {
    let mut pair = Pair::acquainted();
    let app: Arc<str> = "shop".into();
    pair.step(A, Input::Fact(Fact::Connections { app: app.clone(), sockets: 3 }));
    pair.step(B, Input::Fact(Fact::Connections { app: app.clone(), sockets: 2 }));
    let peer = pair.nodes[B].peers().next().unwrap();
    assert_eq!((peer.node, peer.sessions, &*peer.version), (id(A), 3, "1.0.0"));
    assert_eq!((pair.nodes[B].connections(&app), pair.nodes[B].remote_usage(&app).connections), (5, 3));
    assert_eq!(pair.nodes[B].round_trip(), Some(Duration::ZERO));
}

#[test]
fn an_occupied_room_is_posted_by_one_node_once() {
    let mut pair = Pair::acquainted();
    let apps: BTreeSet<_> = BTreeSet::from(["shop".into()]);
    pair.step(A, Input::Webhooks(apps.clone()));
    pair.step(B, Input::Webhooks(apps));
    pair.step(A, Input::Fact(count(1)));
    pair.step(B, Input::Fact(count(1)));
    pair.pass(6_000);
    let posts: Vec<_> = pair.outputs.iter().filter_map(|(_, output)| posted(output)).collect();
    let [Generation { occupancy, number, .. }] = posts[..] else { panic!("posted {} times", posts.len()) };
    assert_eq!((occupancy, number % 2), (&Occupancy { room: room("orders"), user: None }, 1));
}

#[test]
fn a_node_that_is_meant_to_be_alone_posts_without_a_bus() {
    let mut core = Core::new(settings(A));
    let at = |millis| Moment { up: Duration::from_millis(millis), wall: Duration::ZERO };
    core.step(Input::Webhooks(BTreeSet::from(["shop".into()])), at(0));
    core.step(Input::Fact(count(1)), at(0));
    let ticks = (0..60).map(|tick| at(tick * 50));
    let outputs: Vec<Output> = ticks.flat_map(|at| core.step(Input::Tick(Inbound::Drained), at)).collect();
    let occupancy = Occupancy { room: room("orders"), user: None };
    assert_eq!(outputs, [Output::Post(Generation { occupancy, number: 1, phase: Phase::Announced })]);
}

fn posted(output: &Output) -> Option<&Generation> {
    if let Output::Post(generation) = output { Some(generation) } else { None }
}

#[test]
fn a_cluster_that_starts_again_uses_no_number_a_second_time() {
    let posts = |second: u64| -> Vec<u64> {
        let mut core = Core::new(settings(A));
        let at =
            |millis| Moment { up: Duration::from_millis(millis), wall: Duration::from_millis(second * 1000 + millis) };
        core.step(Input::Webhooks(BTreeSet::from(["shop".into()])), at(0));
        core.step(Input::Fact(count(1)), at(0));
        let outputs = (0..60).flat_map(|tick| core.step(Input::Tick(Inbound::Drained), at(tick * 50)));
        outputs.filter_map(|output| posted(&output).map(|generation| generation.number)).collect()
    };
    let (before, after) = (posts(1_700_000_000), posts(1_700_000_010));
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(after > before, "{before:?} {after:?}");
}

#[test]
fn nothing_is_announced_for_an_app_without_webhooks() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(count(1)));
    pair.pass(6_000);
    assert_eq!(pair.nodes[A].records().count(), 0);
    assert_eq!(pair.nodes[B].subscriptions(&room("orders")), 1);
}

#[test]
fn a_view_that_differs_from_its_node_is_fetched_anew() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Fact(member("7", 1)));
    // What no sequencer can see: B got something that A never published, under A's next number.
    let forged = Frame { origin: id(A), number: 2, body: Numbered::Facts(vec![member("8", 1)]).after(1) };
    pair.step(B, Input::Received { subject: Subject::State, bytes: encode(&forged) });
    pair.step(A, Input::Fact(member("9", 1)));
    pair.pass(2_000);
    assert_eq!(pair.moves(B), ["+7", "+8", "+9", "-8"]);
    assert_eq!(pair.nodes[B].counters().mismatches, 1);
}

#[test]
fn what_a_dead_peer_published_between_many_gaps_is_delivered_at_once_when_they_are_given_up() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    for _ in 0..5 {
        pair.is_cut = true;
        pair.step(B, Input::Publish(event("lost")));
        pair.is_cut = false;
        pair.step(B, Input::Publish(event("received")));
    }
    pair.is_cut = true;
    let delivered = |pair: &Pair| pair.wanted_count(A, &delivered(B, event("received")));
    pair.pass_for(&[A], 299_000);
    assert_eq!(delivered(&pair), 0, "it may return and fill them");
    pair.pass_for(&[A], 3_000);
    assert_eq!(delivered(&pair), 5);
}
