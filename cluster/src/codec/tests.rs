//! Round trips of frames, and invalid frames.

use std::time::Duration;

use super::*;
use crate::{
    fact::{CachedEvent, Fact, FactKey, Generation, Member, Occupancy, Phase, Record, RecordKey},
    frame::{
        Beat, Gap, Head, LostClaimsPage, Publication, Readiness, RecordPage, Rest, RoomEvent, SnapshotPage, Stream,
    },
    hash::spread,
    page::PageHash,
    room::{MAX_APP, MAX_CHANNEL, NodeId, Room},
    trace::TraceContext,
};

mod minor_3;
mod minor_4;
mod traces;

use minor_3::{claims, lost_claims};
use traces::sampled;

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
        Record::Generation(Generation {
            occupancy: Occupancy { room: room(), user: user.map(Into::into) },
            number: 3,
            phase,
        })
    };
    vec![
        Record::Cached { room: room(), event },
        generation(None, Phase::Announced),
        generation(Some("7"), Phase::Done),
        generation(Some("8"), Phase::Retired),
        Record::Floor { slot: 1023, number: u64::MAX },
    ]
}

fn publication(key: &str, answer: &'static str) -> Publication {
    Publication { app: "shop".into(), key: key.into(), body: u128::MAX - 1, answer: answer.into() }
}

#[test]
fn a_publication_whose_key_no_app_could_have_chosen_is_refused() {
    for key in ["", &"x".repeat(129)] {
        let body = Numbered::Published(publication(key, "{}"));
        let frame = Frame { origin: NodeId::from_bits(1), number: 2, body: body.after(1) };
        assert_eq!(decode(encode(&frame)), Err(DecodeError::Value));
    }
}

fn numbered() -> Vec<Numbered> {
    let event = RoomEvent { room: room(), payload: Bytes::from_static(b"\x81\x05hello"), trace: None };
    vec![
        Numbered::Facts(facts()),
        Numbered::Records(records(), None),
        Numbered::Records(records(), TraceContext::new(u128::MAX, 1)),
        Numbered::Event(RoomEvent { trace: TraceContext::new(1, u64::MAX), ..event.clone() }),
        Numbered::Event(event.clone()),
        Numbered::Event(RoomEvent { trace: sampled(), ..event }),
        Numbered::Records(records(), sampled()),
        Numbered::Claims(claims()),
        Numbered::Published(publication("order-7", "{}")),
        Numbered::Published(publication(&"é".repeat(128), "{}")),
    ]
}

fn unnumbered() -> Vec<Unnumbered> {
    let gap = Gap { stream: Stream::of(&room()), after: 3, through: 9 };
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
        minor: MINOR,
        claims: 11,
    };
    vec![
        Unnumbered::Beat(beat(Readiness::Learning)),
        Unnumbered::Beat(beat(Readiness::Ready)),
        Unnumbered::Beat(beat(Readiness::Leaving)),
        Unnumbered::Bye { hold: Duration::from_secs(40) },
        Unnumbered::Heads(vec![Head { stream: Stream::STATE, number: 4 }]),
        Unnumbered::AskHeads,
        Unnumbered::AskResend(vec![gap, gap]),
        Unnumbered::Gone { gap, events: Some(2) },
        Unnumbered::Unsent(vec![gap]),
        Unnumbered::Snapshot(SnapshotPage { state: 3, after: None, rest: Rest::More, facts: facts() }),
        Unnumbered::Snapshot(SnapshotPage { state: 3, after: keys().pop(), rest: Rest::Nothing, facts: Vec::new() }),
        Unnumbered::RecordPage(RecordPage { after: None, rest: Rest::More, records: records() }),
        Unnumbered::RecordPage(RecordPage { after: record_keys().pop(), rest: Rest::Nothing, records: Vec::new() }),
        Unnumbered::Barrier { token: 6 },
        Unnumbered::AskClaims { after: None },
        Unnumbered::AskClaims { after: Some(PageHash([7; 16])) },
        Unnumbered::Claims(SnapshotPage { state: 3, after: None, rest: Rest::More, facts: claims() }),
        Unnumbered::Claims(SnapshotPage {
            state: 3,
            after: Some(PageHash([9; 16])),
            rest: Rest::Nothing,
            facts: Vec::new(),
        }),
        Unnumbered::AskLostClaims { after: None },
        Unnumbered::AskLostClaims { after: Some((NodeId::from_bits(2), PageHash([7; 16]))) },
        Unnumbered::LostClaims(LostClaimsPage { after: None, rest: Rest::More, claims: lost_claims() }),
    ]
    .into_iter()
    .chain(minor_3::questions())
    .chain([minor_4::acknowledgement()])
    .chain(optional(keys()).map(|after| Unnumbered::AskSnapshot { after }))
    .chain(optional(record_keys()).map(|after| Unnumbered::AskRecords { after }))
    .collect()
}

