//! Order, duplicates, gaps and their ends, as one peer's frames come in.

use super::*;

const ROOM: Stream = Stream::from_bits(7);

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn sequencer() -> Sequencer {
    sequencer_of(usize::MAX)
}

/// A sequencer that releases so many frames in one step.
fn sequencer_of(step: usize) -> Sequencer {
    let frame = 1 + OVERHEAD;
    let mut sequencer = Sequencer::new(10, SequencerBounds { held: 9 * frame, step: step.saturating_mul(frame) });
    sequencer.follow(ROOM);
    sequencer
}

fn content(number: u64) -> Numbered {
    Numbered::Unknown { kind: 0, stream: Stream::from_bits(number) }
}

fn receive(sequencer: &mut Sequencer, number: u64, predecessor: u64, millis: u64) -> Sequenced {
    let frame = NumberedFrame { number, predecessor, content: content(number), size: 1 };
    sequencer.receive(ROOM, frame, at(millis))
}

/// Frames by their numbers and predecessors.
fn released(frames: &[(u64, u64)]) -> Vec<Released> {
    let released = |(number, predecessor): &(u64, u64)| Released {
        number: *number,
        predecessor: *predecessor,
        content: content(*number),
    };
    frames.iter().map(released).collect()
}

/// These frames were released, whatever stood before each.
fn numbers(sequenced: Sequenced) -> Vec<u64> {
    match sequenced {
        Sequenced::InOrder(released) => released.iter().map(|released| released.number).collect(),
        other => panic!("{other:?}"),
    }
}

fn gap(after: u64, through: u64) -> Gap {
    Gap { stream: ROOM, after, through }
}

#[test]
fn what_was_published_before_we_followed_leaves_no_gap() {
    assert_eq!(numbers(receive(&mut sequencer(), 14, 9, 0)), [14]);
}

#[test]
fn numbers_of_other_streams_leave_no_gap() {
    let mut sequencer = sequencer();
    assert_eq!(numbers(receive(&mut sequencer, 11, 0, 0)), [11]);
    assert_eq!(numbers(receive(&mut sequencer, 17, 11, 0)), [17]);
    assert_eq!(sequencer.asks(at(0)), []);
}

#[test]
fn what_follows_a_gap_is_held_back_and_the_gap_asked_for_at_once_and_every_200_ms() {
    let mut sequencer = sequencer();
    assert_eq!(receive(&mut sequencer, 13, 12, 0), Sequenced::Held);
    assert_eq!(sequencer.asks(at(0)), [gap(10, 12)]);
    assert_eq!(sequencer.asks(at(199)), []);
    assert_eq!(sequencer.asks(at(200)), [gap(10, 12)]);
    assert_eq!(receive(&mut sequencer, 12, 11, 300), Sequenced::Held);
    assert_eq!(sequencer.asks(at(400)), [gap(10, 11)]);
    assert_eq!(numbers(receive(&mut sequencer, 11, 8, 500)), [11, 12, 13]);
    assert_eq!(sequencer.asks(at(9000)), []);
}

#[test]
fn a_gap_is_noticed_once_however_often_it_is_asked_for() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    assert_eq!(sequencer.take_noticed(), 0);
    for millis in [0, 200, 400] {
        assert_eq!(sequencer.asks(at(millis)), [gap(10, 12)]);
    }
    assert_eq!(sequencer.take_noticed(), 1);
    receive(&mut sequencer, 12, 0, 500);
    receive(&mut sequencer, 15, 14, 600);
    assert_eq!(sequencer.asks(at(600)), [gap(13, 14)]);
    assert_eq!(sequencer.take_noticed(), 1);
}

#[test]
fn duplicates_are_dropped_whether_released_or_held() {
    let mut sequencer = sequencer();
    assert_eq!(numbers(receive(&mut sequencer, 11, 0, 0)), [11]);
    assert_eq!(receive(&mut sequencer, 11, 0, 0), Sequenced::Duplicate);
    assert_eq!(receive(&mut sequencer, 13, 12, 0), Sequenced::Held);
    assert_eq!(receive(&mut sequencer, 13, 12, 0), Sequenced::Duplicate);
}

