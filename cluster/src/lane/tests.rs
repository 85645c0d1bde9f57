//! Order, doubles, holes and their ends, as one peer's frames come in.

use super::*;
use crate::room::NodeId;

const ROOM: Stream = Stream::from_bits(7);

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn lane() -> Lane {
    lane_of(usize::MAX)
}

/// A lane that gives out so many frames in one step.
fn lane_of(step: usize) -> Lane {
    let frame = 1 + OVERHEAD;
    let mut lane = Lane::new(10, LaneBounds { held: 9 * frame, step: step.saturating_mul(frame) });
    lane.follow(ROOM);
    lane
}

fn body(token: u64) -> Body {
    Body::Barrier { token }
}

fn hear(lane: &mut Lane, number: u64, predecessor: u64, millis: u64) -> Heard {
    let frame = Frame { origin: NodeId::from_bits(1), number, predecessor, body: body(number) };
    lane.hear(ROOM, frame, 1, at(millis))
}

fn in_order(numbers: &[u64]) -> Heard {
    Heard::InOrder(numbers.iter().map(|number| body(*number)).collect())
}

fn hole(after: u64, through: u64) -> Hole {
    Hole { stream: ROOM, after, through }
}

#[test]
fn what_was_published_before_we_followed_leaves_no_hole() {
    assert_eq!(hear(&mut lane(), 14, 9, 0), in_order(&[14]));
}

#[test]
fn numbers_of_other_streams_leave_no_hole() {
    let mut lane = lane();
    assert_eq!(hear(&mut lane, 11, 0, 0), in_order(&[11]));
    assert_eq!(hear(&mut lane, 17, 11, 0), in_order(&[17]));
    assert_eq!(lane.asks(at(0)), []);
}

#[test]
fn what_follows_a_hole_is_held_back_and_the_hole_asked_for_at_once_and_every_200_ms() {
    let mut lane = lane();
    assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Held);
    assert_eq!(lane.asks(at(0)), [hole(10, 12)]);
    assert_eq!(lane.asks(at(199)), []);
    assert_eq!(lane.asks(at(200)), [hole(10, 12)]);
    assert_eq!(hear(&mut lane, 12, 11, 300), Heard::Held);
    assert_eq!(lane.asks(at(400)), [hole(10, 11)]);
    assert_eq!(hear(&mut lane, 11, 8, 500), in_order(&[11, 12, 13]));
    assert_eq!(lane.asks(at(9000)), []);
}

#[test]
fn a_hole_is_noticed_once_however_often_it_is_asked_for() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    assert_eq!(lane.take_noticed(), 0);
    for millis in [0, 200, 400] {
        assert_eq!(lane.asks(at(millis)), [hole(10, 12)]);
    }
    assert_eq!(lane.take_noticed(), 1);
    hear(&mut lane, 12, 0, 500);
    hear(&mut lane, 15, 14, 600);
    assert_eq!(lane.asks(at(600)), [hole(13, 14)]);
    assert_eq!(lane.take_noticed(), 1);
}

#[test]
fn doubles_are_dropped_whether_given_out_or_held() {
    let mut lane = lane();
    assert_eq!(hear(&mut lane, 11, 0, 0), in_order(&[11]));
    assert_eq!(hear(&mut lane, 11, 0, 0), Heard::Double);
    assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Held);
    assert_eq!(hear(&mut lane, 13, 12, 0), Heard::Double);
}

#[test]
fn a_hole_is_declared_thirty_seconds_after_it_was_asked_for_if_nothing_came_at_all() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    assert_eq!(lane.asks(at(0)), [hole(10, 12)]);
    assert_eq!(lane.overdue(at(30_000)), []);
    assert_eq!(lane.overdue(at(30_001)), [hole(10, 12)]);
    let declared = lane.declare(hole(10, 12), at(30_001));
    assert_eq!(declared, Some(Declared { hole: hole(10, 12), freed: vec![body(13)] }));
    assert_eq!(lane.overdue(at(99_000)), []);
}

#[test]
fn patience_starts_anew_when_the_peer_can_be_asked_again() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    lane.resume(at(29_000));
    assert_eq!(lane.overdue(at(90_000)), []);
    assert_eq!(lane.asks(at(30_000)), [hole(10, 12)]);
    assert_eq!(lane.overdue(at(60_000)), []);
    assert_eq!(lane.overdue(at(60_001)), [hole(10, 12)]);
}

#[test]
fn a_lost_tail_is_asked_for_once_it_had_time_to_arrive() {
    let mut lane = lane();
    lane.learn_tail(ROOM, 15, at(0));
    assert_eq!(lane.asks(at(199)), []);
    assert_eq!(lane.asks(at(200)), [hole(10, 15)]);
    assert_eq!(hear(&mut lane, 15, 3, 201), in_order(&[15]));
    assert_eq!(lane.asks(at(999)), []);
}

#[test]
fn a_peer_cannot_declare_away_what_was_heard_or_is_not_missing() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    let declared = lane.declare(hole(10, 99), at(1)).unwrap();
    assert_eq!(declared, Declared { hole: hole(10, 12), freed: vec![body(13)] });
    assert_eq!(lane.declare(hole(10, 12), at(2)), None);
    assert_eq!(lane.declare(hole(13, 99), at(3)), None);
    assert_eq!(hear(&mut lane, 14, 13, 4), in_order(&[14]));
}

