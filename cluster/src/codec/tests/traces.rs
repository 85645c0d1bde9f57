//! The trace in the header of a frame.

use super::*;

/// A trace whose spans are recorded.
pub(super) fn sampled() -> Option<TraceContext> {
    TraceContext::new(1, u64::MAX).map(|trace| trace.with_sampled(true))
}

#[test]
fn an_earlier_release_passes_over_what_an_event_comes_of() {
    let traced = encode(&frames().nth(TRACED_EVENT).unwrap());
    assert_eq!(&traced[..4], [1, 60, 1, 0x83], "a longer header, of a later minor version");
    // What it reads then is the first 36 bytes and what follows the header.
    let mut passed_over = [&traced[..HEADER], &traced[TRACED_HEADER..]].concat();
    (passed_over[1], passed_over[2]) = (36, 0);
    assert_eq!(passed_over, encode(&frames().nth(EVENT).unwrap()));
}

#[test]
fn an_earlier_release_passes_over_whether_a_trace_is_sampled() {
    let sampled = encode(&frames().nth(SAMPLED_EVENT).unwrap());
    assert_eq!(&sampled[..4], [1, 61, 4, 0x83], "a longer header, of a later minor version");
    let mut passed_over = [&sampled[..TRACED_HEADER], &sampled[SAMPLED_HEADER..]].concat();
    (passed_over[1], passed_over[2]) = (60, 1);
    assert_eq!(passed_over, encode(&frames().nth(TRACED_EVENT).unwrap()));
}

#[test]
fn flags_that_no_node_sends_are_refused_but_of_a_later_release() {
    let sampled = encode(&frames().nth(SAMPLED_EVENT).unwrap()).to_vec();
    for (flags, of_a_later_release) in [(0, Some(false)), (2, Some(false)), (3, Some(true)), (255, Some(true))] {
        let mut bytes = sampled.clone();
        bytes[TRACED_HEADER] = flags;
        assert_eq!(decode(bytes.clone().into()), Err(DecodeError::Value), "{flags}");
        bytes[2] = MINOR + 1;
        let trace = decode(bytes.into()).unwrap().body.trace();
        assert_eq!(trace.map(TraceContext::is_sampled), of_a_later_release, "{flags}");
    }
}

#[test]
fn a_trace_that_no_node_sends_is_refused() {
    let traced = encode(&frames().nth(TRACED_EVENT).unwrap()).to_vec();
    let check = |change: &dyn Fn(&mut Vec<u8>), error| {
        let mut bytes = traced.clone();
        change(&mut bytes);
        assert_eq!(decode(bytes.into()), Err(error));
    };
    // Without a trace, without a span, and in a release that had none.
    check(&|bytes| bytes[HEADER..HEADER + 16].fill(0), DecodeError::Value);
    check(&|bytes| bytes[HEADER + 16..TRACED_HEADER].fill(0), DecodeError::Value);
    check(&|bytes| bytes[2] = 0, DecodeError::Value);
    // Flags before there were any.
    check(&|bytes| (bytes[1], bytes[2]) = (61, 3), DecodeError::Value);
    // A part of it, also from a later release, and more than it.
    for minor in [MINOR, MINOR + 1] {
        check(&|bytes| (bytes[1], bytes[2]) = (59, minor), DecodeError::Value);
        check(&|bytes| (bytes[1], bytes[2]) = (37, minor), DecodeError::Value);
    }
    check(&|bytes| bytes[1] = 61, DecodeError::Value);
    // On facts, which come of no request.
    let facts = encode(&frames().next().unwrap());
    let mut claimed = [&facts[..HEADER], &traced[HEADER..TRACED_HEADER], &facts[HEADER..]].concat();
    (claimed[1], claimed[2]) = (60, 1);
    assert_eq!(decode(claimed.into()), Err(DecodeError::Value));
}

#[test]
fn the_longest_names_and_a_trace_fit_into_the_envelope() {
    let room = Room::new(&"a".repeat(MAX_APP), &"c".repeat(MAX_CHANNEL)).unwrap();
    let event = RoomEvent { room, payload: Bytes::from_static(b"1"), trace: sampled() };
    let frame = Frame { origin: NodeId::from_bits(1), number: 1, body: Numbered::Event(event).after(0) };
    assert!(encode(&frame).len() <= ENVELOPE + 1);
}
