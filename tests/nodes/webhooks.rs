//! Webhooks once in the cluster, whichever node sees what happens.

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::json;
use tokio::time::sleep;

use crate::harness::{AGREEMENT, Client, cluster::Cluster, eventually, new_folder, webhook_log::WebhookLog, within};

const ROOM: &str = "presence-room";

/// Three nodes that post to the log, and the log.
pub async fn start(variables: &[(&str, &str)]) -> (Cluster, WebhookLog) {
    let log = WebhookLog::start().await;
    let setting = log.setting();
    let variables = [&[("GAUNG_APP_WEBHOOKS", setting.as_str())], variables].concat();
    (Cluster::start(3, &variables).await, log)
}

/// A socket on each node that is the same user in the room and subscribes to the channels.
async fn occupy(cluster: &Cluster, channels: &[String]) -> Vec<Client> {
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        for channel in channels {
            client.subscribe(channel).await;
        }
        client.join(ROOM, r#"{"user_id":"ada"}"#).await;
        clients.push(client);
    }
    clients
}

#[actix::test]
async fn what_is_seen_by_all_nodes_is_posted_once() {
    let (cluster, log) = start(&[]).await;
    let channels: Vec<String> = (0..10).map(|n| format!("orders-{n}")).collect();
    let clients = occupy(&cluster, &channels).await;
    eventually("all channels are posted as occupied", || async {
        channels.iter().all(|channel| log.of("channel_occupied", channel).len() == 1)
            && log.of("member_added", ROOM).len() == 1
    })
    .await;
    drop(clients);
    eventually("all channels are posted as vacated", || async {
        channels.iter().all(|channel| log.of("channel_vacated", channel).len() == 1)
            && log.of("member_removed", ROOM).len() == 1
            && log.of("channel_vacated", ROOM).len() == 1
    })
    .await;
    assert_eq!(log.of("member_removed", ROOM)[0].user.as_deref(), Some("ada"));
    // Nobody died, so not even a repeat.
    assert_eq!(log.taken().len(), channels.len() * 2 + 4, "{:#?}", log.taken());
}

#[actix::test]
async fn how_many_nodes_there_are_to_be_may_change_while_they_run() {
    let (folder, log) = (new_folder("nodes-file"), WebhookLog::start().await);
    let (file, setting) = (folder.join("nodes"), log.setting());
    fs::write(&file, "3\n").expect("the folder takes files");
    let path = file.to_str().expect("its name is text");
    let variables =
        [("GAUNG_APP_WEBHOOKS", setting.as_str()), ("GAUNG_CLUSTER_NODES", ""), ("GAUNG_CLUSTER_NODES_FILE", path)];
    let cluster = Cluster::start(1, &variables).await;
    let mut client = cluster[0].connect().await;
    client.subscribe("orders").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(log.taken().len(), 0, "one of three decides nothing");
    fs::write(&file, "three").expect("the folder takes files");
    within(AGREEMENT, "it is refused", || async { cluster[0].log().contains("nodes file refused") }).await;
    fs::write(&file, "1").expect("the folder takes files");
    eventually("it decides alone", || async { log.of("channel_occupied", "orders").len() == 1 }).await;
    assert!(cluster[0].log().contains("the nodes file is taken again"), "{}", cluster[0].log());
}

#[actix::test]
async fn who_moves_to_another_node_within_three_seconds_is_not_posted() {
    let (cluster, log) = start(&[]).await;
    let mut here = cluster[0].connect().await;
    here.join(ROOM, r#"{"user_id":"ada"}"#).await;
    eventually("she is posted", || async { log.of("member_added", ROOM).len() == 1 }).await;
    let mut there = cluster[1].connect().await;
    drop(here);
    there.join(ROOM, r#"{"user_id":"ada"}"#).await;
    let mut other = cluster[2].connect().await;
    other.subscribe("later").await;
    eventually("what began later is posted", || async { log.of("channel_occupied", "later").len() == 1 }).await;
    drop(other);
    eventually("what ended later is posted", || async { log.of("channel_vacated", "later").len() == 1 }).await;
    let names: BTreeSet<_> =
        log.taken().into_iter().filter(|notice| notice.channel == ROOM).map(|notice| notice.name).collect();
    assert_eq!(names, BTreeSet::from(["channel_occupied", "member_added"].map(str::to_owned)));
}

#[actix::test]
async fn a_channel_that_fills_and_empties_many_times_alternates_with_new_ids() {
    let (cluster, log) = start(&[]).await;
    for round in 0..3 {
        let mut client = cluster[round].connect().await;
        client.subscribe("orders").await;
        eventually("it is occupied", || async { log.of("channel_occupied", "orders").len() == round + 1 }).await;
        drop(client);
        eventually("it is vacated", || async { log.of("channel_vacated", "orders").len() == round + 1 }).await;
    }
    let names: Vec<_> = log.taken().into_iter().map(|notice| notice.name).collect();
    assert_eq!(names, ["channel_occupied", "channel_vacated"].repeat(3));
}

#[actix::test]
async fn what_only_one_node_can_know_is_posted_by_it_alone() {
    let (cluster, log) = start(&[("GAUNG_APP_CLIENT_EVENTS", "true")]).await;
    let mut clients = Vec::new();
    for node in &cluster.nodes {
        let mut client = node.connect().await;
        client.subscribe_private("private-chat").await;
        clients.push(client);
    }
    clients[0].send(json!({"event": "client-typing", "channel": "private-chat", "data": {}})).await;
    clients[1].expect("client-typing").await;
    clients[2].expect("client-typing").await;
    eventually("the channel is occupied", || async { log.of("channel_occupied", "private-chat").len() == 1 }).await;
    drop(clients);
    eventually("the channel is vacated", || async { log.of("channel_vacated", "private-chat").len() == 1 }).await;
    assert_eq!(log.of("client_event", "private-chat").len(), 1);
}

#[actix::test]
async fn who_comes_and_goes_at_once_is_posted_as_if_they_had_stayed() {
    let (cluster, log) = start(&[]).await;
    // So many rooms that each node owns some.
    let rooms: Vec<String> = (0..12).map(|number| format!("presence-visit-{number}")).collect();
    let mut client = cluster[0].connect().await;
    for room in &rooms {
        client.join(room, r#"{"user_id":"ada"}"#).await;
        client.unsubscribe(room).await;
    }
    eventually("comings and goings are posted", || async {
        let is_posted = |room: &String| {
            let kinds = ["channel_occupied", "member_added", "member_removed", "channel_vacated"];
            kinds.iter().all(|kind| log.of(kind, room).len() == 1)
        };
        rooms.iter().all(is_posted)
    })
    .await;
}
