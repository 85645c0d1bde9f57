//! Frames there and back, and frames that nobody should have sent.

use super::*;
use crate::{
    fact::{CachedEvent, Edge, Fact, Generation, Member, Phase, Record},
    hash::spread,
    room::Room,
};

fn room() -> Room {
    Room::new("shop", "presence-room.1").unwrap()
}

fn facts() -> Vec<Fact> {
    let member = Member { user: "7".into(), info: r#"{"name":"Ana"}"#.into(), since: 5, sockets: 2 };
    vec![
        Fact::Connections { app: "shop".into(), sockets: 9 },
        Fact::Count { room: room(), sockets: 3 },
        Fact::Member { room: room(), member },
        Fact::User { app: "shop".into(), user: "é".into(), sockets: u32::MAX },
    ]
}

fn records() -> Vec<Record> {
    let event = CachedEvent { at: 1, ttl: 2, payload: Bytes::from_static(b"\x81\x02{}") };
    let generation = |user: Option<&str>, phase| {
        Record::Generation(Generation { edge: Edge { room: room(), user: user.map(Into::into) }, number: 3, phase })
    };
    vec![
        Record::Cached { room: room(), event },
        generation(None, Phase::Announced),
        generation(Some("7"), Phase::Done),
        generation(Some("8"), Phase::Retired),
        Record::Floor { slot: 1023, number: u64::MAX },
    ]
}

fn bodies() -> Vec<Body> {
    let hole = Hole { stream: Stream::of(&room()), after: 3, through: 9 };
    let event = |except| RoomEvent { room: room(), except, payload: Bytes::from_static(b"\x81\x05hello") };
    let beat = |readiness| Beat {
        count: 1,
        readiness,
        state: 2,
        facts: 3,
        bucket: 4,
        cached: 5,
        generations: 6,
        seen: vec![(NodeId::from_bits(7), 8), (NodeId::from_bits(9), 10)],
        version: "1.0.0".into(),
    };
    vec![
        Body::Facts(facts()),
        Body::Records(records()),
        Body::Event(event(None)),
        Body::Event(event(Some(77))),
        Body::Beat(beat(Readiness::Learning)),
        Body::Beat(beat(Readiness::Ready)),
        Body::Beat(beat(Readiness::Leaving)),
        Body::Bye { hold: Duration::from_secs(40) },
        Body::Tails(vec![Tail { stream: Stream::STATE, number: 4 }]),
        Body::AskTails,
        Body::AskResend(hole),
        Body::Gone(hole),
        Body::AskSnapshot,
        Body::Snapshot(SnapshotPart { state: 3, index: 0, parts: 2, facts: facts() }),
        Body::AskRecords,
        Body::Ledger(records()),
        Body::Barrier { token: 6 },
    ]
}

fn frames() -> impl Iterator<Item = Frame> {
    bodies().into_iter().map(|body| {
        let predecessor = if body.stream().is_some() { 41 } else { 0 };
        Frame { origin: NodeId::from_bits(0xfeed), number: 42, predecessor, body }
    })
}

#[test]
fn every_kind_of_frame_round_trips() {
    for frame in frames() {
        assert_eq!(decode(encode(&frame)), Ok(frame));
    }
}

#[test]
fn every_truncation_and_every_added_byte_is_refused_or_read_as_a_shorter_payload() {
    for frame in frames() {
        let bytes = encode(&frame);
        for end in 0..bytes.len() {
            let Ok(read) = decode(bytes.slice(..end)) else { continue };
            assert!(matches!(read.body, Body::Event(_)), "{read:?}");
        }
        let longer = [&bytes[..], b"x"].concat();
        let is_event = matches!(frame.body, Body::Event(_));
        assert_eq!(decode(longer.into()).err(), (!is_event).then_some(Refusal::Trailing));
    }
}

#[test]
fn the_header_of_an_event_is_twenty_six_bytes_before_its_room() {
    let bytes = encode(&frames().nth(2).unwrap());
    assert_eq!(&bytes[..10], [1, 3, 0, 0, 0, 0, 0, 0, 0xfe, 0xed]);
    assert_eq!(&bytes[HEADER..HEADER + 8], b"\0\0\0\x04shop");
}

fn check(change: impl Fn(&mut Vec<u8>), refusal: Refusal) {
    let mut bytes = encode(&frames().next().unwrap()).to_vec();
    change(&mut bytes);
    assert_eq!(decode(bytes.into()), Err(refusal));
}

#[test]
fn what_no_node_sends_is_refused_by_reason() {
    check(|bytes| bytes.clear(), Refusal::Short);
    check(|bytes| bytes[0] = 2, Refusal::Version);
    check(|bytes| bytes[1] = 0, Refusal::Kind);
    check(|bytes| bytes[1] = 200, Refusal::Kind);
    check(|bytes| bytes[HEADER + 4] = 99, Refusal::Kind);
    check(|bytes| bytes.resize(MAX_FRAME + 1, 0), Refusal::TooLong);
    // A predecessor that is not before its frame.
    check(|bytes| bytes[25] = 42, Refusal::Value);
    // An app's id with a star.
    check(|bytes| bytes[HEADER + 9] = b'*', Refusal::Value);
}

#[test]
fn a_list_that_claims_four_billion_items_is_cut_short() {
    check(|bytes| bytes[HEADER..HEADER + 4].fill(0xff), Refusal::Short);
}

/// Every mutation comes from the round's number alone, so a failure repeats.
#[test]
fn mutated_frames_never_panic_and_what_is_read_can_be_written_again() {
    let originals: Vec<Bytes> = frames().map(|frame| encode(&frame)).collect();
    for round in 0..400_000_u64 {
        let mut bits = spread(round);
        let mut bytes = originals[(bits % originals.len() as u64) as usize].to_vec();
        for _ in 0..=round % 4 {
            bits = spread(bits);
            mutate(&mut bytes, bits);
        }
        if let Ok(frame) = decode(Bytes::from(bytes)) {
            assert_eq!(decode(encode(&frame)), Ok(frame), "round {round}");
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, bits: u64) {
    if bytes.is_empty() {
        return;
    }
    let place = (bits >> 8) as usize % bytes.len();
    let byte = (bits >> 40) as u8;
    match bits % 5 {
        0 => bytes[place] = byte,
        1 => bytes[place] ^= 1 << (byte % 8),
        2 => bytes.truncate(place),
        3 => bytes.insert(place, byte),
        _ => bytes.copy_within(place.., 0),
    }
}
