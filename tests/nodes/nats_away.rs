//! The nats-server is gone for a minute: longer than the nodes keep events, and much happens meanwhile.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    Client, cluster::Cluster, collector::Collector, load::Load, metrics, node::GaungNode, tally, within,
};

const ROOM: &str = "presence-room";
const RING: Duration = Duration::from_secs(5);
const AWAY: Duration = Duration::from_secs(60);
/// The promise is five seconds; the rest is for a machine that is busy with other tests.
const AGREED: Duration = Duration::from_secs(8);

async fn member(node: &GaungNode, user: &str) -> Client {
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    client.join(ROOM, &json!({ "user_id": user }).to_string()).await;
    client
}

#[actix::test]
async fn everything_agrees_again_soon_after_nats_was_gone_for_a_minute_and_what_was_lost_is_counted() {
    let ring = RING.as_secs().to_string();
    let mut cluster = Cluster::start(3, &[("GAUNG_CLUSTER_RING_SECONDS", &ring)]).await;
    let listeners = [Collector::of(member(&cluster[0], "ada").await), Collector::of(member(&cluster[1], "bob").await)];
    let leaving = member(&cluster[2], "guest").await;
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 3).await;

    cluster.nats.kill();
    let loads: Vec<_> =
        (0..2).map(|node| Load::start(node, &cluster[node].public, &["orders".to_owned()], 20)).collect();
    drop(leaving);
    let _arriving = member(&cluster[2], "carol").await;
    sleep(AWAY).await;
    assert_eq!(cluster[0].members(ROOM).await, ["ada", "bob", "guest"], "who is not heard is not dead");
    assert!(cluster[0].is_ready().await, "a node goes on without NATS");
    let left = cluster[0].metrics().await.sum(metrics::RING);
    assert!(left < 1.0, "{left} s are left of a ring of {RING:?}");

    cluster.nats.start_again().await;
    let back = Instant::now();
    for node in &cluster.nodes {
        within(AGREED, "all nodes see who is there now", || async {
            node.members(ROOM).await == ["ada", "bob", "carol"] && node.connections().await == 3
        })
        .await;
    }
    println!("agreed {:.1} s after the return", back.elapsed().as_secs_f64());

    let published = join_all(loads.into_iter().map(Load::finish)).await;
    for (own, listener) in listeners.iter().enumerate() {
        published[own].check("a listener on the publishing node", listener).await;
        let other = &published[1 - own];
        other.reached(listener).await;
        let heard = tally::numbers(&listener.heard());
        let verdict = tally::judge(&heard[&("orders".to_owned(), 1 - own)], other.count());
        println!("listener on node {own}: {verdict}");
        assert!(verdict.doubled.is_empty() && verdict.disordered.is_empty(), "{verdict}");
        assert!(!verdict.lost.is_empty(), "a ring of {RING:?} cannot hold a minute");
        let counted = cluster[own].metrics().await.sum(metrics::LOST) as usize;
        assert_eq!(counted, verdict.lost.len(), "what node {own} counts is not what it lost");
    }
}
