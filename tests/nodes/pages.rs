//! Pages that name themselves by a resume id and come back to another node.

use std::time::Duration;

use actix::spawn;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::harness::{
    Client,
    cluster::{Cluster, Variable},
    eventually, inner,
    node::GaungNode,
    reader::enter,
    stalls::Stalls,
};

const ID: &str = "3f0c7a52-8f8e-4a5e-9d0e-2f4b6f1a9c1d";

const CHANNEL: &str = "private-orders";

/// A history, and a receipt each second; a page that nobody knows is a new one.
pub const PAGES: [Variable; 3] =
    [("GAUNG_APP_HISTORY", "*=120s:2000"), ("GAUNG_RECEIPT_SECONDS", "1"), ("GAUNG_PAGE_DOUBT_SECONDS", "0")];

pub async fn connect(node: &GaungNode) -> Client {
    node.open(&format!("/app/app-key/{ID}?protocol=7")).await.greeted().await
}

/// Subscribes as a page that comes back; the events that are replayed, and whether they are all.
pub async fn resume(client: &mut Client, channel: &str) -> (Vec<String>, bool) {
    enter(client, channel, None).await;
    let mut events = Vec::new();
    loop {
        let message = client.next().await;
        match message["event"].as_str().expect("an event") {
            "pusher:ping" => pong(client).await,
            "pusher:resumed" => return (events, inner(&message)["complete"] == true),
            name => events.push(name.to_owned()),
        }
    }
}

async fn pong(client: &mut Client) {
    client.send(json!({"event": "pusher:pong", "data": {}})).await;
}

/// Hears these events, and proves it.
pub async fn hear(client: &mut Client, events: &[&str]) {
    let (mut heard, mut has_proven) = (Vec::new(), false);
    while heard.len() < events.len() || !has_proven {
        let message = client.next().await;
        match message["event"].as_str().expect("an event") {
            "pusher:ping" => {
                pong(client).await;
                has_proven = heard.len() == events.len();
            }
            name => heard.push(name.to_owned()),
        }
    }
    assert_eq!(heard, events);
    // The answer to this comes after the receipt was taken.
    client.expect_silence().await;
}

/// Answers what pages are asked for a while, in which no event comes.
pub async fn attend(client: &mut Client, time: Duration) {
    let until = Instant::now() + time;
    while let Ok(message) = timeout_at(until, client.next()).await {
        assert_eq!(message["event"], "pusher:ping", "{message}");
        pong(client).await;
    }
}

/// Clients that keep a channel open on each node, the first node's last: what it tells of the others is known to them. Their
/// rooms have been there for longer than a page may be behind with its receipts.
pub async fn residents(cluster: &Cluster, channel: &str) -> Vec<Client> {
    let mut residents = Vec::new();
    for node in cluster.nodes.iter().rev() {
        let mut resident = node.connect().await;
        enter(&mut resident, channel, None).await;
        residents.push(resident);
    }
    sleep(Duration::from_secs(8)).await;
    residents
}

async fn publish(node: &GaungNode, events: &[&str]) {
    for event in events {
        node.publish(CHANNEL, event, "{}").await;
    }
}

/// The page comes to the first node, hears an event `a` there, and loses its socket; the socket id that it had.
async fn hear_and_go(cluster: &Cluster) -> String {
    let mut page = connect(&cluster[0]).await;
    enter(&mut page, CHANNEL, None).await;
    publish(&cluster[1], &["a"]).await;
    hear(&mut page, &["a"]).await;
    is_known(cluster, 0, 1).await;
    page.id.clone()
}

async fn handovers(node: &GaungNode, outcome: &str) -> f64 {
    node.metrics().await.sum_with("gaung_page_handovers_total", &format!("outcome=\"{outcome}\""))
}

/// Whether a node knows so many pages of a peer.
async fn knows(node: &GaungNode, peer: &str, pages: u64) -> bool {
    node.peers().await.iter().any(|row| row["node"] == peer && row["pages"] == pages)
}

/// Waits until all other nodes know that one has so many pages.
pub async fn is_known(cluster: &Cluster, owner: usize, pages: u64) {
    let id = cluster[owner].id().await;
    for (_, node) in cluster.nodes.iter().enumerate().filter(|(slot, _)| *slot != owner) {
        eventually("its pages are known", || knows(node, &id, pages)).await;
    }
}

