//! Channels that keep a history: who comes back to any node hears what it missed, once, or is told that it may not have.

use std::{cell::RefCell, rc::Rc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    AGREEMENT, Client,
    cluster::{Cluster, Variable},
    inner,
    load::Load,
    reader::{Reader, enter, recovered},
    within,
};

pub const HISTORY: Variable = ("GAUNG_APP_HISTORY", "*=60s:2000");

/// Subscribes for the first time; the position.
pub async fn begin(client: &mut Client, channel: &str) -> String {
    enter(client, channel, None).await["id"].as_str().expect("a position").to_owned()
}

async fn names(client: &mut Client, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count {
        names.push(client.next().await["event"].as_str().expect("an event").to_owned());
    }
    names
}

/// Fails unless of each publisher, which is the first letter of a name, the numbers come once and in order.
fn check_each_in_order(names: &[String], count: usize) {
    for publisher in ["a", "b", "c"] {
        let came: Vec<_> = names.iter().filter(|name| name.starts_with(publisher)).cloned().collect();
        let expected: Vec<_> = (0..count).map(|number| format!("{publisher}{number}")).collect();
        assert_eq!(came, expected, "{names:?}");
    }
}

#[actix::test]
async fn a_client_that_is_cut_and_comes_back_to_another_node_that_serves_the_room_hears_all_that_it_missed_once() {
    let cluster = Cluster::start(3, &[HISTORY]).await;
    let mut resident = cluster[1].connect().await;
    begin(&mut resident, "orders").await;
    let mut client = cluster[0].connect().await;
    let mut position = begin(&mut client, "orders").await;
    for round in 0..5 {
        drop(client);
        for number in 0..10 {
            for (node, publisher) in cluster.nodes.iter().zip(["a", "b", "c"]) {
                node.publish("orders", &format!("{publisher}{number}"), "{}").await;
            }
        }
        client = cluster[1 - round % 2].connect().await;
        let answer = enter(&mut client, "orders", Some(&position)).await;
        assert!(answer.get("id").is_none(), "{answer}");
        let (mut heard, is_complete, _) = recovered(&mut client).await;
        assert!(is_complete);
        // What a node publishes may come to another after the client.
        let late = 30 - heard.len();
        heard.extend(names(&mut client, late).await);
        check_each_in_order(&heard, 10);
        cluster[2].publish("orders", "live", "{}").await;
        client.expect("live").await;
        client.expect_silence().await;
        assert_eq!(names(&mut resident, 31).await.last().map(String::as_str), Some("live"));
        let mut witness = cluster[1 - round % 2].connect().await;
        position = begin(&mut witness, "orders").await;
    }
}

#[actix::test]
async fn clients_that_are_cut_all_the_time_hear_each_event_once_or_are_told_while_nats_stands_still_and_restarts() {
    let mut cluster = Cluster::start(3, &[HISTORY]).await;
    let channels: Vec<String> = (0..3).map(|n| format!("orders-{n}")).collect();
    let origins = Rc::new(RefCell::new(cluster.nodes.iter().map(|node| node.public.clone()).collect()));
    let readers: Vec<_> = (0..6).map(|_| Reader::start(Rc::clone(&origins), &channels)).collect();
    let loads: Vec<_> = (0..3).map(|node| Load::start(node, &cluster[node].public, &channels, 66)).collect();
    sleep(Duration::from_secs(3)).await;
    cluster.nats.pause();
    sleep(Duration::from_secs(2)).await;
    cluster.nats.resume();
    sleep(Duration::from_secs(3)).await;
    cluster.nats.kill();
    sleep(Duration::from_secs(1)).await;
    cluster.nats.start_again().await;
    sleep(Duration::from_secs(4)).await;
    readers.iter().for_each(Reader::stay);
    let published = join_all(loads.into_iter().map(Load::finish)).await;
    for (index, reader) in readers.iter().enumerate() {
        within(AGREEMENT, "the last events come", || async { published.iter().all(|all| reader.has_all(all)) }).await;
        let record = reader.record.borrow();
        println!("{index}: {} events, {} whole, {} told", record.heard, record.whole, record.partial);
        assert!(record.faults.is_empty(), "{index}: {:?}", record.faults);
        assert!(record.whole > record.partial && record.replayed > 0, "{} told", record.partial);
    }
    println!("refused {:?}", published.iter().map(|all| &all.refused).collect::<Vec<_>>());
}

