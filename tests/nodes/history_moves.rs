//! Clients that move to a node where their channel was not open: the other nodes tell it what they keep.

use std::time::{Duration, Instant};

use gaung::protocol::Position;
use serde_json::json;

use crate::{
    harness::{
        AGREEMENT, Client,
        cluster::{Cluster, Variable, live},
        node::GaungNode,
        reader::{enter, recovered},
        stalls::Stalls,
        within,
    },
    history::{HISTORY, begin},
};

/// Subscribers wait for other nodes for 0.6 s; the rest is for a machine that is busy with other tests.
const BOUND: Duration = Duration::from_millis(2_500);

/// A client that has heard a channel up to a position comes to a node, where it is told that it gets all of these events. What
/// was published in the last second may come a moment after that. Its position then.
async fn get_all(client: &mut Client, channel: &str, since: &str, expected: &[&str]) -> String {
    enter(client, channel, Some(since)).await;
    let (mut heard, is_complete, end) = recovered(client).await;
    let mut end: Position = end.parse().expect("a position");
    assert!(is_complete, "{channel} after {since}");
    while heard.len() < expected.len() {
        let message = client.next().await;
        end.note(message["id"].as_str().expect("an id").parse().expect("an id"));
        heard.push(message["event"].as_str().expect("an event").to_owned());
    }
    heard.sort();
    assert_eq!(heard, expected);
    end.to_string()
}

/// The same with a client that goes at once.
pub async fn come(node: &GaungNode, channel: &str, since: &str, expected: &[&str]) -> String {
    get_all(&mut node.connect().await, channel, since, expected).await
}

/// A client that comes to a node is told that it may have missed something.
pub async fn come_in_vain(node: &GaungNode, channel: &str, since: &str) {
    let mut client = node.connect().await;
    enter(&mut client, channel, Some(since)).await;
    let (heard, is_complete, _) = recovered(&mut client).await;
    assert_eq!((heard, is_complete), (vec![], false));
}

/// The position of a client that subscribes on a node, and is cut.
pub async fn cut(node: &GaungNode, channel: &str) -> String {
    begin(&mut node.connect().await, channel).await
}

pub async fn publish(node: &GaungNode, channel: &str, names: &[&str]) {
    for name in names {
        node.publish(channel, name, "{}").await;
    }
}

