//! Faults of the servers that clients are not to notice. The pauses here are the faults' own length and the
//! load's own pace; nothing is waited for by them.

use std::{sync::Arc, time::Duration};

use gaung_cluster::{
    Room,
    bus::{Auth, BusSettings},
    core::{Input, Output},
    fact::{Fact, Member},
    remote::RemoteChange,
};

use crate::{
    bystanders::Log,
    node::{Gate, Node, room},
    server::NatsServer,
};

/// Publishes a thousand numbered events a second for so long; returns how many.
async fn load(node: &Node, room: &Room, seconds: u32) -> u32 {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for tick in 0..seconds * 100 {
        ticks.tick().await;
        node.publish(room, tick * 10..tick * 10 + 10);
    }
    seconds * 1000
}

fn member(user: &str, sockets: u32) -> Input {
    let member = Member { user: user.into(), info: "{}".into(), since: 1, sockets };
    Input::Fact(Fact::Member { room: room("presence-a"), member })
}

fn removals(node: &Node) -> usize {
    let is_removal = |output: &&Output| matches!(output, Output::Remote(RemoteChange::Member { member: None, .. }));
    node.outputs().iter().filter(is_removal).count()
}

/// A thousand events a second from one node to two, with a fault in the second second.
async fn check_load(seconds: u32, fault: impl AsyncFnOnce(&mut NatsServer)) {
    let mut server = NatsServer::start();
    let [one, two, three] = Node::start_many(&server).await;
    let orders = room("orders");
    for node in [&one, &two, &three] {
        node.serve(&orders).await;
        node.serve(&room("presence-a")).await;
        node.link.send(member(&node.link.node().to_string(), 1));
    }
    for node in [&one, &two, &three] {
        node.until("all see three members", |core| core.population(&room("presence-a")) == 3).await;
    }
    let trouble = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fault(&mut server).await;
    };
    let (published, ()) = tokio::join!(load(&one, &orders, seconds), trouble);
    for node in [&two, &three] {
        node.expect(&orders, 0..published).await;
        node.until_status("the bus is back", |status| status.connected).await;
    }
    for node in [&one, &two, &three] {
        node.until("all see three members", |core| core.population(&room("presence-a")) == 3).await;
        assert_eq!(removals(node), 0, "no member left");
        let counters = node.link.ask(|core| core.counters().clone()).await.unwrap();
        assert_eq!((counters.gaps_lost, counters.deaths), (0, 0), "{counters:?} {:?}", node.link.status());
    }
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_disordered_when_the_server_is_killed_and_comes_back() {
    let kill = async |server: &mut NatsServer| {
        server.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.restart();
    };
    check_load(5, kill).await;
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_disordered_when_the_server_hangs_for_four_seconds() {
    let pause = async |server: &mut NatsServer| {
        server.pause();
        tokio::time::sleep(Duration::from_secs(4)).await;
        server.resume();
    };
    check_load(7, pause).await;
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_disordered_when_the_server_hangs_for_ten_seconds() {
    let pause = async |server: &mut NatsServer| {
        server.pause();
        tokio::time::sleep(Duration::from_secs(10)).await;
        server.resume();
    };
    check_load(13, pause).await;
}

#[tokio::test]
async fn nodes_agree_after_changes_while_the_server_was_away() {
    let mut server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    one.link.send(member("ann", 1));
    two.until("ann is seen", |core| core.population(&room("presence-a")) == 1).await;
    server.kill();
    for node in [&one, &two] {
        node.until_status("the loss is noticed", |status| !status.connected).await;
    }
    one.link.send(member("ann", 0));
    one.link.send(member("bob", 1));
    two.link.send(member("eve", 2));
    server.restart();
    for node in [&one, &two] {
        let wanted = |core: &gaung_cluster::core::Core| {
            core.members(&room("presence-a")).map(|member| &*member.user).eq(["bob", "eve"])
        };
        node.until("both see bob and eve", wanted).await;
    }
}

#[tokio::test]
async fn a_node_serves_alone_until_the_server_appears_and_joins_then() {
    let mut server = NatsServer::absent();
    let nodes = [Node::start(&server), Node::start(&server)];
    let orders = room("orders");
    nodes[1].serve(&orders).await;
    let status = nodes[1].until_status("why it is alone", |status| status.last_error.is_some()).await;
    let error = status.last_error.unwrap();
    assert!(!status.connected && error.starts_with("no connection to the NATS server 127.0.0.1:"), "{error}");
    server.restart();
    for node in &nodes {
        node.until_status("it joins", |status| status.connected && status.last_error.is_none()).await;
        node.until("it sees the other", |core| core.peers().count() == 1).await;
    }
    nodes[0].publish(&orders, 0..10);
    nodes[1].expect(&orders, 0..10).await;
}

#[tokio::test]
async fn a_connection_that_carries_nothing_is_noticed_logged_once_and_reset() {
    let log = Log::catch();
    let deaf = r#"authorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: ["gaung.v1.test.state"] } } }] }"#;
    let mut server = NatsServer::start_with(deaf);
    let auth = Auth::User { user: "u".to_owned(), password: "p".to_owned() };
    let node = Node::start_with(BusSettings { auth, ..server.settings() });
    let status = node.until_status("the connection is made anew, twice", |status| status.reconnects >= 2).await;
    assert!(!status.connected && status.last_error.is_some(), "{status:?}");
    assert_eq!(log.lines("gaung_cluster", "heartbeats do not come back").len(), 1);
    let refusals = log.lines("gaung_cluster", "rejected an operation");
    assert!(refusals.len() == 1 && refusals[0].contains("the state subject"), "{refusals:#?}");
    assert!(log.lines("gaung_cluster", "connected to NATS").is_empty());
    server.restart_with("authorization { users: [{ user: u, password: p }] }");
    node.until_status("it is whole", |status| status.connected && status.last_error.is_none()).await;
}

#[tokio::test]
async fn what_a_slow_node_did_not_read_in_time_is_counted_and_had_again() {
    const MANY: u32 = 80_000;
    let server = NatsServer::start();
    let gate = Arc::new(Gate::default());
    let (one, two) = (Node::start(&server), Node::start_behind(server.settings(), gate.clone()));
    let orders = room("orders");
    two.serve(&orders).await;
    two.until("it sees the other", |core| core.peers().count() == 1).await;
    gate.close();
    one.publish(&orders, 0..MANY);
    two.until_status("its queue is full", |status| status.slow_consumers > 0).await;
    gate.open();
    two.expect(&orders, 0..MANY).await;
}
