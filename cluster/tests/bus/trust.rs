//! What other clients of the same servers can do to a node: nothing but make counters grow.

use gaung_cluster::{
    NodeId, Subject, Subjects,
    codec::encode,
    frame::{Frame, Numbered, Unnumbered},
};

use crate::{
    bystanders::Stranger,
    node::{Node, event, room},
    server::NatsServer,
};

/// Messages of each kind of garbage on each subject.
const TIMES: u64 = 50;

fn garbage(seed: u64) -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..200 + seed).map(|at| (at * 2_654_435_761 + seed * 40_503) as u8).collect();
    let frame = Frame { origin: NodeId::from_bits(seed), number: 1, body: Unnumbered::AskHeads.into() };
    let mut other_version = encode(&frame).to_vec();
    other_version[0] = 200;
    let mut other_kind = encode(&frame).to_vec();
    other_kind[1] = 200;
    let mut headed = encode(&frame)[..26].to_vec();
    headed[1] = 1;
    headed.extend_from_slice(&[0xff; 64]);
    vec![Vec::new(), vec![1], noise.clone(), [&[1, 3], &noise[..]].concat(), other_version, other_kind, headed]
}

#[tokio::test]
async fn garbage_on_all_subjects_changes_nothing_but_counters() {
    let server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    let orders = room("orders");
    two.serve(&orders).await;
    let before = two.outputs();
    let subjects = Subjects::new("gaung", "test").unwrap();
    let all = [Subject::State, Subject::Node(two.link.node()), Subject::Room(orders.clone())];
    let mut stranger = Stranger::connect(&server);
    let mut sent = 0;
    for seed in 0..TIMES {
        for (subject, payload) in
            all.iter().flat_map(|subject| garbage(seed).into_iter().map(move |bytes| (subject, bytes)))
        {
            stranger.publish(&subjects.write(subject), &payload);
            sent += 1;
        }
    }
    stranger.finish();
    two.until("all garbage is counted", move |core| core.counters().refused.values().sum::<u64>() >= sent).await;
    assert_eq!(two.outputs(), before);
    one.publish(&orders, 0..100);
    two.expect(&orders, 0..100).await;
    let (peers, dropped) = (two.link.ask(|core| core.peers().count()).await, two.link.status().dropped);
    assert_eq!((peers, dropped), (Some(1), 0));
}

#[tokio::test]
async fn an_event_on_another_rooms_subject_is_not_delivered() {
    let server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    let (orders, news) = (room("orders"), room("news"));
    two.serve(&orders).await;
    two.serve(&news).await;
    let content = Numbered::Event(event(&news, 7));
    let frame = Frame { origin: NodeId::from_bits(9), number: 1, body: content.after(0) };
    let mut stranger = Stranger::connect(&server);
    let subjects = Subjects::new("gaung", "test").unwrap();
    stranger.publish(&subjects.write(&Subject::Room(orders.clone())), &encode(&frame));
    stranger.finish();
    two.until("it is counted", |core| core.counters().misdirected == 1).await;
    one.publish(&news, 0..3);
    two.expect(&news, 0..3).await;
}
