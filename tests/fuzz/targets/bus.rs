//! Frames of other nodes, or of anything else that can publish on the bus: the decoder is total, what it understands is
//! encoded as it was, and no sequence of frames stops a node. The same of the questions and pages
//! that frames carry.
#![no_main]

use std::time::{Duration, Instant};

use bytes::Bytes;
use gaung::{
    cluster::Question,
    page::{HandedPage, LeftPage},
};
use gaung_cluster::{
    NodeId, Room, Subject,
    codec::{decode, encode},
    core::{Core, Input, Moment, Settings},
    detector::Inbound,
    frame::{Body, Frame, Numbered, Unnumbered},
};
use libfuzzer_sys::fuzz_target;

const NODE: NodeId = NodeId::from_bits(1);

fuzz_target!(|bytes: &[u8]| {
    let room = Room::new("app", "room").expect("the names are valid");
    let subjects = [Subject::State, Subject::Node(NODE), Subject::Room(room.clone())];
    let settings = Settings::new(NODE, "fuzz", 2);
    let (mut core, mut now) = (Core::new(settings), Moment::default());
    core.step(Input::Connected, now);
    core.step(Input::Serve(room), now);
    let mut rest = Bytes::copy_from_slice(bytes);
    while let Some((subject, pause, bytes)) = next(&mut rest) {
        check_encoding(bytes.clone());
        now.up += Duration::from_millis(u64::from(pause) * 10);
        now.wall = now.up;
        core.step(Input::Received { subject: subjects[usize::from(subject) % subjects.len()].clone(), bytes }, now);
        core.step(Input::Tick(Inbound::Drained), now);
    }
});

/// Subject, pause and length of a frame in four bytes, and the frame.
fn next(rest: &mut Bytes) -> Option<(u8, u8, Bytes)> {
    if rest.len() < 4 {
        return None;
    }
    let head = rest.split_to(4);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    Some((head[0], head[1], rest.split_to(length.min(rest.len()))))
}

fn check_encoding(bytes: Bytes) {
    match decode(bytes) {
        Err(_) => {}
        Ok(Frame { body: Body::Unnumbered(Unnumbered::Unknown { .. }), .. }) => {}
        Ok(Frame { body: Body::Numbered { content: Numbered::Unknown { .. }, .. }, .. }) => {}
        Ok(frame) => {
            assert_eq!(decode(encode(&frame)).ok().as_ref(), Some(&frame));
            match frame.body {
                Body::Unnumbered(Unnumbered::Question { question, .. }) => check_question(question),
                Body::Unnumbered(Unnumbered::Answer { answer, .. }) => check_page(answer),
                _ => {}
            }
        }
    }
}

fn check_question(bytes: Bytes) {
    if let Some(question) = Question::read(bytes) {
        assert_eq!(Question::read(question.encode()), Some(question.clone()));
        if let Question::LeftPages(pages) = question {
            check_left_pages(pages);
        }
    }
}

fn check_left_pages(bytes: Bytes) {
    let now = Instant::now();
    if let Some(pages) = LeftPage::read(bytes, now) {
        let parts = LeftPage::parts(&pages, now).into_iter();
        let read: Vec<LeftPage> =
            parts.flat_map(|part| LeftPage::read(part.bytes, now).expect("it was written")).collect();
        assert_eq!(read, pages);
    }
}

fn check_page(bytes: Bytes) {
    let now = Instant::now();
    if let Some(page) = HandedPage::read(bytes, now) {
        assert_eq!(HandedPage::read(page.encode(now), now), Some(page));
    }
}