#[test]
fn a_gap_is_marked_lost_thirty_seconds_after_it_was_asked_for_if_nothing_came_at_all() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    assert_eq!(sequencer.asks(at(0)), [gap(10, 12)]);
    assert_eq!(sequencer.overdue(at(30_000)), []);
    assert_eq!(sequencer.overdue(at(30_001)), [gap(10, 12)]);
    let lost = sequencer.mark_lost(gap(10, 12), at(30_001));
    assert_eq!(lost, Some(LostGap { gap: gap(10, 12), released: released(&[(13, 12)]) }));
    assert_eq!(sequencer.overdue(at(99_000)), []);
}

#[test]
fn patience_starts_anew_when_the_peer_can_be_asked_again() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    sequencer.resume(at(29_000));
    assert_eq!(sequencer.overdue(at(90_000)), []);
    assert_eq!(sequencer.asks(at(30_000)), [gap(10, 12)]);
    assert_eq!(sequencer.overdue(at(60_000)), []);
    assert_eq!(sequencer.overdue(at(60_001)), [gap(10, 12)]);
}

#[test]
fn a_lost_head_is_asked_for_once_it_had_time_to_arrive() {
    let mut sequencer = sequencer();
    sequencer.learn_head(ROOM, 15, at(0));
    assert_eq!(sequencer.asks(at(199)), []);
    assert_eq!(sequencer.asks(at(200)), [gap(10, 15)]);
    assert_eq!(numbers(receive(&mut sequencer, 15, 3, 201)), [15]);
    assert_eq!(sequencer.asks(at(999)), []);
}

#[test]
fn a_peer_cannot_mark_lost_what_was_received_or_is_not_missing() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    let lost = sequencer.mark_lost(gap(10, 99), at(1)).unwrap();
    assert_eq!(lost, LostGap { gap: gap(10, 12), released: released(&[(13, 12)]) });
    assert_eq!(sequencer.mark_lost(gap(10, 12), at(2)), None);
    assert_eq!(sequencer.mark_lost(gap(13, 99), at(3)), None);
    assert_eq!(numbers(receive(&mut sequencer, 14, 13, 4)), [14]);
}

#[test]
fn a_frame_of_a_stream_that_is_not_followed_is_ignored() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    sequencer.leave(ROOM);
    assert_eq!(receive(&mut sequencer, 14, 13, 0), Sequenced::NotFollowed);
    assert_eq!((sequencer.asks(at(999)), sequencer.held), (vec![], 0));
}

#[test]
fn a_stream_that_began_with_a_baseline_has_released_nothing_yet() {
    let mut sequencer = sequencer();
    assert_eq!((sequencer.position(ROOM), sequencer.last_released(ROOM)), (10, 0));
    receive(&mut sequencer, 11, 4, 0);
    assert_eq!((sequencer.position(ROOM), sequencer.last_released(ROOM)), (11, 11));
}

#[test]
fn while_a_peer_answers_anything_nothing_is_given_up() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 13, 12, 0);
    assert_eq!(sequencer.asks(at(0)), [gap(10, 12)]);
    sequencer.note_answer(at(29_000));
    assert_eq!(sequencer.overdue(at(59_000)), []);
    assert_eq!(sequencer.overdue(at(59_001)), [gap(10, 12)]);
}

#[test]
fn beyond_the_bound_what_came_last_is_dropped_and_asked_for_again_and_nothing_is_given_up() {
    let mut sequencer = sequencer();
    for number in 13..40 {
        assert_eq!(receive(&mut sequencer, number, number - 1, 0), Sequenced::Held);
    }
    assert_eq!((sequencer.states[&ROOM].held.len(), sequencer.by_priority.len()), (9, 9));
    assert_eq!(sequencer.overdue(at(0)), []);
    assert_eq!(sequencer.asks(at(0)), [gap(10, 12)]);
    let released: Vec<u64> = std::iter::once(12).chain(13..22).collect();
    assert_eq!(numbers(receive(&mut sequencer, 12, 10, 1)), released);
    assert_eq!((sequencer.held, sequencer.by_priority.len()), (0, 0));
    assert_eq!(sequencer.asks(at(201)), [gap(21, 39)]);
}

