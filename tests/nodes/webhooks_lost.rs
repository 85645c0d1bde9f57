//! Nodes die or go while webhooks are on their way: none is lost, and a repeat has the same id.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Client, cluster::Cluster, eventually, nats::NatsServer, webhook_log::WebhookLog, within},
    webhooks::start,
};

/// Enough that each node owns some of them.
const CHANNELS: usize = 24;
/// The death of a node is seen after 5 s; then come the settling of the views, the delay of 3 s, and retries.
const LATE: Duration = Duration::from_secs(45);
const ROOM: &str = "presence-room";

fn channels() -> impl Iterator<Item = String> {
    (0..CHANNELS).map(|number| format!("orders-{number}"))
}

/// A socket on each of the first two nodes: everything that the first has, the first alone has.
async fn occupy(cluster: &Cluster) -> Vec<Client> {
    let mut first = cluster[0].connect().await;
    for channel in channels() {
        first.subscribe(&channel).await;
    }
    let mut second = cluster[1].connect().await;
    first.join(ROOM, r#"{"user_id":"ada"}"#).await;
    second.join(ROOM, r#"{"user_id":"bob"}"#).await;
    vec![first, second]
}

fn only_the_room() -> Value {
    json!({ "channels": { ROOM: {} } })
}

/// Whether each channel was posted so, with as many ids as it should have.
fn posted(log: &WebhookLog, name: &str, times: usize) -> bool {
    channels().all(|channel| log.of(name, &channel).len() == times)
}

async fn all_occupied(log: &WebhookLog) {
    eventually("all that began is posted", || async {
        posted(log, "channel_occupied", 1) && log.of("member_added", ROOM).len() == 2
    })
    .await;
}

/// Everything ended once, by id; no transition had two.
async fn all_vacated(log: &WebhookLog) {
    within(LATE, "all that ended is posted", || async {
        posted(log, "channel_vacated", 1) && !log.of("member_removed", ROOM).is_empty()
    })
    .await;
    assert!(posted(log, "channel_occupied", 1), "{:#?}", log.taken());
    assert!(posted(log, "channel_vacated", 1), "{:#?}", log.taken());
}

#[actix::test]
async fn what_ends_with_the_death_of_a_node_is_posted_by_those_who_are_left() {
    let (mut cluster, log) = start(&[]).await;
    let _clients = occupy(&cluster).await;
    all_occupied(&log).await;
    cluster[0].kill();
    all_vacated(&log).await;
    assert_eq!(log.of("member_removed", ROOM).len(), 1);
    assert_eq!(log.of("member_removed", ROOM)[0].user.as_deref(), Some("ada"));
}

#[actix::test]
async fn what_ended_just_before_its_owner_died_is_posted_by_those_who_are_left() {
    let (mut cluster, log) = start(&[]).await;
    let mut clients = occupy(&cluster).await;
    all_occupied(&log).await;
    for channel in channels() {
        clients[0].unsubscribe(&channel).await;
    }
    eventually("the channels are empty", || async { cluster[2].get("/channels", &[]).await == only_the_room() }).await;
    cluster[2].kill();
    within(LATE, "all that ended is posted", || async { posted(&log, "channel_vacated", 1) }).await;
    assert!(log.of("member_removed", ROOM).is_empty());
}

/// Three nodes whose receiver is unwell while everything begins.
async fn begin_unheard(nats: NatsServer, variables: &[(&str, &str)]) -> (Cluster, WebhookLog, Client) {
    let log = WebhookLog::start().await;
    log.answer_with(503);
    let setting = log.setting();
    let variables = [&[("GAUNG_APP_WEBHOOKS", setting.as_str())], variables].concat();
    let cluster = Cluster::start_around(nats, 3, &variables).await;
    let mut client = cluster[2].connect().await;
    for channel in channels() {
        client.subscribe(&channel).await;
    }
    (cluster, log, client)
}

/// Each node owns some of the channels, and has been refused one of them; the others wait behind it.
async fn each_node_is_refused(log: &WebhookLog) {
    eventually("each node has tried to post", || async { log.refused().len() >= 3 }).await;
}

/// Everything began once, by id, and what was refused before came with the same id.
async fn all_begun(log: &WebhookLog) {
    within(LATE, "all that began is posted", || async { posted(log, "channel_occupied", 1) }).await;
    let taken: BTreeSet<_> = log.taken().into_iter().map(|notice| notice.id).collect();
    assert!(log.refused().is_subset(&taken), "{:?} were never posted again", log.refused().difference(&taken));
}

#[actix::test]
async fn what_a_killed_node_owed_is_posted_by_those_who_are_left() {
    let (mut cluster, log, client) = begin_unheard(NatsServer::start().await, &[]).await;
    each_node_is_refused(&log).await;
    cluster[0].kill();
    log.answer_with(200);
    all_begun(&log).await;
    drop(client);
    within(LATE, "all that ended is posted", || async { posted(&log, "channel_vacated", 1) }).await;
    assert!(posted(&log, "channel_occupied", 1), "{:#?}", log.taken());
}

#[actix::test]
async fn what_a_draining_node_owed_is_handed_over() {
    let (mut cluster, log, _client) = begin_unheard(NatsServer::start().await, &[]).await;
    each_node_is_refused(&log).await;
    cluster[0].terminate();
    assert_eq!(cluster[0].exit_code().await, Some(0));
    log.answer_with(200);
    all_begun(&log).await;
}

const STREAM: (&str, &str) = ("GAUNG_WEBHOOK_STREAM", "gaung-webhooks");

/// The stream holds everything that began.
async fn all_are_in_the_stream(cluster: &Cluster) {
    eventually("the stream holds what is owed", || async { cluster.nats.streamed().await == CHANNELS as u64 }).await;
}

#[actix::test]
async fn what_a_killed_node_owed_is_posted_from_the_stream_which_is_empty_then() {
    let (mut cluster, log, _client) = begin_unheard(NatsServer::start_with_jetstream().await, &[STREAM]).await;
    all_are_in_the_stream(&cluster).await;
    eventually("a node has tried to post", || async { !log.refused().is_empty() }).await;
    cluster[0].kill();
    log.answer_with(200);
    all_begun(&log).await;
    within(LATE, "the stream is empty", || async { cluster.nats.streamed().await == 0 }).await;
}

#[actix::test]
async fn the_stream_keeps_what_is_owed_though_all_nodes_die() {
    let (mut cluster, log, _client) = begin_unheard(NatsServer::start_with_jetstream().await, &[STREAM]).await;
    all_are_in_the_stream(&cluster).await;
    eventually("a node has tried to post", || async { !log.refused().is_empty() }).await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    log.answer_with(200);
    cluster.nodes = (0..3).map(|_| cluster.launch(&[])).collect();
    cluster.settle().await;
    all_begun(&log).await;
}