#[actix::test]
async fn a_page_that_comes_back_to_another_node_has_its_socket_id_and_hears_what_it_missed_once() {
    let cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let id = hear_and_go(&cluster).await;
    publish(&cluster[2], &["b"]).await;
    let mut second = connect(&cluster[1]).await;
    assert_eq!(second.id, id);
    assert_eq!(resume(&mut second, CHANNEL).await, (vec!["b".to_owned()], true));
    assert_eq!(handovers(&cluster[1], "handed_over").await, 1.0);
    // Its home is the second node now, as the operator sees it.
    is_known(&cluster, 0, 0).await;
    is_known(&cluster, 1, 1).await;
    let (giver, rows) = (cluster[0].id().await, cluster[1].peers().await);
    assert_eq!(rows.iter().find(|row| row["node"] == giver).expect("it is listed")["handovers"], 1);
    publish(&cluster[0], &["c"]).await;
    hear(&mut second, &["c"]).await;
    drop(second);
    let mut third = connect(&cluster[2]).await;
    assert_eq!((third.id.clone(), resume(&mut third, CHANNEL).await), (id, (vec![], true)));
}

#[actix::test]
async fn a_page_whose_socket_still_lives_on_another_node_is_closed_there() {
    let cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let mut first = connect(&cluster[0]).await;
    enter(&mut first, CHANNEL, None).await;
    is_known(&cluster, 0, 1).await;
    publish(&cluster[0], &["a"]).await;
    let mut second = connect(&cluster[1]).await;
    assert_eq!(second.id, first.id);
    assert_eq!(resume(&mut second, CHANNEL).await, (vec!["a".to_owned()], true));
    assert_eq!(first.expect_close().await.0, 4013);
}

#[actix::test]
async fn pages_of_a_node_that_drains_move_and_hear_everything_once() {
    let mut cluster = Cluster::start(3, &[&PAGES[..], &[("GAUNG_DRAIN_SECONDS", "4")]].concat()).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let mut first = connect(&cluster[0]).await;
    enter(&mut first, CHANNEL, None).await;
    is_known(&cluster, 0, 1).await;
    publish(&cluster[1], &["a"]).await;
    let id = first.id.clone();
    cluster[0].terminate();
    let (mut heard, mut last) = (Vec::new(), None);
    while last.is_none() {
        match first.next_frame().await {
            awc::ws::Frame::Text(text) => {
                let message: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
                match message["event"].as_str().expect("an event") {
                    "pusher:ping" => pong(&mut first).await,
                    "pusher:error" => {}
                    name => heard.push(name.to_owned()),
                }
            }
            awc::ws::Frame::Close(reason) => last = reason,
            _ => {}
        }
    }
    assert_eq!(u16::from(last.expect("a reason").code), 4200);
    publish(&cluster[1], &["b"]).await;
    let mut second = connect(&cluster[2]).await;
    let (missed, is_complete) = resume(&mut second, CHANNEL).await;
    assert_eq!((&second.id, is_complete), (&id, true));
    // The first event may still have been on its way to the node when the socket was closed.
    assert_eq!([heard, missed].concat(), ["a", "b"]);
    assert_eq!(handovers(&cluster[2], "handed_over").await, 1.0);
    assert_eq!(cluster[0].exit_code().await, Some(0));
}

#[actix::test]
async fn a_page_that_is_away_when_its_node_has_ended_has_its_socket_id_and_hears_what_it_missed_once() {
    let mut cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let id = hear_and_go(&cluster).await;
    publish(&cluster[1], &["b"]).await;
    cluster[0].terminate();
    assert_eq!(cluster[0].exit_code().await, Some(0));
    publish(&cluster[1], &["c"]).await;
    let left = handovers(&cluster[1], "left").await + handovers(&cluster[2], "left").await;
    assert_eq!(left, 1.0);
    let mut second = connect(&cluster[1]).await;
    let heard = (vec!["b".to_owned(), "c".to_owned()], true);
    assert_eq!((second.id.clone(), resume(&mut second, CHANNEL).await), (id, heard));
}

