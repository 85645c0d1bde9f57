//! The nats-server, or one of three, dies or stands still for a while, under a thousand events a second.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    cluster::Cluster,
    collector::Collector,
    load::{Load, Published},
    metrics::{ASKED, LOST},
    nats::NatsServer,
    stalls::Stalls,
    tally,
};

const PER_SECOND: u32 = 500;
/// How long thousands of events may take on a machine that is busy with much else.
const FLOW: Duration = Duration::from_secs(60);

#[actix::test]
async fn nothing_is_lost_doubled_or_disordered_when_nats_is_killed_and_back_after_three_seconds() {
    survive(async |nats| kill(nats, Duration::from_secs(3)).await).await;
}

#[actix::test]
async fn nothing_is_lost_doubled_or_disordered_when_nats_stands_still_for_ten_seconds() {
    survive(async |nats| pause(nats, Duration::from_secs(10)).await).await;
}

const LARGE: usize = 10_000;

#[actix::test]
async fn nothing_is_lost_doubled_or_disordered_of_large_events_when_nats_is_killed_and_back_after_four_seconds() {
    survive_with_large_events(async |nats| kill(nats, Duration::from_secs(4)).await).await;
}

#[actix::test]
async fn nothing_is_lost_doubled_or_disordered_of_large_events_when_nats_stands_still_for_ten_seconds() {
    survive_with_large_events(async |nats| pause(nats, Duration::from_secs(10)).await).await;
}

/// It dies, and is back after a while.
async fn kill(nats: &mut NatsServer, away: Duration) {
    nats.kill();
    sleep(away).await;
    nats.start_again().await;
}

/// It stands still for a while.
async fn pause(nats: &mut NatsServer, still: Duration) {
    nats.pause();
    sleep(still).await;
    nats.resume();
}

/// A thousand events of 10 KB a second, whose ring holds all of them.
async fn survive_with_large_events(fault: impl AsyncFnOnce(&mut NatsServer)) {
    // Clients that cannot keep up are another matter.
    let variables = [("GAUNG_CLUSTER_RING_MB", "256"), ("GAUNG_MAX_OUTBOX_BYTES", "268435456")];
    let mut cluster = Cluster::start(2, &variables).await;
    let channels: Vec<String> = (0..10).map(|n| format!("orders-{n}")).collect();
    let listeners = listen(&cluster, &channels).await;
    let load = Load::start_padded(0, &cluster[0].public, &channels, (1_000, LARGE));
    let begun = |listener: &Collector| listener.count(tally::NUMBERED) > 1_000;
    listeners[1].until_within(FLOW, "a second of events has come", begun).await;
    fault(&mut cluster.nats).await;
    let so_far = listeners[1].count(tally::NUMBERED);
    let flow = |listener: &Collector| listener.count(tally::NUMBERED) > so_far + 6_000;
    listeners[1].until_within(FLOW, "events flow again", flow).await;
    let published = load.finish().await;
    for (index, listener) in listeners.iter().enumerate() {
        published.check(&format!("the listener on node {index}"), listener).await;
    }
    assert!(published.refused.is_empty(), "{:?}", published.refused);
    let metrics = cluster[1].metrics().await;
    println!("{} events a channel, {} asked again", published.count(), metrics.sum(ASKED));
    assert_eq!(metrics.sum(LOST), 0.0);
}