#[actix::test]
async fn on_a_node_where_its_channel_was_never_open_a_client_gets_all_that_it_missed_and_then_what_is_live() {
    let cluster = Cluster::start(3, &[HISTORY]).await;
    let mut client = cluster[0].connect().await;
    let since = begin(&mut client, "orders").await;
    drop(client);
    publish(&cluster[0], "orders", &["a", "b"]).await;
    publish(&cluster[2], "orders", &["c"]).await;
    within(AGREEMENT, "the first node has heard all", || async {
        cluster[0].get("/channels/orders/events", &[]).await["events"].as_array().is_some_and(|all| all.len() == 3)
    })
    .await;
    let mut back = cluster[1].connect().await;
    let position = get_all(&mut back, "orders", &since, &["a", "b", "c"]).await;
    publish(&cluster[0], "orders", &["live"]).await;
    back.expect("live").await;
    back.expect_silence().await;
    // Who comes next is answered from memory.
    come(&cluster[1], "orders", &position, &["live"]).await;
    let metrics = cluster[1].metrics().await;
    assert_eq!(metrics.sum_with("gaung_history_questions_total", r#"outcome="whole""#), 1.0);
    assert_eq!(metrics.sum_with("gaung_recoveries_total", r#"outcome="whole""#), 2.0);
    assert_eq!(metrics.sum("gaung_history_wait_seconds_count"), 1.0);
}

#[actix::test]
async fn where_nothing_was_published_a_client_that_moves_has_missed_nothing() {
    let cluster = Cluster::start(3, &[HISTORY]).await;
    let since = cut(&cluster[0], "private-orders").await;
    // The numbers of the nodes go on, in other channels.
    for node in &cluster.nodes {
        publish(node, "news", &["a", "b", "c"]).await;
    }
    let since = come(&cluster[1], "private-orders", &since, &[]).await;
    come(&cluster[2], "private-orders", &since, &[]).await;
}

#[actix::test]
async fn clients_that_a_drain_sends_to_other_nodes_get_all_that_they_missed_also_the_last_of_them() {
    const CHANNELS: usize = 12;
    let drain: Variable = ("GAUNG_DRAIN_SECONDS", "2");
    let mut cluster = Cluster::start(3, &[HISTORY, drain]).await;
    let mut clients = Vec::new();
    for number in 0..CHANNELS {
        let (channel, mut client) = (format!("orders-{number}"), cluster[0].connect().await);
        let since = begin(&mut client, &channel).await;
        clients.push((channel, client, since));
    }
    // Half of the channels are quiet.
    for (channel, _, _) in clients.iter().step_by(2) {
        publish(&cluster[0], channel, &["heard"]).await;
    }
    cluster[0].terminate();
    for (index, (channel, mut client, since)) in clients.into_iter().enumerate() {
        let is_quiet = index % 2 == 1;
        let since = if is_quiet { since } else { position(&since, &client.expect("heard").await["id"]) };
        assert_eq!(client.expect_close().await.0, 4200);
        if !is_quiet {
            publish(&cluster[2], &channel, &["missed"]).await;
        }
        come(&cluster[1], &channel, &since, if is_quiet { &[] } else { &["missed"] }).await;
    }
    assert_eq!(cluster[0].exit_code().await, Some(0));
}

#[actix::test]
async fn where_a_node_has_ended_a_moment_ago_clients_wait_until_that_is_known_and_get_all() {
    let mut cluster = Cluster::start(3, &[HISTORY]).await;
    let since = cut(&cluster[0], "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    // It has no sockets left, and ends at once.
    cluster[2].terminate();
    assert_eq!(cluster[2].exit_code().await, Some(0));
    come(&cluster[1], "orders", &since, &["a"]).await;
}

/// A position that has heard one event more.
fn position(since: &str, id: &serde_json::Value) -> String {
    let mut position: Position = since.parse().expect("a position");
    position.note(id.as_str().expect("an id").parse().expect("an id"));
    position.to_string()
}

#[actix::test]
async fn a_node_that_stands_still_makes_nobody_wait_longer_than_the_bound_and_once_it_is_dead_nobody_waits() {
    let cluster = Cluster::start(3, &[HISTORY]).await;
    let (first, second) = (cut(&cluster[0], "orders").await, cut(&cluster[0], "news").await);
    publish(&cluster[0], "news", &["a"]).await;
    cluster[2].pause();
    let (began, stalls) = (Instant::now(), Stalls::watch());
    come_in_vain(&cluster[1], "orders", &first).await;
    println!("told after {:?}", began.elapsed());
    assert!(began.elapsed() < BOUND + stalls.longest(), "{:?}", began.elapsed());
    for node in &cluster.nodes[..2] {
        within(AGREEMENT, "it is taken for dead", || async { live(&node.peers().await) == 2 }).await;
    }
    come(&cluster[1], "news", &second, &["a"]).await;
    assert_eq!(cluster[1].metrics().await.sum("gaung_replayed_events_total"), 1.0);
    cluster[2].resume();
}

#[actix::test]
async fn what_a_node_alone_had_that_was_killed_is_not_made_up() {
    let mut cluster = Cluster::start(3, &[HISTORY]).await;
    let mut client = cluster[0].connect().await;
    let since = begin(&mut client, "orders").await;
    publish(&cluster[0], "orders", &["a"]).await;
    client.expect("a").await;
    cluster[0].kill();
    let dead = cluster.nodes.remove(0);
    come_in_vain(&cluster[0], "orders", &since).await;
    cluster.agree("it is off the list", async |node| live(&node.peers().await) == 2).await;
    come_in_vain(&cluster[1], "orders", &since).await;
    drop(dead);
}

#[actix::test]
async fn an_event_that_left_a_socket_out_is_told_with_that_and_is_replayed_to_others() {
    let cluster = Cluster::start(2, &[HISTORY]).await;
    let mut client: Client = cluster[1].connect().await;
    let since = cut(&cluster[0], "orders").await;
    let event = json!({"name": "own", "channel": "orders", "data": "{}", "socket_id": client.id});
    assert_eq!(cluster[0].post("/events", &event).await, (200, json!({})));
    publish(&cluster[0], "orders", &["other"]).await;
    get_all(&mut client, "orders", &since, &["other"]).await;
    client.expect_silence().await;
    come(&cluster[1], "orders", &since, &["other", "own"]).await;
}
