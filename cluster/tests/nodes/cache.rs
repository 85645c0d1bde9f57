//! Cached events: kept by all nodes, whichever published them.

use gaung_cluster::{
    Subject,
    codec::encode,
    core::{Bounds, Input, Output},
    fact::{CachedEvent, Record},
    frame::{Frame, RecordPage, Rest, Unnumbered},
    remote::RemoteState,
};

use crate::pair::{A, B, Pair, id, room};

/// An event of so many milliseconds after the start.
pub fn cached(at: u64, payload: &'static str) -> CachedEvent {
    CachedEvent { at: at * 1000, ttl: 60_000_000, payload: payload.into() }
}

pub fn cache(event: CachedEvent) -> Input {
    Input::Cache { room: room("cache-news"), event, trace: None }
}

#[test]
fn a_cached_event_outlives_its_publisher() {
    let mut pair = Pair::acquainted();
    pair.step(A, cache(cached(4_000, "old")));
    pair.is_cut = true;
    pair.pass_for(&[B], 6_000);
    assert_eq!(pair.nodes[B].cached(&room("cache-news")), Some(&cached(4_000, "old")));
    pair.outputs.clear();
    pair.step(B, Input::Serve(room("cache-news")));
    let last = Some(cached(4_000, "old"));
    let state =
        RemoteState { room: room("cache-news"), sockets: 0, members: Vec::new(), cached: last, positions: Vec::new() };
    assert!(pair.wanted(B, &Output::Serving(state)));
}

#[test]
fn an_event_of_a_cache_channel_is_a_live_one_where_it_is_served_whether_or_not_it_is_the_newest() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("cache-news")));
    pair.outputs.clear();
    pair.step(A, cache(cached(4_000, "new")));
    pair.step(A, cache(cached(3_000, "late")));
    let live = |event| (B, Output::Cached(id(A), room("cache-news"), event, None));
    assert_eq!(pair.outputs, [live(cached(4_000, "new")), live(cached(3_000, "late"))]);
    assert_eq!(pair.nodes[B].cached(&room("cache-news")), Some(&cached(4_000, "new")));
}

#[test]
fn a_cached_event_that_was_missed_is_repaired_silently() {
    let mut pair = Pair::acquainted();
    pair.step(B, Input::Serve(room("cache-news")));
    pair.outputs.clear();
    let record = Record::Cached { room: room("cache-news"), event: cached(4_000, "missed") };
    let page = RecordPage { after: None, rest: Rest::Nothing, records: vec![record] };
    let page = Frame { origin: id(A), number: 9, body: Unnumbered::RecordPage(page).into() };
    pair.step(B, Input::Received { subject: Subject::Node(id(B)), bytes: encode(&page) });
    assert_eq!(pair.outputs, [(B, Output::CacheRepaired(room("cache-news"), cached(4_000, "missed")))]);
}

#[test]
fn events_that_are_too_many_go_oldest_first_on_every_node_and_rooms_are_notified() {
    const MEGABYTE: &[u8] = &[b'x'; 1_000_000];
    let fit = Bounds::default().cache.app / MEGABYTE.len();
    let channel = |number: usize| room(&format!("cache-{number}"));
    let mut pair = Pair::acquainted();
    for node in [A, B] {
        pair.step(node, Input::Serve(channel(0)));
    }
    pair.outputs.clear();
    for number in 0..=fit {
        let event = CachedEvent { at: 4_000_000 + number as u64, ttl: 60_000_000, payload: MEGABYTE.into() };
        pair.step(A, Input::Cache { room: channel(number), event, trace: None });
    }
    for node in [A, B] {
        assert!(pair.wanted(node, &Output::CacheEvicted(channel(0), 4_000_000)));
        let kept = (0..=fit).filter(|number| pair.nodes[node].cached(&channel(*number)).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), (1..=fit).collect::<Vec<_>>());
        assert_eq!(pair.nodes[node].counters().cache_evicted, 1);
    }
}
