//! A node dies, stands still, or is cut off from the others.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    Client, PATIENCE,
    cluster::{Cluster, live},
    collector::{Change, Collector},
    load::Load,
    nats::NatsServer,
    node::GaungNode,
    proxy::Proxy,
    stalls::Stalls,
    within,
};

const ROOM: &str = "presence-room";
/// The promise is six seconds; the rest is for a machine that is busy with other tests.
const DEAD_PEER_GRACE: Duration = Duration::from_secs(9);

async fn member(node: &GaungNode, user: &str) -> Client {
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    client.join(ROOM, &json!({ "user_id": user }).to_string()).await;
    client
}

/// The members' events since the collector has seen so many.
fn since(collector: &Collector, seen: usize) -> Vec<(Change, String)> {
    collector.members().split_off(seen)
}

#[actix::test]
async fn the_members_of_a_killed_node_go_on_the_others_within_seconds_and_those_who_came_back_do_not() {
    let mut cluster = Cluster::start(3, &[]).await;
    let (_ada, _bob) = (member(&cluster[0], "ada").await, member(&cluster[0], "bob").await);
    cluster.agree("both are seen", async |node| node.members(ROOM).await.len() == 2).await;
    let first = Collector::of(member(&cluster[1], "one").await);
    cluster.agree("the first watcher is seen", async |node| node.members(ROOM).await.len() == 3).await;
    let watchers = [first, Collector::of(member(&cluster[2], "two").await)];
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 4).await;
    watchers[0].until("it has heard of the other watcher", |watcher| watcher.members().len() == 1).await;

    cluster[0].kill();
    let killed = Instant::now();
    let dead = cluster.nodes.remove(0);
    let back = member(&cluster[1], "bob").await;
    for (watcher, seen) in watchers.iter().zip([1, 0]) {
        watcher.until_within(DEAD_PEER_GRACE, "a member went", |watcher| watcher.members().len() > seen).await;
    }
    println!("member_removed {:.1} s after the kill", killed.elapsed().as_secs_f64());
    cluster.agree("it is off the list", async |node| live(&node.peers().await) == 2).await;
    cluster.agree("its sockets are not counted", async |node| node.connections().await == 3).await;
    for (watcher, seen) in watchers.iter().zip([1, 0]) {
        assert_eq!(since(watcher, seen), [(Change::Went, "ada".to_owned())]);
    }
    drop((back, dead));
}

#[actix::test]
async fn a_node_that_stood_still_for_ten_seconds_gets_its_place_back_and_its_clients_miss_nothing() {
    let cluster = Cluster::start(3, &[]).await;
    let [watcher, sleeper] = members(&cluster).await;
    let load = Load::start(0, &cluster[0].public, &["orders".to_owned()], 100);

    cluster[2].pause();
    sleep(Duration::from_secs(10)).await;
    cluster[2].resume();
    let resumed = Instant::now();
    watcher.until("the sleeper went and came", |watcher| watcher.members().len() == 3).await;
    println!("back {:.1} s after it was woken", resumed.elapsed().as_secs_f64());
    let expected = [(Change::Went, "islander".to_owned()), (Change::Came, "islander".to_owned())];
    assert_eq!(since(&watcher, 1), expected);
    cluster.settle().await;
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 2).await;

    let published = load.finish().await;
    published.check("the client on the node that slept", &sleeper).await;
    assert_eq!(sleeper.members(), [], "a node that slept took its peers for dead");
    assert_eq!(sleeper.closed(), None);
}

#[actix::test]
async fn a_node_that_is_cut_off_serves_its_own_and_misses_nothing_once_it_is_healed() {
    let (cluster, proxy) = with_an_island().await;
    let [watcher, islander] = members(&cluster).await;
    let (loads, stalls) = (loads(&cluster), Stalls::watch());

    proxy.cut();
    sleep(Duration::from_secs(10)).await;
    watcher.until("the islander went", |watcher| watcher.members().len() == 2).await;
    proxy.heal();
    let healed = Instant::now();
    watcher.until("the islander came back", |watcher| watcher.members().len() == 3).await;
    println!("seen again {:.1} s after the heal", healed.elapsed().as_secs_f64());
    within(PATIENCE, "the nodes agree", || async { cluster[2].members(ROOM).await.len() == 2 }).await;

    check(loads, &watcher, &islander, stalls).await;
    assert_eq!(islander.members(), [], "who is cut off is told that the others went");
}

#[actix::test]
async fn a_node_whose_connections_are_ended_for_three_seconds_misses_nothing_and_nobody_notices() {
    let (cluster, proxy) = with_an_island().await;
    let [watcher, islander] = members(&cluster).await;
    let (loads, stalls) = (loads(&cluster), Stalls::watch());
    proxy.refuse();
    sleep(Duration::from_secs(3)).await;
    proxy.heal();
    check(loads, &watcher, &islander, stalls).await;
    assert_eq!((watcher.members().len(), islander.members().len()), (1, 0));
}

/// Three nodes; the last one's way to NATS leads over the proxy.
async fn with_an_island() -> (Cluster, Proxy) {
    let mut cluster = Cluster::prepare(NatsServer::start().await, 3, &[]);
    let (node, proxy) = cluster.launch_behind(&[]).await;
    cluster.nodes = vec![cluster.launch(&[]), cluster.launch(&[]), node];
    cluster.settle().await;
    (cluster, proxy)
}

/// A member on the first node, who has seen the one on the last node come.
async fn members(cluster: &Cluster) -> [Collector; 2] {
    let watcher = Collector::of(member(&cluster[0], "watcher").await);
    cluster.agree("the watcher is seen", async |node| node.members(ROOM).await.len() == 1).await;
    let islander = Collector::of(member(&cluster[2], "islander").await);
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 2).await;
    watcher.until("it has heard of the other", |watcher| watcher.members().len() == 1).await;
    [watcher, islander]
}

fn loads(cluster: &Cluster) -> [Load; 2] {
    [0, 2].map(|node| Load::start(node, &cluster[node].public, &["orders".to_owned()], 100))
}

/// Everything published on either side reached both, and the last node's own client at once.
async fn check(loads: [Load; 2], watcher: &Collector, islander: &Collector, stalls: Stalls) {
    let published = join_all(loads.map(Load::finish)).await;
    for (name, client) in [("watcher", watcher), ("islander", islander)] {
        for published in &published {
            assert!(published.refused.is_empty(), "{:?}", published.refused);
            published.check(name, client).await;
        }
    }
    let (gap, stall) = (published[1].longest_gap(islander), stalls.longest());
    println!("longest silence on the island: {gap:?}");
    assert!(gap < Duration::from_secs(1) + stall, "local delivery stood still for {gap:?}, the test for {stall:?}");
}
