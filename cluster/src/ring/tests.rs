//! What a resend has, what is gone, and for how long the rest stays.

use super::*;

const ROOM: Stream = Stream::from_bits(7);

fn ring(frames: usize) -> Ring {
    Ring::new(Retention { age: Duration::from_secs(60), bytes: 5 * OVERHEAD + 1000, frames })
}

fn push(ring: &mut Ring, stream: Stream, predecessor: u64, text: &'static str) {
    let bytes = Bytes::from_static(text.as_bytes());
    let events = u8::from(stream == ROOM);
    ring.push(Sent {
        subject: Subject::State,
        stream,
        predecessor,
        events,
        at: Duration::ZERO,
        waited: Duration::ZERO,
        bytes,
    });
}

/// Numbers 1, 3 and 5 are of the state stream, 2 and 4 of a room.
fn mixed(frames: usize) -> Ring {
    let mut ring = ring(frames);
    for (stream, predecessor, text) in
        [(Stream::STATE, 0, "1"), (ROOM, 0, "2"), (Stream::STATE, 1, "3"), (ROOM, 2, "4"), (Stream::STATE, 3, "5")]
    {
        push(&mut ring, stream, predecessor, text);
    }
    ring
}

fn check(ring: &Ring, (stream, after, through): (Stream, u64, u64), frames: &[&'static str], gone: Option<(u64, u64)>) {
    let resend = ring.resend(Gap { stream, after, through }, 1000);
    let frames = frames.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
    let gone = gone.map(|(through, events)| Gone { through, events });
    assert_eq!(resend, Resend { frames, gone, unsent: None });
}

#[test]
fn a_resend_has_one_stream_only_and_the_oldest_first() {
    check(&mixed(9), (Stream::STATE, 0, 5), &["1", "3", "5"], None);
    check(&mixed(9), (Stream::STATE, 1, 3), &["3"], None);
    check(&mixed(9), (ROOM, 0, 4), &["2", "4"], None);
}

#[test]
fn what_the_ring_no_longer_holds_is_reported_gone() {
    check(&mixed(3), (Stream::STATE, 0, 5), &["3", "5"], Some((1, 0)));
    check(&mixed(3), (ROOM, 0, 4), &["4"], Some((2, 1)));
    check(&mixed(3), (ROOM, 0, 2), &[], Some((2, 1)));
}

#[test]
fn a_number_of_another_stream_or_of_the_future_is_reported_gone() {
    check(&mixed(9), (ROOM, 0, 5), &[], Some((5, 0)));
    check(&mixed(9), (ROOM, 2, 99), &[], Some((99, 0)));
}

#[test]
fn a_resend_is_no_longer_than_asked() {
    let gap = Gap { stream: Stream::STATE, after: 0, through: 5 };
    let resend = mixed(9).resend(gap, 2);
    let unsent = Some(Gap { after: 3, ..gap });
    assert_eq!(resend, Resend { frames: vec![Bytes::from("1"), Bytes::from("3")], gone: None, unsent });
}

#[test]
fn age_and_bytes_bound_the_ring() {
    let mut ring = mixed(9);
    ring.expire(Duration::from_secs(60));
    assert_eq!(ring.first(), 1);
    ring.expire(Duration::from_secs(61));
    assert_eq!((ring.first(), ring.get(5).is_none()), (6, true));
    let large: &'static str = Box::leak("x".repeat(4 * OVERHEAD + 999).into_boxed_str());
    push(&mut ring, ROOM, 4, large);
    push(&mut ring, ROOM, 6, "7");
    push(&mut ring, ROOM, 7, "8");
    assert_eq!(ring.first(), 7);
}

#[test]
fn events_that_are_gone_are_counted_by_stream_and_only_those_that_were_asked_for() {
    let mut ring = mixed(1);
    let events =
        |ring: &Ring, stream, after, through| ring.resend(Gap { stream, after, through }, 1).gone.unwrap().events;
    assert_eq!([events(&ring, ROOM, 0, 4), events(&ring, ROOM, 2, 4), events(&ring, Stream::STATE, 0, 3)], [2, 1, 0]);
    push(&mut ring, ROOM, 4, "6");
    push(&mut ring, ROOM, 6, "7");
    assert_eq!(events(&ring, ROOM, 0, 7), 3);
}

#[test]
fn a_ring_lasts_until_the_first_frame_is_too_old_or_there_is_no_room_for_it() {
    let retention = Retention { age: Duration::from_secs(60), bytes: 100 * (OVERHEAD + 1), frames: 999 };
    let mut ring = Ring::new(retention);
    let at = Duration::from_secs;
    assert_eq!(ring.lasts(1, at(0)), at(60));
    for second in 1..=30 {
        ring.push(Sent { at: at(second), ..ring_frame() });
    }
    assert_eq!(ring.lasts(31, at(30)), at(60), "a frame a second needs a hundred seconds to fill it");
    assert_eq!(ring.lasts(1, at(30)), at(31), "the first frame is 29 s old");
    for _ in 0..40 {
        ring.push(Sent { at: at(30), ..ring_frame() });
    }
    let lasts = ring.lasts(1, at(30)).as_secs_f64();
    assert!((lasts - 30.0 * 30.0 / 70.0).abs() < 0.01, "{lasts} s for 30 frames where 70 came in 30 s");
    for _ in 0..40 {
        ring.push(Sent { at: at(30), ..ring_frame() });
    }
    assert_eq!(ring.lasts(ring.first(), at(30)), Duration::ZERO);
}

fn ring_frame() -> Sent {
    let bytes = Bytes::from_static(b"x");
    Sent {
        subject: Subject::State,
        stream: ROOM,
        predecessor: 0,
        events: 1,
        at: Duration::ZERO,
        waited: Duration::ZERO,
        bytes,
    }
}

#[test]
fn a_gap_is_remembered_while_one_frame_of_its_stream_is_there() {
    let ring = mixed(2);
    let remembers = |stream, after, through| ring.remembers(Gap { stream, after, through });
    assert!(remembers(ROOM, 0, 4) && remembers(Stream::STATE, 0, 9));
    assert!(!remembers(ROOM, 0, 3) && !remembers(Stream::STATE, 0, 4));
}
