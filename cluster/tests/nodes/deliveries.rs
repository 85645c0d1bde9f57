//! How long events take from one node to the sockets of another, by the clock of the node that published them.

use std::time::Duration;

use gaung_cluster::{
    Subject,
    codec::encode,
    core::{Input, Output},
    frame::{Frame, Unnumbered},
};

use crate::{
    event,
    pair::{A, B, Pair, earlier, id, room},
};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A publishes an event for B's sockets, which have it some time later; returns the event's number.
fn published(pair: &mut Pair, waited: u64, later: u64) -> u64 {
    pair.step(B, Input::Serve(room("orders")));
    pair.nodes[A].note_wait(millis(waited));
    pair.step(A, Input::Publish(event("1")));
    let number = pair.nodes[A].published();
    pair.pass(later);
    pair.outputs.clear();
    number
}

#[test]
fn the_node_that_published_an_event_measures_what_it_waited_what_it_was_held_and_half_of_the_rest() {
    let mut pair = Pair::acquainted();
    let number = published(&mut pair, 30, 500);
    pair.step(B, Input::Acknowledge { to: id(A), number, held: millis(100) });
    assert_eq!(pair.outputs, [(A, Output::Acknowledged(millis(30 + 200 + 100)))]);
}

#[test]
fn what_waited_before_one_event_is_not_counted_for_the_next() {
    let mut pair = Pair::acquainted();
    published(&mut pair, 30, 0);
    let number = published(&mut pair, 0, 0);
    pair.step(B, Input::Acknowledge { to: id(A), number, held: millis(0) });
    assert_eq!(pair.outputs, [(A, Output::Acknowledged(millis(0)))]);
}

#[test]
fn an_acknowledgement_of_what_was_never_published_or_held_for_too_long_says_nothing() {
    let mut pair = Pair::acquainted();
    let number = published(&mut pair, 0, 500);
    pair.step(B, Input::Acknowledge { to: id(A), number: number + 7, held: millis(0) });
    pair.step(B, Input::Acknowledge { to: id(A), number, held: millis(501) });
    assert_eq!(pair.outputs, []);
}

#[test]
fn a_node_of_an_earlier_release_is_sent_no_acknowledgement() {
    let mut pair = Pair::acquainted();
    let number = published(&mut pair, 0, 500);
    let bytes = earlier(&mut pair, A, 3);
    pair.step(B, Input::Received { subject: Subject::State, bytes });
    let before = pair.published.len();
    pair.step(B, Input::Acknowledge { to: id(A), number, held: millis(0) });
    assert_eq!((pair.published.len(), pair.outputs.len()), (before, 0));
    assert_eq!(pair.nodes[A].counters().unknown, 0);
}

#[test]
fn acknowledgements_are_heard_on_the_subject_of_their_node_alone() {
    let mut pair = Pair::acquainted();
    let number = published(&mut pair, 0, 500);
    let frame = Frame { origin: id(B), number: 0, body: Unnumbered::Delivered { number, held: millis(0) }.into() };
    pair.step(A, Input::Received { subject: Subject::State, bytes: encode(&frame) });
    assert_eq!((pair.outputs.len(), pair.nodes[A].counters().misdirected), (0, 1));
}