#[actix::test]
async fn client_events_between_the_events_are_no_gap_and_are_not_replayed() {
    let cluster = Cluster::start(2, &[HISTORY, ("GAUNG_APP_CLIENT_EVENTS", "true")]).await;
    let (mut writer, mut client) = (cluster[1].connect().await, cluster[0].connect().await);
    begin(&mut writer, "private-orders").await;
    let position = begin(&mut client, "private-orders").await;
    drop(client);
    let mut witness = cluster[0].connect().await;
    begin(&mut witness, "private-orders").await;
    for number in 0..5 {
        writer.send(json!({"event": "client-typing", "channel": "private-orders", "data": "{}"})).await;
        assert!(witness.expect("client-typing").await.get("id").is_none());
        let node = &cluster[number % 2];
        node.publish("private-orders", &format!("e{number}"), "{}").await;
        for heard in [&mut witness, &mut writer] {
            heard.expect(&format!("e{number}")).await;
        }
    }
    writer.send(json!({"event": "client-typing", "channel": "private-orders", "data": "{}"})).await;
    witness.expect("client-typing").await;
    let expected: Vec<_> = (0..5).map(|number| format!("e{number}")).collect();
    for node in &cluster.nodes {
        let mut back = node.connect().await;
        enter(&mut back, "private-orders", Some(&position)).await;
        let (heard, is_complete, newest) = recovered(&mut back).await;
        assert_eq!((&heard, is_complete), (&expected, true));
        back.expect_silence().await;
        let mut other = cluster[0].connect().await;
        enter(&mut other, "private-orders", Some(&newest)).await;
        let (heard, is_complete, _) = recovered(&mut other).await;
        assert_eq!((heard, is_complete), (vec![], true));
    }
}

#[actix::test]
async fn a_member_that_comes_back_to_a_presence_channel_sees_the_members_and_hears_the_events() {
    let cluster = Cluster::start(2, &[HISTORY]).await;
    let (mut resident, mut client) = (cluster[1].connect().await, cluster[0].connect().await);
    begin(&mut resident, "presence-room").await;
    let position = begin(&mut client, "presence-room").await;
    resident.expect("pusher_internal:member_added").await;
    drop(client);
    resident.expect("pusher_internal:member_removed").await;
    for (node, name) in cluster.nodes.iter().zip(["a", "b"]) {
        node.publish("presence-room", name, "{}").await;
        resident.expect(name).await;
    }
    let mut back = cluster[1].connect().await;
    let answer = enter(&mut back, "presence-room", Some(&position)).await;
    assert_eq!(inner(&answer)["presence"]["count"], 2, "{answer}");
    let (heard, is_complete, _) = recovered(&mut back).await;
    assert_eq!((heard, is_complete), (vec!["a".to_owned(), "b".to_owned()], true));
    back.expect_silence().await;
    assert_eq!(inner(&resident.expect("pusher_internal:member_added").await)["user_id"], back.id);
}

#[actix::test]
async fn an_event_that_leaves_a_socket_out_is_not_replayed_to_it_and_is_to_others() {
    let cluster = Cluster::start(2, &[HISTORY]).await;
    let mut client = cluster[1].connect().await;
    let position = begin(&mut client, "orders").await;
    let mut resident = cluster[1].connect().await;
    begin(&mut resident, "orders").await;
    client.unsubscribe("orders").await;
    client.expect_silence().await;
    let event = json!({"name": "own", "channel": "orders", "data": "{}", "socket_id": client.id});
    assert_eq!(cluster[0].post("/events", &event).await, (200, json!({})));
    cluster[0].publish("orders", "other", "{}").await;
    assert_eq!(names(&mut resident, 2).await, ["own", "other"]);
    enter(&mut client, "orders", Some(&position)).await;
    let (heard, is_complete, _) = recovered(&mut client).await;
    assert_eq!((heard, is_complete), (vec!["other".to_owned()], true));
    let mut another = cluster[1].connect().await;
    enter(&mut another, "orders", Some(&position)).await;
    assert_eq!(recovered(&mut another).await.0, ["own", "other"]);
}