#[test]
fn what_is_missed_most_keeps_its_place() {
    let mut sequencer = sequencer();
    let state = |number| NumberedFrame { number, predecessor: number - 1, content: content(number), size: 1 };
    (50..59).for_each(|number| assert_eq!(receive(&mut sequencer, number, number - 1, 0), Sequenced::Held));
    assert_eq!(sequencer.receive(Stream::STATE, state(90), at(0)), Sequenced::Held);
    assert_eq!(receive(&mut sequencer, 40, 39, 0), Sequenced::Held);
    let kept = |sequencer: &Sequencer, stream| sequencer.states[&stream].held.keys().copied().collect::<Vec<_>>();
    assert_eq!(kept(&sequencer, Stream::STATE), [90]);
    assert_eq!(kept(&sequencer, ROOM), [40, 50, 51, 52, 53, 54, 55, 56]);
}

#[test]
fn what_did_not_fit_into_an_answer_is_asked_for_at_once() {
    let mut sequencer = sequencer();
    receive(&mut sequencer, 19, 18, 0);
    assert_eq!(sequencer.asks(at(0)), [gap(10, 18)]);
    assert_eq!(numbers(receive(&mut sequencer, 14, 10, 5)), [14]);
    assert_eq!(sequencer.asks(at(6)), []);
    sequencer.ask_at_once(&[gap(14, 18)], at(6));
    assert_eq!(sequencer.asks(at(6)), [gap(14, 18)]);
}

#[test]
fn a_stream_that_was_wanted_before_the_peer_was_met_begins_where_it_was_met() {
    let mut sequencer = sequencer();
    let other = Stream::from_bits(8);
    sequencer.note(30);
    sequencer.follow_from_start(other);
    sequencer.learn_head(other, 20, at(0));
    assert_eq!(sequencer.asks(at(200)), [Gap { stream: other, after: 10, through: 20 }]);
}

#[test]
fn what_waited_for_a_gap_is_released_in_steps_and_nothing_passes_it() {
    let mut sequencer = sequencer_of(2);
    for number in 12..=16 {
        assert_eq!(receive(&mut sequencer, number, number - 1, 0), Sequenced::Held);
    }
    assert_eq!(numbers(receive(&mut sequencer, 11, 0, 0)), [11, 12]);
    assert_eq!((sequencer.is_behind(), sequencer.lacks(ROOM), sequencer.position(ROOM)), (true, true, 12));
    assert_eq!(sequencer.asks(at(9000)), [], "nothing is missing");
    assert_eq!(sequencer.next_released(at(0)), released(&[(13, 12), (14, 13)]));
    assert_eq!(receive(&mut sequencer, 16, 15, 0), Sequenced::Duplicate);
    assert_eq!(numbers(receive(&mut sequencer, 17, 16, 0)), [15, 16]);
    sequencer.learn_head(ROOM, 18, at(0));
    assert_eq!(sequencer.next_released(at(0)), released(&[(17, 16)]));
    assert_eq!((sequencer.is_behind(), sequencer.position(ROOM)), (false, 17));
    assert_eq!(sequencer.asks(at(9000)), [gap(17, 18)]);
}

#[test]
fn a_stream_that_was_left_is_released_no_more() {
    let mut sequencer = sequencer_of(1);
    receive(&mut sequencer, 12, 11, 0);
    receive(&mut sequencer, 13, 12, 0);
    receive(&mut sequencer, 11, 0, 0);
    sequencer.leave(ROOM);
    assert_eq!((sequencer.is_behind(), sequencer.next_released(at(0)), sequencer.held), (false, vec![], 0));
}
