//! The numbers by which the rooms of all nodes name an event, and know whether one is missing before it.

use gaung_cluster::{
    NodeId,
    core::{Input, Output},
    frame::Numbering,
};

use crate::{
    event,
    pair::{A, B, Pair, delivered, id, room},
};

fn numbering(number: u64, predecessor: u64) -> Numbering {
    Numbering { number, predecessor }
}

/// The positions that a room of `slot` begins with.
fn positions(pair: &mut Pair, slot: usize) -> Vec<(NodeId, u64)> {
    let moment = pair.moment();
    let outputs = pair.nodes[slot].step(Input::Serve(room("orders")), moment);
    let serving = outputs.into_iter().find_map(|output| match output {
        Output::Serving(state) => Some(state.positions),
        _ => None,
    });
    serving.expect("who is not connected serves at once")
}

#[test]
fn an_event_has_the_same_number_where_it_was_published_and_on_other_nodes() {
    let mut pair = Pair::acquainted();
    [A, B].into_iter().for_each(|slot| pair.step(slot, Input::Serve(room("orders"))));
    pair.outputs.clear();
    pair.step(A, Input::PublishNumbered(event("1")));
    let [(A, _, own), (B, _, heard)] = pair.numbers[..] else { panic!("{:?}", pair.numbers) };
    assert_eq!((own, heard.predecessor), (heard, 0));
    pair.step(A, Input::PublishNumbered(event("2")));
    assert_eq!(pair.numbers[2..], [A, B].map(|slot| (slot, id(A), numbering(heard.number + 1, heard.number))));
    assert_eq!(pair.outputs.len(), 4);
    assert_eq!(pair.outputs[2..], [A, B].map(|slot| (slot, delivered(A, event("2")))));
}

#[test]
fn what_is_published_without_a_wish_for_its_number_comes_back_to_no_one() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    pair.outputs.clear();
    pair.step(A, Input::Publish(event("1")));
    assert_eq!(pair.outputs, []);
}

#[test]
fn a_room_that_begins_knows_after_which_number_of_each_node_it_misses_nothing() {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::PublishNumbered(event("1")));
    pair.step(B, Input::Disconnected);
    let before = positions(&mut pair, B);
    let [(own, _), (peer, number)] = before[..] else { panic!("{before:?}") };
    assert_eq!((own, peer), (id(B), id(A)));
    assert!(number > 0, "what A published before is not missed");
}

#[test]
fn of_what_is_lost_the_room_is_named() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.is_cut = true;
    pair.step(A, Input::PublishNumbered(event("lost")));
    pair.pass(320_000);
    pair.step(A, Input::PublishNumbered(event("heard")));
    pair.outputs.clear();
    pair.is_cut = false;
    pair.pass(4_000);
    let lost = pair.outputs.iter().find_map(|(slot, output)| match output {
        Output::Lost { room, .. } if *slot == B => room.clone(),
        _ => None,
    });
    assert_eq!(lost, Some(room("orders")));
}
