//! A node of the next minor release beside one of this.

use gaung_cluster::{
    Subject, TraceContext,
    codec::{MINOR, SAMPLED_HEADER, encode},
    core::{Input, Output},
    frame::{Frame, RoomEvent, Unnumbered},
    peer::Stage,
};

use crate::{
    cache::{cache, cached},
    event,
    pair::{A, B, Pair, delivered, id, member, room},
    stage,
};

#[test]
fn a_node_of_the_next_minor_release_and_one_of_this_work_together() {
    let mut pair = Pair::strangers();
    pair.newer = Some(A);
    pair.step(A, Input::Fact(member("6", 1)));
    pair.step(A, Input::Connected);
    pair.step(B, Input::Connected);
    pair.pass(4_000);
    assert_eq!((stage(&pair, A), stage(&pair, B)), (vec![Stage::Live], vec![Stage::Live]));
    for slot in [A, B] {
        pair.step(slot, Input::Serve(room("orders")));
        pair.step(slot, Input::Serve(room("cache-news")));
    }
    pair.outputs.clear();
    pair.step(A, Input::Publish(event("1")));
    pair.step(B, Input::Publish(event("2")));
    pair.step(A, cache(cached(4_000, "3")));
    pair.step(A, Input::Fact(member("7", 1)));
    pair.step(B, Input::Fact(member("8", 1)));
    let news = Output::Cached(id(A), room("cache-news"), cached(4_000, "3"), None);
    let (first, second) = (delivered(A, event("1")), delivered(B, event("2")));
    assert_eq!(pair.outputs, [(B, first), (A, second), (B, news)]);
    assert_eq!((pair.moves(A), pair.moves(B)), (&["+6", "+7", "+8"].map(String::from)[..], pair.moves(A)));
    let counters = pair.nodes[B].counters();
    assert_eq!((counters.refused.len(), counters.unknown, counters.asked), (0, 0, 0));
}

#[test]
fn the_trace_of_an_event_is_carried_also_by_a_node_of_the_next_minor_release() {
    for (newer, is_sampled) in [(None, false), (None, true), (Some(A), false), (Some(A), true)] {
        let mut pair = Pair::acquainted();
        pair.newer = newer;
        ["orders", "cache-news"].iter().for_each(|channel| pair.step(B, Input::Serve(room(channel))));
        pair.outputs.clear();
        let trace = TraceContext::new(7, 8).map(|trace| trace.with_sampled(is_sampled));
        let traced = RoomEvent { trace, ..event("1") };
        pair.step(A, Input::Publish(traced.clone()));
        pair.step(A, Input::Cache { room: room("cache-news"), event: cached(4_000, "2"), trace });
        let news = Output::Cached(id(A), room("cache-news"), cached(4_000, "2"), trace);
        assert_eq!(pair.outputs, [(B, delivered(A, traced)), (B, news)]);
    }
}

#[test]
fn an_event_that_is_sent_again_comes_of_the_same() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    let traced = RoomEvent { trace: TraceContext::new(7, 8), ..event("1") };
    pair.is_cut = true;
    pair.step(A, Input::Publish(traced.clone()));
    pair.is_cut = false;
    pair.pass(3_000);
    assert_eq!(pair.outputs, [(B, delivered(A, traced))]);
    assert!(pair.nodes[B].counters().asked > 0);
}

#[test]
fn a_later_releases_event_of_an_unknown_kind_is_counted_and_leaves_no_gap() {
    let mut pair = Pair::acquainted();
    pair.newer = Some(A);
    pair.step(B, Input::Serve(room("orders")));
    pair.outputs.clear();
    pair.disguised = Some(0xf3);
    pair.step(A, Input::Publish(event("1")));
    pair.disguised = None;
    pair.step(A, Input::Publish(event("2")));
    assert_eq!(pair.outputs, [(B, delivered(A, event("2")))]);
    pair.pass(3_000);
    let counters = pair.nodes[B].counters();
    assert_eq!((counters.unknown, counters.asked, counters.gaps_lost), (1, 0, 0));
}

#[test]
fn a_later_releases_news_of_an_unknown_kind_is_counted_and_state_goes_on() {
    let mut pair = Pair::acquainted();
    pair.newer = Some(A);
    pair.disguised = Some(0xf3);
    pair.step(A, cache(cached(4_000, "1")));
    pair.disguised = None;
    pair.step(A, Input::Fact(member("7", 1)));
    assert_eq!(pair.moves(B), ["+7"]);
    pair.pass(1_000);
    let counters = pair.nodes[B].counters();
    assert_eq!((counters.unknown, counters.asked, counters.snapshots), (1, 0, 1));
}

#[test]
fn an_unknown_kind_without_a_number_is_counted_wherever_it_comes() {
    let mut pair = Pair::acquainted();
    let frame = Frame { origin: id(A), number: 0, body: Unnumbered::AskHeads.into() };
    for subject in [Subject::State, Subject::Node(id(B))] {
        let bytes = newer(&encode(&frame), Some(0x73));
        pair.step(B, Input::Received { subject, bytes: bytes.into() });
    }
    let counters = pair.nodes[B].counters();
    assert_eq!((counters.unknown, counters.misdirected, pair.outputs.len()), (2, 0, 0));
}

/// A frame as the next minor release would write it: five more bytes of header, three more of body, and perhaps a kind
/// that it brought. Where there is no trace, its place is empty.
pub fn newer(bytes: &[u8], kind: Option<u8>) -> Vec<u8> {
    let (header, body) = bytes.split_at(usize::from(bytes[1]));
    let place = vec![0; SAMPLED_HEADER - header.len()];
    let mut newer = [header, &place, b"hhhhh", body, b"bbb"].concat();
    newer[1] = u8::try_from(SAMPLED_HEADER + 5).expect("a header is short");
    newer[2] = MINOR + 1;
    newer[3] = kind.unwrap_or(newer[3]);
    newer
}
