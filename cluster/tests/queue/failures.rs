//! What the queue does when NATS is away or its stream is another.

use async_nats::jetstream::{self, stream};
use gaung_cluster::queue::QueueSettings;

use crate::node::{NEVER, Node, PATIENCE, STREAM, absent_server, ids, server, settings, share, until};

#[tokio::test]
async fn nats_that_is_killed_and_comes_back_loses_nothing_and_repeats_nothing() {
    let mut server = server();
    let node = Node::start(settings(&server, std::time::Duration::from_secs(2)));
    share(&[&node]);
    ids("a", 0..10).iter().for_each(|id| node.push("orders", id));
    until("the events are given", || node.given().len() == 10).await;
    server.kill();
    // The acks of these are lost.
    node.post(&ids("a", 0..5));
    ids("a", 10..20).iter().for_each(|id| node.push("orders", id));
    server.restart();
    until("all are stored", || node.stored() == 20).await;
    until("all are given", || node.given().len() >= 20).await;
    node.post(&ids("a", 5..20));
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream(STREAM).await.unwrap();
    let emptied = async {
        while stream.get_info().await.unwrap().state.messages > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("the stream forgets what was posted");
    assert_eq!(node.given(), ids("a", 0..20));
}

#[tokio::test]
async fn a_stream_with_more_replicas_than_servers_is_reported() {
    let server = server();
    let node = Node::start(QueueSettings { replicas: 3, ..settings(&server, NEVER) });
    share(&[&node]);
    node.push("orders", "a-0");
    until("the error is reported", || node.status().error.is_some_and(|error| error.contains("replicas"))).await;
    assert_eq!(node.stored(), 0);
}

#[tokio::test]
async fn events_wait_for_a_server_that_is_not_there_yet() {
    let mut server = absent_server();
    let node = Node::start(settings(&server, NEVER));
    share(&[&node]);
    ids("a", 0..10).iter().for_each(|id| node.push("orders", id));
    server.restart();
    until("the events are given", || node.given().len() == 10).await;
    assert_eq!(node.given(), ids("a", 0..10));
}

#[tokio::test]
async fn what_waits_beyond_the_bound_is_dropped_the_oldest_first_and_reported() {
    let mut server = absent_server();
    let mut small = settings(&server, NEVER);
    small.max_waiting_bytes = 2_000;
    let node = Node::start(small);
    ids("a", 0..50).iter().for_each(|id| node.push("orders", id));
    until("the oldest are dropped", || node.dropped() > 0 && node.dropped() == node.stored()).await;
    server.restart();
    share(&[&node]);
    until("the newest is given", || node.given().last().is_some_and(|id| id == "a-49")).await;
    let (given, dropped) = (node.given().len(), node.dropped());
    assert_eq!((given + dropped, node.status().dropped), (50, dropped as u64));
    assert!(given > 1 && dropped > 1, "{given} {dropped}");
}

#[tokio::test]
async fn a_stream_that_is_no_work_queue_is_refused_until_it_is_gone() {
    let server = server();
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = jetstream::new(client);
    let subjects = vec!["gaung.v1.test.webhooks.*".to_owned()];
    // In memory, because nats-server 2.9 goes on to remove the folder of a stream that another one has taken over.
    let storage = stream::StorageType::Memory;
    let config = stream::Config { name: STREAM.to_owned(), subjects, storage, ..stream::Config::default() };
    context.create_stream(config).await.unwrap();
    let node = Node::start(settings(&server, NEVER));
    share(&[&node]);
    let refused = || node.status().error.is_some_and(|error| error.contains("has the retention Limits"));
    until("the stream is refused", refused).await;
    node.push("orders", "a-1");
    context.delete_stream(STREAM).await.unwrap();
    until("the event is given", || node.given() == ["a-1"]).await;
    until("the error is over", || node.status().error.is_none()).await;
}

#[tokio::test]
async fn a_stream_of_other_subjects_is_refused() {
    let server = server();
    let client = async_nats::connect(server.url()).await.unwrap();
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders".to_owned()],
        retention: stream::RetentionPolicy::WorkQueue,
        ..stream::Config::default()
    };
    jetstream::new(client).create_stream(config).await.unwrap();
    let node = Node::start(settings(&server, NEVER));
    node.push("orders", "a-1");
    let missing = "does not store gaung.v1.test.webhooks.*";
    until("the stream is refused", || node.status().error.is_some_and(|error| error.contains(missing))).await;
    assert_eq!(node.stored(), 0);
}
