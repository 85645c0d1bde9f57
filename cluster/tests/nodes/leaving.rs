//! What a node can say of the events of another that has ended.

use std::time::Duration;

use bytes::Bytes;
use gaung_cluster::{
    NodeId,
    core::{Core, Input, Output, Settings},
};

use crate::{
    event,
    pair::{A, B, Pair, id, room, settings},
};

const HOLD: Duration = Duration::from_secs(10);

/// Two nodes, the first of which serves a room.
fn serving() -> Pair {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    pair.pass(1_000);
    pair
}

/// Whether the first node knows that the second has left, and that it missed nothing of it.
fn vouches(pair: &Pair) -> bool {
    pair.nodes[A].published_in(&room("orders")).left.contains(&id(B))
}

#[test]
fn of_a_node_that_has_left_in_order_it_stays_known_that_nothing_was_missed() {
    let mut pair = serving();
    pair.step(B, Input::Publish(event("one")));
    pair.step(B, Input::Bye { hold: HOLD });
    pair.pass(3_000);
    assert!(!vouches(&pair), "it still speaks");
    pair.step(B, Input::Publish(event("two")));
    pair.step(B, Input::Confirm);
    pair.is_cut = true;
    pair.pass_for(&[A], 3_000);
    assert!(vouches(&pair));
    // As one that is dead, after this node was cut off, and as one that is no peer any more.
    pair.pass_for(&[A], 20_000);
    assert!(vouches(&pair));
    pair.step(A, Input::Disconnected);
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 600_000);
    assert_eq!((pair.nodes[A].peers().count(), vouches(&pair)), (0, true));
}

#[test]
fn of_a_node_that_died_it_is_not_known_what_it_published_last() {
    let mut pair = serving();
    pair.step(B, Input::Publish(event("one")));
    for silence in [3_000, 10_000, 130_000] {
        pair.pass_for(&[A], silence);
        assert!(!vouches(&pair), "after {silence} ms");
    }
}

#[test]
fn nor_of_one_that_died_while_it_was_leaving_or_ended_while_this_one_was_cut_off() {
    let mut pair = serving();
    pair.step(B, Input::Bye { hold: HOLD });
    pair.step(B, Input::Publish(event("one")));
    pair.pass_for(&[A], 20_000);
    assert!(!vouches(&pair), "it published after its last word");

    let mut pair = serving();
    pair.step(B, Input::Bye { hold: HOLD });
    pair.step(A, Input::Disconnected);
    pair.pass_for(&[A], 1_000);
    pair.is_cut = true;
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 20_000);
    assert!(!vouches(&pair), "it may have published meanwhile");
}

/// Of which nodes the first wants to have what they stored, and since how long ago.
fn wanted(pair: &Pair) -> Vec<(NodeId, Duration)> {
    let of = |(slot, output): &(usize, Output)| match output {
        Output::ReadStored(node, age) if *slot == A => Some((*node, *age)),
        _ => None,
    };
    pair.outputs.iter().filter_map(of).collect()
}

/// Two nodes that store what they publish; the first serves a room, and the second has said that it lives.
fn storing() -> Pair {
    let mut pair = Pair::strangers();
    let storing = |slot| Core::new(Settings { expected_nodes: 2, stores_events: true, ..settings(slot) });
    pair.nodes = [storing(A), storing(B)];
    [A, B].into_iter().for_each(|slot| pair.step(slot, Input::Connected));
    pair.pass(4_000);
    pair.step(A, Input::Serve(room("orders")));
    pair.pass(1_000);
    pair.outputs.clear();
    pair
}

/// What the second node has stored so far.
fn stored(pair: &Pair) -> Vec<Bytes> {
    let of = |(slot, output): &(usize, Output)| match output {
        Output::Store(_, _, bytes) if *slot == B => Some(bytes.clone()),
        _ => None,
    };
    pair.outputs.iter().filter_map(of).collect()
}

#[test]
fn what_a_node_that_died_had_stored_and_nobody_heard_is_heard_once_it_is_read() {
    let mut pair = storing();
    pair.step(B, Input::PublishNumbered(event("heard")));
    pair.is_cut = true;
    pair.step(B, Input::PublishNumbered(event("stored")));
    let stored = stored(&pair);
    assert_eq!((stored.len(), wanted(&pair)), (2, vec![]));
    pair.pass_for(&[A], 10_000);
    let [(node, age)] = wanted(&pair)[..] else { panic!("{:?}", wanted(&pair)) };
    assert!(node == id(B) && (5..=10).contains(&age.as_secs()), "{node} {age:?}");
    for frame in stored.iter().chain(&stored) {
        pair.step(A, Input::Stored(frame.clone()));
    }
    let heard: Vec<_> = pair.numbers.iter().map(|(slot, node, numbering)| (*slot, *node, numbering.number)).collect();
    let [(A, _, first), (A, _, second)] = heard[..] else { panic!("{heard:?}") };
    assert!(heard.iter().all(|(_, node, _)| *node == id(B)) && first < second);
    assert_eq!(pair.nodes[A].counters().events_recovered, 1);
}

#[test]
fn of_a_node_that_has_left_in_order_nothing_is_read_and_of_one_that_could_not_be_heard_all_since_then() {
    let mut pair = storing();
    pair.step(B, Input::Bye { hold: HOLD });
    pair.pass_for(&[A], 60_000);
    assert_eq!(wanted(&pair), []);
    let mut pair = storing();
    pair.step(A, Input::Disconnected);
    pair.is_cut = true;
    pair.pass_for(&[A], 60_000);
    assert_eq!(wanted(&pair), [], "who hears nobody takes nobody for dead");
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 10_000);
    let [(_, age)] = wanted(&pair)[..] else { panic!("{:?}", wanted(&pair)) };
    assert!(age.as_secs() >= 60, "{age:?}");
}

#[test]
fn what_is_no_stored_event_of_a_known_node_changes_nothing() {
    let mut pair = storing();
    pair.step(B, Input::PublishNumbered(event("1")));
    let frame = stored(&pair).remove(0);
    pair.outputs.clear();
    for end in 0..frame.len() {
        pair.step(A, Input::Stored(frame.slice(..end)));
    }
    let beat = pair.published.iter().find(|(_, bytes)| bytes[3] & 0x80 == 0).expect("a node says that it lives");
    pair.step(A, Input::Stored(beat.1.clone()));
    assert_eq!(pair.outputs, []);
}
