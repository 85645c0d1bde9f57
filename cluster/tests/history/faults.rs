//! What becomes of events when NATS is away or the stream is another.

use std::time::Duration;

use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy};
use gaung_cluster::history::{HistorySettings, ReadError};

use crate::node::{Node, STREAM, WINDOW, absent_server, jetstream, payloads, room, server, settings, span};

#[tokio::test]
async fn nothing_is_missing_when_the_server_is_killed_and_comes_back() {
    let mut server = server();
    let node = Node::start(settings(&server));
    for event in 0..3_000 {
        node.publish("orders", &event.to_string());
        if event == 1_000 {
            node.until("some are stored", |status| status.stored > 0).await;
            server.kill();
        }
    }
    node.mark();
    node.until("the loss is noticed", |status| status.error.is_some() || status.waiting > 1_000).await;
    server.restart();
    node.until("all are stored", |status| status.waiting == 0 && status.error.is_none()).await;
    let (id, last) = node.end().await;
    let reader = Node::start(settings(&server));
    let stored = reader.read("orders", "the events are read", |stored| stored.events.len() == 3_000).await;
    assert!(payloads(&stored).into_iter().eq((0..3_000).map(|event| event.to_string())));
    assert_eq!(span(&stored, id), Some((0, last)));
}

#[tokio::test]
async fn events_wait_for_a_server_that_is_not_there_yet() {
    let mut server = absent_server();
    let node = Node::start(settings(&server));
    node.publish("orders", "event");
    assert_eq!(node.stream.read(&room("orders"), WINDOW).await.unwrap_err(), ReadError::Away);
    server.restart();
    let stored = node.read("orders", "the event is read", |stored| !stored.events.is_empty()).await;
    assert_eq!(payloads(&stored), ["event"]);
}

#[tokio::test]
async fn what_did_not_fit_into_memory_while_the_stream_was_away_is_known_to_be_missing() {
    let mut server = absent_server();
    let node = Node::start(HistorySettings { max_waiting_bytes: 20_000, ..settings(&server) });
    (0..50).for_each(|_| _ = node.publish("orders", &"x".repeat(1_000)));
    node.until("some are dropped", |status| status.dropped > 0 && status.waiting + status.dropped as usize == 50).await;
    let dropped = node.stream.status().dropped;
    server.restart();
    node.until("the others are stored", |status| status.stored == 50 - dropped).await;
    let (id, last) = node.end().await;
    let reader = Node::start(settings(&server));
    let stored = reader.read("orders", "they are read", |stored| stored.events.len() as u64 == 50 - dropped).await;
    assert_eq!(span(&stored, id), Some((dropped, last)));
}

#[tokio::test]
async fn an_event_that_the_server_never_takes_holds_up_no_other_and_is_known_to_be_missing() {
    let mut server = absent_server();
    let store = server.folder().join("store");
    server.restart_with(&format!("max_payload: 8192, jetstream {{ store_dir: {store:?} }}"));
    let node = Node::start(settings(&server));
    node.publish("orders", &"x".repeat(10_000));
    node.publish("orders", "small");
    node.until("one is stored and one dropped", |status| (status.stored, status.dropped) == (1, 1)).await;
    let (id, last) = node.end().await;
    let reader = Node::start(settings(&server));
    let stored = reader.read("orders", "the small one is read", |stored| !stored.events.is_empty()).await;
    assert_eq!((payloads(&stored), span(&stored, id)), (vec!["small".to_owned()], Some((1, last))));
}

/// A stream of this name that was made by somebody else is refused with these words, and replaced once it is gone.
async fn check_refused(config: stream::Config, words: &str) {
    let server = server();
    let context = jetstream(&server).await;
    // In memory, because nats-server 2.9 goes on to remove the folder of a stream that another one has taken over.
    let storage = stream::StorageType::Memory;
    context.create_stream(stream::Config { name: STREAM.to_owned(), storage, ..config }).await.unwrap();
    let node = Node::start(settings(&server));
    node.publish("orders", "event");
    node.until(words, |status| status.error.as_deref().is_some_and(|error| error.contains(words))).await;
    assert_eq!(node.stream.read(&room("orders"), WINDOW).await.unwrap_err(), ReadError::Away);
    context.delete_stream(STREAM).await.unwrap();
    node.until("it is stored", |status| status.stored == 1 && status.error.is_none()).await;
}

#[tokio::test]
async fn a_stream_that_forgets_what_was_read_is_refused() {
    let subjects = vec!["gaung.v1.test.history.>".to_owned()];
    let config = stream::Config { subjects, retention: RetentionPolicy::WorkQueue, ..stream::Config::default() };
    check_refused(config, "has the retention WorkQueue").await;
}

#[tokio::test]
async fn a_stream_that_takes_nothing_new_when_it_is_full_is_refused() {
    let subjects = vec!["gaung.v1.test.history.>".to_owned()];
    let config = stream::Config { subjects, discard: DiscardPolicy::New, ..stream::Config::default() };
    check_refused(config, "discards new events").await;
}

#[tokio::test]
async fn a_stream_of_other_subjects_is_refused() {
    let config = stream::Config { subjects: vec!["orders".to_owned()], ..stream::Config::default() };
    check_refused(config, "does not store gaung.v1.test.history.>").await;
}

#[tokio::test]
async fn a_stream_that_was_removed_is_made_again_and_vouches_for_nothing_before() {
    let server = server();
    let node = Node::start(settings(&server));
    node.publish("orders", "first");
    node.read("orders", "it is read", |stored| stored.events.len() == 1).await;
    jetstream(&server).await.delete_stream(STREAM).await.unwrap();
    node.publish("orders", "second");
    node.until("it is stored", |status| status.stored == 2).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let stored = node.read("orders", "it is read", |stored| stored.events.len() == 1).await;
    assert_eq!((payloads(&stored), span(&stored, node.id)), (vec!["second".to_owned()], Some((1, 2))));
}
