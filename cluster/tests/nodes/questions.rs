//! Questions that a node asks another one.

use std::time::Duration;

use gaung_cluster::{
    Subject,
    codec::encode,
    core::{Input, Output},
    frame::{Frame, Unnumbered},
};

use crate::pair::{A, B, Pair, earlier, id};

fn ask(number: u64, question: &'static str) -> Input {
    Input::Ask { to: id(B), number, question: question.into() }
}

fn asked(question: &'static str) -> (usize, Output) {
    (B, Output::Asked { from: id(A), number: 7, question: question.into() })
}

fn answered(answer: &'static str) -> (usize, Output) {
    (A, Output::Answered { from: id(B), number: 7, answer: answer.into() })
}

#[test]
fn a_question_comes_to_the_one_node_and_its_answer_back() {
    let mut pair = Pair::acquainted();
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [asked("who")]);
    pair.outputs.clear();
    pair.step(B, Input::Answer { to: id(A), number: 7, answer: "me".into() });
    assert_eq!(pair.outputs, [answered("me")]);
}

#[test]
fn a_node_that_is_leaving_still_answers_and_asks() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Bye { hold: Duration::from_secs(10) });
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [asked("who")]);
    pair.step(B, Input::Answer { to: id(A), number: 7, answer: "me".into() });
    pair.step(B, Input::Ask { to: id(A), number: 8, question: "and you".into() });
    let back = Output::Asked { from: id(B), number: 8, question: "and you".into() };
    assert_eq!(pair.outputs[1..], [answered("me"), (A, back)]);
}

#[test]
fn a_question_that_nobody_can_hear_is_answered_at_once_with_nothing() {
    // Of a node that is not known, of one that is dead, and while the bus is away.
    let mut pair = Pair::strangers();
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [answered("")]);
    let mut pair = Pair::acquainted();
    pair.pass_for(&[A], 7_000);
    pair.outputs.clear();
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [answered("")]);
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Disconnected);
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [answered("")]);
}

#[test]
fn an_answer_that_no_frame_can_hold_goes_without_its_content() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Answer { to: id(A), number: 7, answer: vec![0; 1 << 20].into() });
    assert_eq!(pair.outputs, [answered("")]);
    assert_eq!(pair.nodes[B].counters().oversized, 1);
}

#[test]
fn a_node_of_an_earlier_release_is_not_asked() {
    let mut pair = Pair::acquainted();
    let bytes = earlier(&mut pair, B, 0);
    pair.step(A, Input::Received { subject: Subject::State, bytes });
    assert_eq!(pair.nodes[A].peers_to_ask().count(), 0);
    pair.step(A, ask(7, "who"));
    assert_eq!(pair.outputs, [answered("")]);
}

#[test]
fn questions_are_heard_on_the_subject_of_their_node_alone() {
    let mut pair = Pair::acquainted();
    let body = Unnumbered::Question { number: 7, question: "who".into() };
    let frame = Frame { origin: id(A), number: 0, body: body.into() };
    pair.step(B, Input::Received { subject: Subject::State, bytes: encode(&frame) });
    assert_eq!((pair.outputs.len(), pair.nodes[B].counters().misdirected), (0, 1));
}
