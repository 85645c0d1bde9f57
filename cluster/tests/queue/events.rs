//! What is pushed on any node is posted on one, once and in order.

use async_nats::jetstream::{self, consumer::PullConsumer};
use gaung_cluster::queue::Slot;

use crate::{
    node::{NEVER, Node, PATIENCE, STREAM, channel_of, ids, server, share, until},
    server::NatsServer,
};

/// How many deliveries of a channel's slot the stream has made.
async fn deliveries(server: &NatsServer, channel: &str) -> u64 {
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream(STREAM).await.unwrap();
    let name = format!("gaung_v1_test_webhooks_{}", Slot::of("1", channel).number());
    let consumer: PullConsumer = stream.get_consumer(&name).await.unwrap();
    consumer.cached_info().delivered.consumer_sequence
}

/// How many events the stream keeps.
async fn kept(server: &NatsServer) -> u64 {
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream(STREAM).await.unwrap();
    stream.cached_info().state.messages
}

#[tokio::test]
async fn events_are_posted_by_the_owner_of_their_channel_in_order() {
    let server = server();
    let nodes: [Node; 3] = Node::start_many(&server, NEVER);
    let [pusher, owner, _] = &nodes;
    let channel = channel_of(owner, &nodes.each_ref());
    let pushed = ids("a", 0..200);
    pushed.iter().for_each(|id| pusher.push(&channel, id));
    until("all events are given", || owner.given().len() == pushed.len()).await;
    assert_eq!((owner.given(), pusher.stored()), (pushed.clone(), pushed.len()));

    owner.post(&pushed);
    let emptied = async { while kept(&server).await > 0 {} };
    tokio::time::timeout(PATIENCE, emptied).await.expect("the stream forgets what was posted");
    assert_eq!(nodes.iter().map(|node| node.given().len()).sum::<usize>(), pushed.len());
}

#[tokio::test]
async fn a_repeat_of_an_event_is_stored_once_and_counts_as_stored() {
    let server = server();
    let [one, other] = Node::start_many(&server, NEVER);
    one.push("orders", "a-1");
    until("the event is stored", || one.stored() == 1).await;
    other.push("orders", "a-1");
    other.push("orders", "a-2");
    until("both count as stored", || other.stored() == 2).await;
    let all = || [one.given(), other.given()].concat();
    until("both events are given", || all().len() >= 2).await;
    assert_eq!(all(), ["a-1", "a-2"]);
}

#[tokio::test]
async fn what_a_killed_node_had_not_posted_is_posted_by_the_others_before_what_came_later() {
    let server = server();
    let ack_wait = std::time::Duration::from_secs(2);
    let [mut victim, heir] = Node::start_many(&server, ack_wait);
    let (lost, own) = (channel_of(&victim, &[&victim, &heir]), channel_of(&heir, &[&victim, &heir]));
    heir.push(&own, "own-1");
    ids("a", 0..50).iter().for_each(|id| heir.push(&lost, id));
    until("the victim has all events", || victim.given().len() == 50).await;
    until("the heir has its own", || heir.given().len() == 1).await;
    victim.post(&ids("a", 0..10));
    ids("a", 50..60).iter().for_each(|id| heir.push(&lost, id));
    until("the victim goes on", || victim.given().len() == 60).await;

    victim.kill();
    share(&[&heir]);
    ids("a", 60..100).iter().for_each(|id| heir.push(&lost, id));
    until("the heir has the rest", || heir.given().iter().any(|id| id == "a-99")).await;
    let given: Vec<String> = heir.given().into_iter().filter(|id| id != "own-1").collect();
    // Whether the word about the first ten still went out is open.
    let rest = given.iter().position(|id| id == "a-10").expect("the first that was not posted comes");
    assert_eq!(given[rest..], ids("a", 10..100));
    assert!(given[..rest].iter().all(|id| ids("a", 0..10).contains(id)), "{given:?}");
    // The heir's own event was in progress all the time, and the stream knew it.
    assert_eq!(deliveries(&server, &own).await, 1);
}

#[tokio::test]
async fn a_node_that_leaves_gives_back_what_it_has_not_posted() {
    let server = server();
    let [leaver, heir] = Node::start_many(&server, NEVER);
    let channel = channel_of(&leaver, &[&leaver, &heir]);
    ids("a", 0..50).iter().for_each(|id| leaver.push(&channel, id));
    until("the leaver has all events", || leaver.given().len() == 50).await;
    leaver.queue.leave().await;
    assert!(leaver.is_revoked());
    share(&[&heir]);
    ids("a", 50..60).iter().for_each(|id| leaver.push(&channel, id));
    until("the stream keeps all events", || leaver.stored() == 60).await;
    // A post that was under way arrives after all.
    leaver.post(&ids("a", 0..1));
    leaver.forget();
    leaver.queue.close().await;
    until("the heir has the rest", || heir.given().len() == 59).await;
    assert_eq!(heir.given(), ids("a", 1..60));
}

#[tokio::test]
async fn a_slot_that_moves_to_a_new_node_takes_its_events_along_in_order() {
    let server = server();
    let old = Node::start(crate::node::settings(&server, NEVER));
    share(&[&old]);
    let new = Node::start(crate::node::settings(&server, NEVER));
    let channel = channel_of(&new, &[&old, &new]);
    ids("a", 0..20).iter().for_each(|id| old.push(&channel, id));
    until("the old node has all events", || old.given().len() == 20).await;
    share(&[&old, &new]);
    ids("a", 20..40).iter().for_each(|id| old.push(&channel, id));
    until("the events are revoked", || old.is_revoked()).await;
    old.forget();
    until("the new node has all events", || new.given().len() == 40).await;
    assert_eq!(new.given(), ids("a", 0..40));
}