fn keys() -> Vec<FactKey> {
    facts().iter().map(Fact::key).collect()
}

fn record_keys() -> Vec<RecordKey> {
    records().iter().map(Record::key).collect()
}

fn optional<T>(values: Vec<T>) -> impl Iterator<Item = Option<T>> {
    std::iter::once(None).chain(values.into_iter().map(Some))
}

fn frames() -> impl Iterator<Item = Frame> {
    let numbered = numbered().into_iter().map(|content| content.after(41));
    let bodies = numbered.chain(unnumbered().into_iter().map(Body::from));
    bodies.map(|body| Frame { origin: NodeId::from_bits(0xfeed), number: 42, body })
}

/// Where the event without a trace stands among the frames, that with one, and that with one that is sampled.
const EVENT: usize = 4;
const TRACED_EVENT: usize = 3;
const SAMPLED_EVENT: usize = 5;

#[test]
fn every_kind_of_frame_round_trips() {
    for frame in frames() {
        assert_eq!(decode(encode(&frame)), Ok(frame));
    }
}

#[test]
fn a_frame_takes_the_memory_of_its_bytes() {
    for frame in frames() {
        let bytes = encode(&frame);
        let length = bytes.len();
        assert_eq!(Vec::from(bytes).capacity(), length, "{frame:?}");
    }
}