#[actix::test]
async fn a_page_of_a_node_that_is_killed_hears_everything_since_shortly_before() {
    let mut cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let mut first = connect(&cluster[0]).await;
    enter(&mut first, CHANNEL, None).await;
    is_known(&cluster, 0, 1).await;
    // What it has heard long before is not sent again.
    publish(&cluster[1], &["old"]).await;
    hear(&mut first, &["old"]).await;
    // Three seconds and another sign of life, and as much again for a machine that is busy.
    attend(&mut first, Duration::from_secs(12)).await;
    publish(&cluster[1], &["a"]).await;
    hear(&mut first, &["a"]).await;
    cluster[0].kill();
    publish(&cluster[1], &["b"]).await;
    // Before the others have noticed.
    let mut second = connect(&cluster[1]).await;
    let (events, is_complete) = resume(&mut second, CHANNEL).await;
    assert!(is_complete && (events == ["a", "b"] || events == ["b"]), "{events:?}");
    assert_ne!(second.id, first.id);
    assert_eq!(handovers(&cluster[1], "unanswered").await, 1.0);
    hear_nothing_new(&mut second).await;
}

#[actix::test]
async fn pages_of_a_dead_node_are_told_whether_they_missed_something() {
    let mut cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let mut prompt = connect(&cluster[0]).await;
    enter(&mut prompt, CHANNEL, None).await;
    let frozen_path = "/app/app-key/aaaaaaaaaaaaaaaaaaaaaaaa?protocol=7";
    let mut frozen = cluster[0].open(frozen_path).await.greeted().await;
    enter(&mut frozen, CHANNEL, None).await;
    is_known(&cluster, 0, 2).await;
    publish(&cluster[1], &["a"]).await;
    hear(&mut prompt, &["a"]).await;
    // The other one does not answer for so long that it is known on the other nodes.
    attend(&mut prompt, Duration::from_secs(3)).await;
    let dead = cluster[0].id().await;
    cluster[0].kill();
    let is_dead =
        async |node: &GaungNode| node.peers().await.iter().any(|row| row["node"] == dead && row["stage"] == "dead");
    for node in &cluster.nodes[1..] {
        crate::harness::within(crate::harness::AGREEMENT, "it is dead", || is_dead(node)).await;
    }
    publish(&cluster[1], &["b"]).await;
    let mut back = connect(&cluster[1]).await;
    let (events, is_complete) = resume(&mut back, CHANNEL).await;
    assert!(is_complete && events.ends_with(&["b".to_owned()]), "{events:?}");
    let mut woken = cluster[2].open(frozen_path).await.greeted().await;
    assert_eq!(resume(&mut woken, CHANNEL).await, (vec![], false));
    assert_eq!((handovers(&cluster[1], "lost").await, handovers(&cluster[2], "lost").await), (1.0, 1.0));
    // A node that starts later knows of them too.
    drop(back);
    cluster.nodes.push(cluster.launch(&[]));
    eventually("it is ready", || cluster[3].is_ready()).await;
    let mut later = cluster[3].open("/app/app-key/bbbbbbbbbbbbbbbbbbbbbbbb?protocol=7").await.greeted().await;
    enter(&mut later, CHANNEL, None).await;
    hear_nothing_new(&mut later).await;
}

#[actix::test]
async fn a_page_of_a_node_that_stands_still_waits_half_a_second_and_the_node_lets_it_go_when_it_is_back() {
    let cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, CHANNEL).await;
    let mut first = connect(&cluster[0]).await;
    enter(&mut first, CHANNEL, None).await;
    is_known(&cluster, 0, 1).await;
    cluster[0].pause();
    publish(&cluster[1], &["a"]).await;
    let (asked, stalls) = (Instant::now(), Stalls::watch());
    let mut second = connect(&cluster[1]).await;
    assert!(asked.elapsed() < Duration::from_millis(2_500) + stalls.longest(), "{:?}", asked.elapsed());
    let (events, is_complete) = resume(&mut second, CHANNEL).await;
    assert_eq!((events, is_complete), (vec!["a".to_owned()], true));
    assert_eq!(handovers(&cluster[1], "unanswered").await, 1.0);
    let closed = spawn(async move { first.expect_close().await.0 });
    cluster[0].resume();
    assert_eq!(closed.await.expect("the client lives"), 4013);
    is_known(&cluster, 0, 0).await;
    publish(&cluster[2], &["b"]).await;
    hear(&mut second, &["b"]).await;
}

/// Answers what it is asked; no event comes.
async fn hear_nothing_new(client: &mut Client) {
    client.send(json!({"event": "pusher:ping", "data": {}})).await;
    loop {
        match client.next().await["event"].as_str().expect("an event") {
            "pusher:ping" => pong(client).await,
            "pusher:pong" => return,
            name => panic!("{name}"),
        }
    }
}
