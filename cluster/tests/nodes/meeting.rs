//! Which peers are known, whatever else claims to be there.

use gaung_cluster::{
    NodeId, Subject,
    codec::encode,
    core::{Input, Output},
    frame::{Frame, Numbered, Readiness},
    peer::Stage,
};

use crate::{
    event,
    pair::{A, B, Pair, delivered, id, room},
};

/// The first frame of an unknown node.
fn forge(pair: &mut Pair, number: u64) {
    let origin = NodeId::from_bits(1_000 + number);
    let frame = Frame { origin, number: 1, body: Numbered::Event(event("forged")).after(0) };
    let input = Input::Received { subject: Subject::Room(room("orders")), bytes: encode(&frame) };
    pair.step(A, input);
}

fn sees(pair: &Pair, node: NodeId) -> bool {
    pair.nodes[A].peers().any(|peer| peer.node == node && peer.stage == Stage::Live)
}

#[test]
fn forged_first_frames_keep_no_real_node_out_however_many_they_are_and_however_long_they_come() {
    let mut pair = Pair::strangers();
    pair.step(A, Input::Connected);
    (0..2_000).for_each(|number| forge(&mut pair, number));
    assert_eq!(pair.nodes[A].peers().count(), 1024);
    pair.step(B, Input::Connected);
    for turn in 0..80 {
        (0..25).for_each(|number| forge(&mut pair, 2_000 + 25 * turn + number));
        pair.pass(50);
    }
    assert!(sees(&pair, id(B)), "B is not seen");
    assert_eq!(pair.nodes[A].readiness(), Readiness::Ready, "a sender of one frame is waited for");
    assert_eq!((pair.nodes[A].peers().count(), pair.nodes[A].counters().crowded), (1024, 0));
}

#[test]
fn a_peer_whose_facts_are_known_is_never_dismissed_for_one_whose_are_not() {
    let mut pair = Pair::acquainted();
    (0..3_000).for_each(|number| forge(&mut pair, number));
    assert!(sees(&pair, id(B)));
}

#[test]
fn a_node_that_was_forgotten_is_asked_for_what_it_published_meanwhile() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.is_cut = true;
    pair.step(A, Input::Publish(event("long ago")));
    pair.pass(320_000);
    assert_eq!(pair.nodes[B].peers().count(), 0);
    pair.step(A, Input::Publish(event("lately")));
    pair.outputs.clear();
    pair.is_cut = false;
    pair.pass(4_000);
    let [(B, Output::Lost { origin, events: 1, .. }), last] = &pair.outputs[..] else {
        panic!("{:?}", pair.outputs);
    };
    assert_eq!((*origin, last), (id(A), &(B, delivered(A, event("lately")))));
    assert_eq!(pair.nodes[B].counters().events_lost, 1);
}