#[test]
fn every_truncation_and_every_added_byte_is_refused() {
    for frame in frames() {
        let bytes = encode(&frame);
        for end in 0..bytes.len() {
            assert_eq!(decode(bytes.slice(..end)), Err(DecodeError::Short), "{frame:?} up to {end}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(decode(longer.into()), Err(DecodeError::Trailing));
    }
}

#[test]
fn the_header_of_an_event_is_thirty_six_bytes_before_its_room() {
    let bytes = encode(&frames().nth(EVENT).unwrap());
    assert_eq!(&bytes[..12], [1, 36, 0, 0x83, 0, 0, 0, 0, 0, 0, 0xfe, 0xed]);
    assert_eq!(bytes[28..36], Stream::of(&room()).bits().to_be_bytes());
    assert_eq!(&bytes[HEADER..HEADER + 8], b"\0\0\0\x04shop");
}

#[test]
fn an_earlier_release_does_not_count_the_events_that_are_gone() {
    let gap = Gap { stream: Stream::STATE, after: 3, through: 9 };
    let frame =
        |events| Frame { origin: NodeId::from_bits(1), number: 42, body: Unnumbered::Gone { gap, events }.into() };
    let (earlier, later) = (encode(&frame(None)), encode(&frame(Some(2))));
    assert_eq!((earlier[2], later[2], later.len() - earlier.len()), (0, 2, 8));
    assert_eq!(decode(earlier), Ok(frame(None)));
}

/// The frame as the next minor release would write it: with two more bytes in the header and three behind the body.
fn newer(frame: &Frame) -> Vec<u8> {
    let bytes = encode(frame);
    let (header, body) = bytes.split_at(usize::from(bytes[1]));
    let padding = vec![0; SAMPLED_HEADER - header.len()];
    let mut newer = [header, &padding, b"hh", body, b"bbb"].concat();
    newer[1] = u8::try_from(SAMPLED_HEADER + 2).unwrap();
    newer[2] = MINOR + 1;
    newer
}

#[test]
fn what_a_later_minor_release_appends_is_passed_over() {
    for frame in frames() {
        assert_eq!(decode(newer(&frame).into()), Ok(frame));
    }
}

#[test]
fn an_unknown_kind_of_a_later_minor_release_keeps_its_place_in_its_stream() {
    let mut bytes = newer(&frames().nth(EVENT).unwrap());
    bytes[3] = 0xf0;
    let content = Numbered::Unknown { kind: 0xf0, stream: Stream::of(&room()) };
    let frame = Frame { origin: NodeId::from_bits(0xfeed), number: 42, body: content.after(41) };
    assert_eq!(decode(bytes.into()), Ok(frame));
    let mut bytes = newer(&Frame { body: Unnumbered::AskHeads.into(), ..frames().next().unwrap() });
    bytes[3] = 0x70;
    let unnumbered = decode(bytes.into()).unwrap();
    assert_eq!(unnumbered.body, Unnumbered::Unknown { kind: 0x70 }.into());
}

fn check(change: impl Fn(&mut Vec<u8>), error: DecodeError) {
    let mut bytes = encode(&frames().next().unwrap()).to_vec();
    change(&mut bytes);
    assert_eq!(decode(bytes.into()), Err(error));
}

#[test]
fn what_no_node_sends_is_refused_by_reason() {
    check(Vec::clear, DecodeError::Short);
    check(|bytes| bytes[0] = 2, DecodeError::Version);
    check(|bytes| bytes[HEADER + 4] = 99, DecodeError::Kind);
    check(|bytes| bytes.resize(MAX_FRAME + 1, 0), DecodeError::TooLong);
    // A header that is shorter than ours, and a longer one of our own minor version.
    check(|bytes| bytes[1] = 35, DecodeError::Value);
    check(|bytes| bytes[1] = 37, DecodeError::Value);
    // A header that ends behind the frame.
    check(|bytes| (bytes[1], bytes[2]) = (255, MINOR + 1), DecodeError::Short);
    // Unknown kinds, numbered and not.
    check(|bytes| bytes[3] = 0xc8, DecodeError::Kind);
    check(|bytes| (bytes[3], bytes[27]) = (0, 0), DecodeError::Kind);
    // A predecessor that is not before its frame, and one on a frame without a number.
    check(|bytes| bytes[27] = 42, DecodeError::Value);
    check(|bytes| bytes[3] = 1, DecodeError::Value);
    // Facts in the stream of a room.
    check(|bytes| bytes[35] = 7, DecodeError::Value);
    // An app's id with a star.
    check(|bytes| bytes[HEADER + 9] = b'*', DecodeError::Value);
}

#[test]
fn an_event_in_the_stream_of_another_room_is_refused() {
    let mut bytes = encode(&frames().nth(EVENT).unwrap()).to_vec();
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(b"spam");
    assert_eq!(decode(bytes.into()), Err(DecodeError::Value));
}

#[test]
fn a_list_that_claims_four_billion_items_is_cut_short() {
    check(|bytes| bytes[HEADER..HEADER + 4].fill(0xff), DecodeError::Short);
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
        let Ok(frame) = decode(Bytes::from(bytes)) else { continue };
        let is_unknown = matches!(
            frame.body,
            Body::Numbered { content: Numbered::Unknown { .. }, .. } | Body::Unnumbered(Unnumbered::Unknown { .. })
        );
        if !is_unknown {
            assert_eq!(decode(encode(&frame)), Ok(frame), "round {round}");
        }
    }
}

#[test]
fn random_bytes_are_never_read_as_a_frame_that_cannot_be_written() {
    for round in 0..200_000_u64 {
        let words = (0..round % 40).map(|word| spread(round << 8 | word).to_be_bytes());
        let mut bytes: Vec<u8> = words.flatten().collect();
        // Past the first checks, or nothing would come of it.
        bytes.iter_mut().zip([VERSION, 36, 0]).for_each(|(byte, right)| *byte = right);
        if let Ok(frame) = decode(Bytes::from(bytes)) {
            assert_eq!(decode(encode(&frame)), Ok(frame), "round {round}");
        }
    }
}

#[test]
fn a_frame_of_many_small_facts_takes_few_times_its_size() {
    let fact = Fact::Connections { app: "a".into(), sockets: 1 };
    let body = Numbered::Facts(vec![fact; 100_000]);
    let bytes = encode(&Frame { origin: NodeId::from_bits(1), number: 1, body: body.after(0) });
    let size = bytes.len();
    let Body::Numbered { content: Numbered::Facts(facts), .. } = decode(bytes).unwrap().body else {
        panic!("facts are facts")
    };
    let names = facts.len() * (2 * size_of::<usize>() + 8);
    assert!(facts.capacity() * size_of::<Fact>() + names < 32 * size, "{} facts of {size} bytes", facts.capacity());
}

fn mutate(bytes: &mut Vec<u8>, bits: u64) {
    if bytes.is_empty() {
        return;
    }
    let index = (bits >> 8) as usize % bytes.len();
    let byte = (bits >> 40) as u8;
    match bits % 5 {
        0 => bytes[index] = byte,
        1 => bytes[index] ^= 1 << (byte % 8),
        2 => bytes.truncate(index),
        3 => bytes.insert(index, byte),
        _ => bytes.copy_within(index.., 0),
    }
}

#[test]
fn an_event_takes_as_much_memory_as_its_size() {
    let event = RoomEvent { room: room(), payload: Bytes::from_static(b"\x81\x05hello"), trace: None };
    let size = numbered::event_size(&event);
    let frame = Frame { origin: NodeId::from_bits(1), number: 1, body: Numbered::Event(event).after(0) };
    assert_eq!(encode(&frame).len(), HEADER + size);
}
