//! Whatever clients name and how often: what a node keeps and publishes for it is bounded.

use gaung_cluster::{
    Room,
    core::{Input, Output, PAGE},
    detector::Inbound,
    fact::Fact,
    remote::RemoteChange,
};

use crate::pair::{A, B, Pair, member, room, serving};

/// More than may linger.
const MANY: usize = 3000;

fn names(count: usize) -> Vec<Room> {
    (0..count).map(|number| room(&format!("room-{number:06}"))).collect()
}

fn left(pair: &Pair) -> Vec<Room> {
    let left = pair.outputs.iter().filter_map(|(slot, output)| match output {
        Output::Unsubscribe(room) if *slot == A => Some(room.clone()),
        _ => None,
    });
    left.collect()
}

/// A client comes to a room and leaves it.
fn visit(pair: &mut Pair, room: &Room) {
    pair.step(A, Input::Serve(room.clone()));
    pair.step(A, Input::Fact(Fact::Count { room: room.clone(), sockets: 1 }));
    pair.step(A, Input::Fact(Fact::Count { room: room.clone(), sockets: 0 }));
    pair.step(A, Input::Leave(room.clone()));
}

#[test]
fn of_many_rooms_that_are_no_longer_wanted_the_oldest_are_left_at_once() {
    let mut pair = Pair::acquainted();
    names(MANY).iter().for_each(|room| visit(&mut pair, room));
    let oldest = &names(MANY)[..MANY - 1024];
    assert_eq!(left(&pair), oldest);
    pair.pass(31_000);
    assert_eq!(left(&pair), names(MANY));
}

#[test]
fn a_room_that_is_left_and_wanted_over_and_over_is_one_of_those_that_linger() {
    let mut pair = Pair::acquainted();
    visit(&mut pair, &room("other"));
    (0..MANY).for_each(|_| visit(&mut pair, &room("orders")));
    assert_eq!(left(&pair), []);
    pair.step(A, Input::Serve(room("orders")));
    pair.pass(31_000);
    assert_eq!(left(&pair), [room("other")]);
}

#[test]
fn what_is_left_before_its_barrier_has_come_back_is_not_served() {
    let mut pair = Pair::acquainted();
    let wanted = names(MANY);
    for room in &wanted {
        pair.step_quietly(A, Input::Serve(room.clone()));
        pair.step_quietly(A, Input::Leave(room.clone()));
    }
    pair.resolve();
    let served = wanted.iter().filter(|room| pair.wanted(A, &serving((*room).clone())));
    assert_eq!(served.count(), 1024);
}

#[test]
fn ever_new_rooms_cost_a_few_frames_and_not_one_each() {
    let mut pair = Pair::acquainted();
    let before = pair.nodes[A].published();
    names(MANY).iter().for_each(|room| visit(&mut pair, room));
    pair.pass(1_000);
    let frames = pair.nodes[A].published() - before;
    assert!(frames < 100, "{frames} frames");
    assert_eq!(pair.nodes[B].rooms("shop").count(), 0);
}

#[test]
fn the_facts_of_many_rooms_that_stay_are_all_sent_together() {
    let mut pair = Pair::acquainted();
    let before = pair.nodes[A].published();
    for room in names(3 * MANY) {
        pair.step(A, Input::Fact(Fact::Count { room, sockets: 1 }));
    }
    pair.step(A, Input::Tick(Inbound::Drained));
    let frames = pair.nodes[A].published() - before;
    assert!(frames < 100, "{frames} frames");
    assert_eq!(pair.nodes[B].rooms("shop").count(), 3 * MANY);
}

#[test]
fn a_room_with_very_many_remote_members_learns_of_them_in_steps_before_it_is_served() {
    let mut pair = Pair::acquainted();
    let most = PAGE / 32;
    let user = |number: usize| format!("{number:04}");
    (0..most + 10).for_each(|number| pair.step(B, Input::Fact(member(&user(number), 1))));
    pair.pass(1_000);
    pair.outputs.clear();
    let room = room("presence-a");
    pair.step(A, Input::Serve(room.clone()));
    let reported = |pair: &Pair| pair.outputs.iter().filter(|(_, output)| matches!(output, Output::Remote(_))).count();
    let served = |pair: &Pair| {
        pair.outputs.iter().find_map(|(_, output)| match output {
            Output::Serving(state) => Some(state.members.len()),
            _ => None,
        })
    };
    assert_eq!((reported(&pair), served(&pair), pair.nodes[A].is_behind()), (most, None, true));
    // A member that was reported and one that was not leave meanwhile.
    pair.step(B, Input::Fact(member(&user(0), 0)));
    pair.step(B, Input::Fact(member(&user(most + 5), 0)));
    pair.pass(300);
    let gone = RemoteChange::Member { room, user: user(0).into(), member: None };
    assert!(pair.wanted(A, &Output::Remote(gone)));
    assert_eq!((served(&pair), pair.nodes[A].is_behind()), (Some(9), false));
}
