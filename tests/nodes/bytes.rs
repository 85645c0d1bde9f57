//! What crosses the bus: a node is sent nothing for rooms that it does not serve.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{cluster::Cluster, collector::Collector, raw_nats::RawNats};

const ROOMS: usize = 300;
const NODES: usize = 3;
const EVENT_BYTES: usize = 1_000;

/// On which node each of the three users of a room is: a number that looks random and is the same in each run.
fn place(room: usize, user: usize) -> usize {
    let mixed = ((room * 3 + user) as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize % NODES
}

fn rooms_of(node: usize) -> BTreeSet<String> {
    (0..ROOMS).filter(|room| (0..3).any(|user| place(*room, user) == node)).map(name).collect()
}

fn name(room: usize) -> String {
    format!("room-{room}")
}

#[actix::test]
async fn a_node_is_sent_the_events_of_the_rooms_that_it_serves_and_no_others() {
    let cluster = Cluster::start(NODES, &[("GAUNG_APP_MAX_SUBSCRIPTIONS", "1000")]).await;
    let clients = place_users(&cluster).await;
    check_subscriptions(&cluster).await;

    let mut ear = RawNats::connect(cluster.nats.port).await;
    ear.subscribe(">").await;
    let before = sent_bytes(&cluster).await;
    let data = "x".repeat(EVENT_BYTES);
    for room in 0..ROOMS {
        cluster[room % NODES].publish(&name(room), "e", &data).await;
    }
    for (node, client) in clients.iter().enumerate() {
        let expected = rooms_of(node).len();
        client.until("each room's event has come", |client| client.count("e") == expected).await;
    }
    let after = sent_bytes(&cluster).await;
    ear.round_trip().await;
    report(&before, &after, &overheard(&mut ear));
}

/// One socket stands for all users on a node: the bus cannot tell, because it is asked once for each room.
async fn place_users(cluster: &Cluster) -> Vec<Collector> {
    let mut clients = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let mut client = node.connect().await;
        for room in rooms_of(index) {
            client.subscribe(&room).await;
        }
        clients.push(Collector::of(client));
    }
    clients
}

/// Each node's subscriptions at the nats-server are those of its rooms.
async fn check_subscriptions(cluster: &Cluster) {
    let connections = by_node(cluster).await;
    for (index, connection) in connections.iter().enumerate() {
        let subjects = connection["subscriptions_list"].as_array().expect("a list of subjects").iter();
        let rooms = subjects.filter_map(|subject| subject.as_str()?.split_once(".room.app-id."));
        let rooms: BTreeSet<String> = rooms.map(|(_, room)| room.to_owned()).collect();
        assert_eq!(rooms, rooms_of(index), "node {index}");
    }
}

/// How many bytes the nats-server has sent to each node.
async fn sent_bytes(cluster: &Cluster) -> Vec<u64> {
    by_node(cluster).await.iter().map(|connection| connection["out_bytes"].as_u64().expect("a number")).collect()
}

/// The nodes' connections at the nats-server, in the order of the nodes.
async fn by_node(cluster: &Cluster) -> Vec<Value> {
    let connections = cluster.nats.connections().await;
    let mut found = Vec::new();
    for node in &cluster.nodes {
        let bus = format!("{}/bus", node.id().await);
        let is_its = |connection: &&Value| connection["name"].as_str().is_some_and(|name| name.ends_with(&bus));
        found.push(connections.iter().find(is_its).expect("a node's connection carries its id").clone());
    }
    found
}

/// How many bytes were published, by subject, as far as the ear has heard.
fn overheard(ear: &mut RawNats) -> BTreeMap<String, u64> {
    let mut bytes = BTreeMap::new();
    for message in ear.heard() {
        *bytes.entry(message.subject).or_default() += message.payload.len() as u64;
    }
    bytes
}

/// Prints what each node was sent, and fails if it is more than its rooms' events and what all nodes share.
fn report(before: &[u64], after: &[u64], published: &BTreeMap<String, u64>) {
    let of_rooms = |rooms: &dyn Fn(&str) -> bool| -> u64 {
        let room = |subject: &str| subject.split_once(".room.app-id.").map(|(_, room)| room.to_owned());
        published.iter().filter(|(subject, _)| room(subject).is_some_and(|room| rooms(&room))).map(|(_, n)| n).sum()
    };
    let everything: u64 = of_rooms(&|_| true);
    let shared = published.values().sum::<u64>() - everything;
    println!("{ROOMS} rooms of 3 users, one event of {EVENT_BYTES} bytes each; everything to everyone: {everything}");
    for node in 0..NODES {
        let sent = after[node] - before[node];
        let rooms = rooms_of(node);
        let served = of_rooms(&|room| rooms.contains(room));
        println!("node {node}: serves {} rooms, was sent {sent} bytes, of them {served} for its rooms", rooms.len());
        assert!(sent >= served, "node {node} heard all its rooms");
        assert!(sent <= served + shared, "node {node} was sent {sent} bytes: more than {served} + {shared}");
    }
}

#[actix::test]
async fn a_room_that_nobody_subscribes_to_costs_the_other_nodes_nothing() {
    let cluster = Cluster::start(2, &[]).await;
    let before = sent_bytes(&cluster).await;
    let data = "x".repeat(10_000);
    for _ in 0..100 {
        cluster[0].publish("nobody", "e", &data).await;
    }
    let mut client = cluster[1].connect().await;
    client.subscribe("somebody").await;
    cluster[0].publish("somebody", "last", "{}").await;
    client.expect("last").await;
    let after = sent_bytes(&cluster).await;
    for node in 0..2 {
        assert!(after[node] - before[node] < 100_000, "node {node}: {} bytes", after[node] - before[node]);
    }
}