#[actix::test]
async fn nothing_is_lost_doubled_or_disordered_while_each_of_three_nats_servers_is_gone_in_its_turn() {
    let mut servers = NatsServer::start_three().await;
    let urls = servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",");
    let mut cluster = Cluster::prepare(servers.remove(0), 3, &[("GAUNG_NATS_URL", &urls)]);
    cluster.nodes = (0..3).map(|_| cluster.launch(&[])).collect();
    cluster.settle().await;
    let channels: Vec<String> = (0..10).map(|n| format!("orders-{n}")).collect();
    let listeners = listen(&cluster, &channels).await;
    let start = |publisher| Load::start(publisher, &cluster[publisher].public, &channels, PER_SECOND);
    let loads: Vec<_> = (0..3).map(start).collect();
    for gone in 0..3 {
        let flow = async |what| {
            let so_far: Vec<usize> = listeners.iter().map(|listener| listener.count(tally::NUMBERED)).collect();
            for (listener, so_far) in listeners.iter().zip(so_far) {
                listener.until(what, |listener| listener.count(tally::NUMBERED) > so_far + 2_000).await;
            }
        };
        flow("events flow with all three").await;
        let server = if gone == 0 { &mut cluster.nats } else { &mut servers[gone - 1] };
        server.kill();
        flow("events flow with two").await;
        server.start_again().await;
    }
    for published in join_all(loads.into_iter().map(Load::finish)).await {
        for (index, listener) in listeners.iter().enumerate() {
            published.check(&format!("the listener on node {index}"), listener).await;
        }
        assert!(published.refused.is_empty(), "{:?}", published.refused);
        println!("{} events a channel", published.count());
    }
}

/// Two nodes publish, all three listen, members are in a room; then the fault.
async fn survive(fault: impl AsyncFnOnce(&mut NatsServer)) {
    let mut cluster = Cluster::start(3, &[]).await;
    let channels: Vec<String> = (0..10).map(|n| format!("orders-{n}")).collect();
    let listeners = listen(&cluster, &channels).await;
    let start = |publisher| Load::start(publisher, &cluster[publisher].public, &channels, PER_SECOND);
    let loads: Vec<_> = (0..2).map(start).collect();
    let begun = |listener: &Collector| listener.count(tally::NUMBERED) > 1_000;
    listeners[2].until_within(FLOW, "a second of events has come", begun).await;
    let members_before: Vec<_> = listeners.iter().map(Collector::members).collect();

    let (began, stalls) = (Instant::now(), Stalls::watch());
    fault(&mut cluster.nats).await;
    println!("fault of {:.1} s", began.elapsed().as_secs_f64());
    let so_far = listeners[2].count(tally::NUMBERED);
    let flow = |listener: &Collector| listener.count(tally::NUMBERED) > so_far + 3_000;
    listeners[2].until_within(FLOW, "events flow again", flow).await;

    let published = join_all(loads.into_iter().map(Load::finish)).await;
    for (index, listener) in listeners.iter().enumerate() {
        for published in &published {
            published.check(&format!("the listener on node {index}"), listener).await;
        }
        assert_eq!(listener.members(), members_before[index], "node {index} told of members who did nothing");
    }
    for published in &published {
        assert!(published.refused.is_empty(), "{:?}", published.refused);
        println!("{} events a channel, slowest trigger {:?}", published.count(), published.slowest());
    }
    for (index, node) in cluster.nodes.iter().enumerate() {
        let (looks, late) = node.metrics().await.late_looks();
        println!("threads of node {index}: {late} of {looks} looks more than 20 ms late");
    }
    check_local_delivery(&listeners, &published, stalls.longest());
}

/// A listener on each node that is a member of a room with the others and hears all channels.
async fn listen(cluster: &Cluster, channels: &[String]) -> Vec<Collector> {
    let mut listeners = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let mut client = node.connect().await;
        for channel in channels {
            client.subscribe(channel).await;
        }
        client.join("presence-room", &json!({ "user_id": index.to_string() }).to_string()).await;
        listeners.push(Collector::of(client));
    }
    cluster
        .agree("all members are seen", async |node| node.members("presence-room").await.len() == cluster.nodes.len())
        .await;
    listeners
}

/// A client of the publishing node never waits: not for a tenth of the fault, on a machine that is busy, beyond what the
/// test itself waited for its turn.
fn check_local_delivery(listeners: &[Collector], published: &[Published], stall: Duration) {
    for (listener, published) in listeners.iter().zip(published) {
        let gap = published.longest_gap(listener);
        println!("longest silence on the publishing node: {gap:?}");
        assert!(gap < Duration::from_secs(1) + stall, "local delivery stood still for {gap:?}, the test for {stall:?}");
    }
}
