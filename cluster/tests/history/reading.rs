//! What is stored is read again, with the truth about what is not there.

use std::time::Duration;

use gaung_cluster::{
    NodeId,
    codec::decode,
    history::{HistorySettings, ReadError},
};

use crate::node::{Node, STREAM, WINDOW, jetstream, payloads, room, server, settings, span};

#[tokio::test]
async fn what_a_node_stored_that_is_gone_is_read_room_by_room_with_all_that_it_published_there() {
    let server = server();
    let node = Node::start(settings(&server));
    let numbers: Vec<u64> = (0..20).map(|event| node.publish("orders", &event.to_string())).collect();
    node.publish("private-a.b", "other");
    let (id, last) = node.end().await;
    let reader = Node::start(settings(&server));
    let stored = reader.read("orders", "the events are read", |stored| stored.events.len() == 20).await;
    assert!(payloads(&stored).into_iter().eq((0..20).map(|event| event.to_string())));
    assert!(stored.events.iter().map(|event| event.numbering.number).eq(numbers));
    assert_eq!(span(&stored, id), Some((0, last)));
    let other = reader.read("private-a.b", "the other room is read", |stored| stored.events.len() == 1).await;
    assert_eq!((payloads(&other), span(&other, id)), (vec!["other".to_owned()], Some((0, last))));
    let quiet = reader.read("quiet", "a room without events is read", |_| true).await;
    assert_eq!((quiet.events.len(), span(&quiet, id)), (0, Some((0, last))));
}

#[tokio::test]
async fn rooms_whose_names_look_alike_are_kept_apart() {
    let server = server();
    let node = Node::start(settings(&server));
    for channel in ["a.b", "a-b", "#server-to-user-a.b", "private-a.b"] {
        node.publish(channel, channel);
    }
    node.until("all are stored", |status| status.stored == 4).await;
    for channel in ["a.b", "a-b", "#server-to-user-a.b", "private-a.b"] {
        let stored = node.read(channel, "one event is read", |stored| !stored.events.is_empty()).await;
        assert_eq!(payloads(&stored), [channel]);
    }
}

/// As far back as is asked for: longer than a busy machine takes to publish an event and to read it.
const BACK: Duration = Duration::from_secs(4);

#[tokio::test]
async fn of_a_room_with_very_many_events_what_is_older_than_was_asked_for_is_not_read_and_not_vouched_for() {
    let server = server();
    let node = Node::start(settings(&server));
    (0..3_000).for_each(|_| _ = node.publish("orders", "old"));
    node.until("they are stored", |status| status.stored == 3_000).await;
    tokio::time::sleep(BACK + BACK / 4).await;
    node.publish("orders", "new");
    node.publish("quiet", "old");
    node.until("so is the next", |status| status.stored == 3_002).await;
    let read = async |channel| node.stream.read(&room(channel), BACK).await.unwrap();
    let stored = read("orders").await;
    assert_eq!((payloads(&stored), span(&stored, node.id)), (vec!["new".to_owned()], Some((3_000, 3_001))));
    assert!(stored.now - stored.since < BACK + Duration::from_secs(1));
    tokio::time::sleep(BACK + BACK / 4).await;
    let stored = read("orders").await;
    assert_eq!((stored.events.len(), span(&stored, node.id)), (0, None));
    let quiet = read("quiet").await;
    assert_eq!((payloads(&quiet), span(&quiet, node.id)), (vec!["old".to_owned()], Some((0, 3_002))));
}

#[tokio::test]
async fn a_full_stream_forgets_its_oldest_events_and_says_so() {
    let server = server();
    let node = Node::start(HistorySettings { max_bytes: 256 << 10, ..settings(&server) });
    let payload = "x".repeat(1_000);
    (0..500).for_each(|_| _ = node.publish("orders", &payload));
    node.until("all are stored", |status| status.stored == 500).await;
    let stored = node.read("orders", "the events are read", |stored| !stored.events.is_empty()).await;
    let count = stored.events.len() as u64;
    assert!((100..300).contains(&count), "{count}");
    assert_eq!(span(&stored, node.id), Some((500 - count, 500)));
    let quiet = node.read("quiet", "a room without events is read", |_| true).await;
    assert_eq!(span(&quiet, node.id), None);
}

#[tokio::test]
async fn reads_leave_nothing_behind_on_the_server() {
    let server = server();
    let node = Node::start(settings(&server));
    node.publish("orders", "event");
    node.read("orders", "it is read", |stored| stored.events.len() == 1).await;
    let stream = jetstream(&server).await.get_stream(STREAM).await.unwrap();
    let is_clean = async || {
        while stream.get_info().await.unwrap().state.consumer_count > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The server would forget them after half a minute by itself.
    tokio::time::timeout(Duration::from_secs(20), is_clean()).await.expect("no consumer is left");
}

#[tokio::test]
async fn a_room_with_more_events_than_are_read_is_refused() {
    let server = server();
    let node = Node::start(settings(&server));
    (0..16_400).for_each(|_| _ = node.publish("orders", "x"));
    node.until("all are stored", |status| status.stored == 16_400).await;
    assert_eq!(node.stream.read(&room("orders"), WINDOW).await.unwrap_err(), ReadError::TooMuch(16_400));
}

#[tokio::test]
async fn what_a_node_stored_lately_is_read_of_all_rooms_in_the_order_of_its_numbers_and_without_that_of_others() {
    let server = server();
    let (node, other) = (Node::start(settings(&server)), Node::start(settings(&server)));
    let numbers: Vec<u64> =
        (0..100).map(|event: u64| node.publish(&format!("orders-{}", event % 7), &event.to_string())).collect();
    other.publish("orders-1", "of another");
    other.until("it is stored", |status| status.stored == 1).await;
    let (id, _) = node.end().await;
    let frames = other.stream.read_node(id, Duration::ZERO).await.unwrap();
    let read = frames.into_iter().map(|bytes| decode(bytes).unwrap());
    assert!(read.map(|frame| (frame.origin, frame.number)).eq(numbers.into_iter().map(|number| (id, number))));
    let stranger = NodeId::from_bits(9);
    assert_eq!(other.stream.read_node(stranger, Duration::from_secs(60)).await, Ok(Vec::new()));
}
