//! A stream keeps events behind the nodes' memory: what no living node has any more is replayed from there.

use std::time::Duration;

use bytes::Bytes;
use gaung_cluster::{
    codec,
    frame::{Body, Frame, Numbered, RoomEvent},
};
use tokio::time::sleep;

use crate::{
    harness::{
        AGREEMENT,
        cluster::{Cluster, Variable, live},
        nats::NatsServer,
        node::GaungNode,
        raw_nats::RawNats,
        reader::enter,
        within,
    },
    history::{HISTORY, begin},
    history_moves::{come, come_in_vain, cut, publish},
    pages::{PAGES, attend, connect, hear, is_known, resume},
};

const STREAM: Variable = ("GAUNG_HISTORY_STREAM", "true");

async fn start(count: usize, variables: &[Variable<'_>]) -> Cluster {
    let nats = NatsServer::start_with_jetstream().await;
    Cluster::start_around(nats, count, &[&[STREAM], variables].concat()).await
}

/// Waits until a node has nothing left to store.
async fn has_stored(node: &GaungNode, events: f64) {
    within(AGREEMENT, "the events are stored", || async {
        let metrics = node.metrics().await;
        let (stored, waiting) =
            (metrics.sum("gaung_history_stream_stored_total"), metrics.sum("gaung_history_stream_waiting"));
        stored == events && waiting == 0.0
    })
    .await;
}

async fn questions(node: &GaungNode, outcome: &str) -> f64 {
    node.metrics().await.sum_with("gaung_history_questions_total", &format!("outcome=\"{outcome}\""))
}

#[actix::test]
async fn what_only_killed_nodes_had_is_replayed_by_one_that_started_later() {
    let mut cluster = start(2, &[HISTORY]).await;
    let (busy, quiet) = (cut(&cluster[0], "orders").await, cut(&cluster[1], "private-quiet").await);
    publish(&cluster[0], "orders", &["a", "b"]).await;
    publish(&cluster[1], "orders", &["c"]).await;
    has_stored(&cluster[0], 2.0).await;
    has_stored(&cluster[1], 1.0).await;
    for mut node in std::mem::take(&mut cluster.nodes) {
        node.kill();
    }
    cluster.nodes.push(cluster.launch(&[]));
    cluster.settle().await;
    let position = come(&cluster[0], "orders", &busy, &["a", "b", "c"]).await;
    publish(&cluster[0], "orders", &["d"]).await;
    come(&cluster[0], "orders", &position, &["d"]).await;
    come(&cluster[0], "private-quiet", &quiet, &[]).await;
    assert_eq!(questions(&cluster[0], "stream").await, 2.0);
}

#[actix::test]
async fn where_the_living_nodes_know_everything_the_stream_is_not_read() {
    let cluster = start(3, &[HISTORY]).await;
    let since = cut(&cluster[0], "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    come(&cluster[1], "orders", &since, &["a"]).await;
    assert_eq!((questions(&cluster[1], "whole").await, questions(&cluster[1], "stream").await), (1.0, 0.0));
    assert_eq!(cluster[1].metrics().await.sum("gaung_history_stream_reads_total"), 0.0);
}

#[actix::test]
async fn what_was_published_while_nats_was_away_is_in_the_stream_once_it_is_back() {
    let mut cluster = start(2, &[HISTORY]).await;
    let since = cut(&cluster[0], "orders").await;
    let mut resident = cluster[1].connect().await;
    begin(&mut resident, "news").await;
    cluster.nats.kill();
    publish(&cluster[0], "orders", &["a", "b"]).await;
    publish(&cluster[0], "news", &["later"]).await;
    cluster.nats.start_again().await;
    has_stored(&cluster[0], 3.0).await;
    // The other node knows now that there is more of a channel that it does not have.
    resident.expect("later").await;
    cluster[0].kill();
    let dead = cluster.nodes.remove(0);
    within(AGREEMENT, "it is taken for dead", || async { live(&cluster[0].peers().await) == 1 }).await;
    come(&cluster[0], "orders", &since, &["a", "b"]).await;
    drop(dead);
}

#[actix::test]
async fn without_its_stream_a_cluster_serves_on_and_tells_who_comes_back_that_it_may_have_missed_something() {
    let mut cluster = Cluster::start_around(NatsServer::start().await, 2, &[HISTORY, STREAM]).await;
    let since = cut(&cluster[0], "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    let mut resident = cluster[1].connect().await;
    begin(&mut resident, "news").await;
    publish(&cluster[0], "news", &["b"]).await;
    resident.expect("b").await;
    cluster[0].kill();
    let dead = cluster.nodes.remove(0);
    within(AGREEMENT, "it is taken for dead", || async { live(&cluster[0].peers().await) == 1 }).await;
    come_in_vain(&cluster[0], "orders", &since).await;
    let metrics = cluster[0].metrics().await;
    assert_eq!(metrics.sum_with("gaung_recoveries_total", r#"outcome="stream_away""#), 1.0);
    assert_eq!(metrics.sum("gaung_history_stream_up"), 0.0);
    assert!(cluster[0].is_ready().await);
    drop(dead);
}

#[actix::test]
async fn who_comes_right_after_its_node_was_killed_waits_until_that_is_known_and_gets_all() {
    let mut cluster = start(3, &[HISTORY]).await;
    let since = cut(&cluster[0], "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    publish(&cluster[1], "orders", &["b"]).await;
    has_stored(&cluster[0], 1.0).await;
    has_stored(&cluster[1], 1.0).await;
    cluster[0].kill();
    come(&cluster[1], "orders", &since, &["a", "b"]).await;
}

#[actix::test]
async fn a_page_of_a_killed_node_hears_what_it_missed_where_its_channel_was_never_open() {
    let mut cluster = start(3, &PAGES).await;
    let mut first = connect(&cluster[0]).await;
    enter(&mut first, "orders", None).await;
    is_known(&cluster, 0, 1).await;
    cluster[1].publish("orders", "old", "{}").await;
    hear(&mut first, &["old"]).await;
    // Three receipts, three seconds, and the last sign of life of the node that is going to be killed; and some more for a
    // machine that is busy.
    attend(&mut first, Duration::from_secs(15)).await;
    has_stored(&cluster[1], 1.0).await;
    cluster[0].kill();
    let dead = cluster.nodes.remove(0);
    cluster.agree("it is taken for dead", async |node| live(&node.peers().await) == 2).await;
    cluster[0].publish("orders", "missed", "{}").await;
    has_stored(&cluster[0], 2.0).await;
    // Nodes that are left have marked since how far they got.
    sleep(Duration::from_secs(1)).await;
    let mut second = connect(&cluster[1]).await;
    assert_eq!(resume(&mut second, "orders").await, (vec!["missed".to_owned()], true));
    drop(dead);
}

/// The next event of the same node in the same room, which says `last` where this one says `that`.
fn next_event(stored: &[u8]) -> Bytes {
    let frame = codec::decode(Bytes::copy_from_slice(stored)).expect("a node has written it");
    let Body::Numbered { content: Numbered::Event(event), .. } = frame.body else { panic!("it is no event") };
    let name = event.payload.windows(4).position(|bytes| bytes == b"that").expect("it says that");
    let payload = [&event.payload[..name], b"last", &event.payload[name + 4..]].concat();
    let content = Numbered::Event(RoomEvent { payload: payload.into(), ..event });
    let body = Body::Numbered { predecessor: frame.number, content };
    codec::encode(&Frame { number: frame.number + 1_000, body, ..frame })
}

#[actix::test]
async fn what_a_killed_node_had_stored_and_given_to_nobody_is_heard_by_all_once_it_is_taken_for_dead() {
    let mut cluster = start(2, &[HISTORY]).await;
    let since = cut(&cluster[0], "orders").await;
    let mut resident = cluster[1].connect().await;
    begin(&mut resident, "orders").await;
    let mut ear = RawNats::connect(cluster.nats.port).await;
    ear.subscribe("gaung.v1.*.history.event.>").await;
    publish(&cluster[0], "orders", &["that"]).await;
    resident.expect("that").await;
    let stored = ear.next().await;
    // As if the node had been killed before it reached the others.
    ear.publish(&stored.subject, &next_event(&stored.payload)).await;
    ear.round_trip().await;
    cluster[0].kill();
    resident.expect("last").await;
    come(&cluster[1], "orders", &since, &["last", "that"]).await;
    assert_eq!(cluster[1].metrics().await.sum("gaung_cluster_events_recovered_total"), 1.0);
}

/// The permissions of the nodes' login in NATS that the documentation lists, for the cluster `production`.
pub fn documented_permissions() -> &'static str {
    let page = include_str!("../../docs/cluster.md");
    let (_, from) = page.split_once("```\npermissions: ").expect("the page has them");
    from.split_once("```").expect("the block ends").0
}

#[actix::test]
async fn a_login_that_may_do_what_the_documentation_lists_may_do_enough() {
    let user = format!("{{ user: nodes, password: secret, permissions: {} }}", documented_permissions());
    let lines = format!("jetstream {{ store_dir: streams }}\nauthorization {{ users: [{user}] }}\n");
    let variables = [
        HISTORY,
        STREAM,
        ("GAUNG_CLUSTER_NAME", "production"),
        ("GAUNG_NATS_USER", "nodes"),
        ("GAUNG_NATS_PASSWORD", "secret"),
        ("GAUNG_WEBHOOK_STREAM", "gaung-webhooks"),
    ];
    let mut cluster = Cluster::start_around(NatsServer::start_with(&lines).await, 1, &variables).await;
    let since = cut(&cluster[0], "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    has_stored(&cluster[0], 1.0).await;
    cluster[0].kill();
    cluster.nodes.push(cluster.launch(&[]));
    let dead = cluster.nodes.remove(0);
    cluster.settle().await;
    come(&cluster[0], "orders", &since, &["a"]).await;
    for node in [&dead, &cluster[0]] {
        assert!(!node.log().contains("rejected an operation"), "{}", node.log());
    }
}