#[test]
fn a_stream_that_nobody_follows_is_unwanted() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    lane.leave(ROOM);
    assert_eq!(hear(&mut lane, 14, 13, 0), Heard::Unwanted);
    assert_eq!((lane.asks(at(999)), lane.held), (vec![], 0));
}

#[test]
fn a_stream_that_began_with_a_baseline_has_given_out_nothing_yet() {
    let mut lane = lane();
    assert_eq!((lane.position(ROOM), lane.given(ROOM)), (10, 0));
    hear(&mut lane, 11, 4, 0);
    assert_eq!((lane.position(ROOM), lane.given(ROOM)), (11, 11));
}

#[test]
fn while_a_peer_answers_anything_nothing_is_given_up() {
    let mut lane = lane();
    hear(&mut lane, 13, 12, 0);
    assert_eq!(lane.asks(at(0)), [hole(10, 12)]);
    lane.note_answer(at(29_000));
    assert_eq!(lane.overdue(at(59_000)), []);
    assert_eq!(lane.overdue(at(59_001)), [hole(10, 12)]);
}

#[test]
fn beyond_the_bound_what_came_last_is_dropped_and_asked_for_again_and_nothing_is_given_up() {
    let mut lane = lane();
    for number in 13..40 {
        assert_eq!(hear(&mut lane, number, number - 1, 0), Heard::Held);
    }
    assert_eq!((lane.courses[&ROOM].held.len(), lane.places.len()), (9, 9));
    assert_eq!(lane.overdue(at(0)), []);
    assert_eq!(lane.asks(at(0)), [hole(10, 12)]);
    let freed: Vec<u64> = std::iter::once(12).chain(13..22).collect();
    assert_eq!(hear(&mut lane, 12, 10, 1), in_order(&freed));
    assert_eq!((lane.held, lane.places.len()), (0, 0));
    assert_eq!(lane.asks(at(201)), [hole(21, 39)]);
}

#[test]
fn what_is_missed_most_keeps_its_place() {
    let mut lane = lane();
    let state = |number| Frame { origin: NodeId::from_bits(1), number, predecessor: number - 1, body: body(number) };
    (50..59).for_each(|number| assert_eq!(hear(&mut lane, number, number - 1, 0), Heard::Held));
    assert_eq!(lane.hear(Stream::STATE, state(90), 1, at(0)), Heard::Held);
    assert_eq!(hear(&mut lane, 40, 39, 0), Heard::Held);
    let kept = |lane: &Lane, stream| lane.courses[&stream].held.keys().copied().collect::<Vec<_>>();
    assert_eq!(kept(&lane, Stream::STATE), [90]);
    assert_eq!(kept(&lane, ROOM), [40, 50, 51, 52, 53, 54, 55, 56]);
}

#[test]
fn what_did_not_fit_into_an_answer_is_asked_for_at_once() {
    let mut lane = lane();
    hear(&mut lane, 19, 18, 0);
    assert_eq!(lane.asks(at(0)), [hole(10, 18)]);
    assert_eq!(hear(&mut lane, 14, 10, 5), in_order(&[14]));
    assert_eq!(lane.asks(at(6)), []);
    lane.ask_at_once(&[hole(14, 18)], at(6));
    assert_eq!(lane.asks(at(6)), [hole(14, 18)]);
}

#[test]
fn a_stream_that_was_wanted_before_the_peer_was_met_begins_where_it_was_met() {
    let mut lane = lane();
    let other = Stream::from_bits(8);
    lane.note(30);
    lane.follow_from_start(other);
    lane.learn_tail(other, 20, at(0));
    assert_eq!(lane.asks(at(200)), [Hole { stream: other, after: 10, through: 20 }]);
}

#[test]
fn what_waited_for_a_hole_is_given_out_in_steps_and_nothing_passes_it() {
    let mut lane = lane_of(2);
    for number in 12..=16 {
        assert_eq!(hear(&mut lane, number, number - 1, 0), Heard::Held);
    }
    assert_eq!(hear(&mut lane, 11, 0, 0), in_order(&[11, 12]));
    assert_eq!((lane.is_behind(), lane.lacks(ROOM), lane.position(ROOM)), (true, true, 12));
    assert_eq!(lane.asks(at(9000)), [], "nothing is missing");
    assert_eq!(lane.next_freed(at(0)), [body(13), body(14)]);
    assert_eq!(hear(&mut lane, 16, 15, 0), Heard::Double);
    assert_eq!(hear(&mut lane, 17, 16, 0), in_order(&[15, 16]));
    lane.learn_tail(ROOM, 18, at(0));
    assert_eq!(lane.next_freed(at(0)), [body(17)]);
    assert_eq!((lane.is_behind(), lane.position(ROOM)), (false, 17));
    assert_eq!(lane.asks(at(9000)), [hole(17, 18)]);
}

#[test]
fn what_is_left_by_everybody_is_given_out_no_more() {
    let mut lane = lane_of(1);
    hear(&mut lane, 12, 11, 0);
    hear(&mut lane, 13, 12, 0);
    hear(&mut lane, 11, 0, 0);
    lane.leave(ROOM);
    assert_eq!((lane.is_behind(), lane.next_freed(at(0)), lane.held), (false, vec![], 0));
}
