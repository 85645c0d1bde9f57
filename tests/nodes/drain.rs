//! A node is asked to go: its clients move, and nobody on the other nodes notices.

use serde_json::json;

use crate::harness::{
    Client,
    cluster::{Cluster, live},
    collector::{Change, Collector},
    eventually,
    node::GaungNode,
};

const ROOM: &str = "presence-room";

async fn member(node: &GaungNode, user: &str) -> Client {
    let mut client = node.connect().await;
    client.join(ROOM, &json!({ "user_id": user }).to_string()).await;
    client
}

/// Whether a peer knows that a node is going.
async fn sees_leaving(observer: &GaungNode, id: &str) -> bool {
    observer.peers().await.iter().any(|peer| peer["node"] == id && peer["readiness"] == "leaving")
}

#[actix::test]
async fn users_who_move_within_the_drain_neither_go_nor_come_on_the_other_nodes() {
    let mut cluster = Cluster::start(3, &[("GAUNG_DRAIN_SECONDS", "4")]).await;
    let mut moving = Vec::new();
    for number in 0..20 {
        let user = format!("user-{number}");
        moving.push((Collector::of(member(&cluster[0], &user).await), user));
    }
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 20).await;
    let mut watchers = Vec::new();
    for node in &cluster.nodes[1..] {
        let mut watcher = member(node, "user-0").await;
        watcher.expect_silence().await;
        watchers.push(Collector::of(watcher));
    }
    let id = cluster[0].id().await;
    cluster[0].terminate();
    for observer in &cluster.nodes[1..] {
        eventually("the peer is seen leaving", || sees_leaving(observer, &id)).await;
    }
    let mut arrived = Vec::new();
    for (index, (client, user)) in moving.iter().enumerate() {
        client.until("it is sent away", |client| client.closed().is_some()).await;
        assert_eq!(client.closed(), Some(4200));
        arrived.push(member(&cluster[1 + index % 2], user).await);
    }
    assert_eq!(cluster[0].exit_code().await, Some(0));
    cluster.nodes.remove(0);
    cluster.agree("it is off the list", async |node| live(&node.peers().await) == 2).await;
    cluster.agree("all members are still seen", async |node| node.members(ROOM).await.len() == 20).await;
    for watcher in &watchers {
        assert_eq!(watcher.members(), []);
    }
}

#[actix::test]
async fn while_load_balancers_notice_users_come_and_go_as_ever_and_who_moves_later_is_not_missed() {
    let mut cluster = Cluster::start(2, &[("GAUNG_DRAIN_LAG_SECONDS", "8"), ("GAUNG_DRAIN_SECONDS", "1")]).await;
    let (leaving, moving) = (member(&cluster[0], "guest").await, Collector::of(member(&cluster[0], "ada").await));
    cluster.agree("both are seen", async |node| node.members(ROOM).await == ["ada", "guest"]).await;
    let watcher = Collector::of(member(&cluster[1], "watcher").await);
    cluster.agree("all members are seen", async |node| node.members(ROOM).await.len() == 3).await;
    cluster[0].terminate();
    eventually("it is not ready", || async { !cluster[0].is_ready().await }).await;
    let late = Collector::of(member(&cluster[0], "late").await);
    watcher.until("the late one came", |watcher| !watcher.members().is_empty()).await;
    drop(leaving);
    watcher.until("the guest went", |watcher| watcher.members().len() == 2).await;
    assert_eq!(watcher.members(), [(Change::Came, "late".to_owned()), (Change::Went, "guest".to_owned())]);
    let mut arrived = Vec::new();
    for (client, user) in [(&moving, "ada"), (&late, "late")] {
        client.until("it is sent away", |client| client.closed().is_some()).await;
        arrived.push(member(&cluster[1], user).await);
    }
    assert_eq!(cluster[0].exit_code().await, Some(0));
    cluster.nodes.remove(0);
    cluster.agree("it is off the list", async |node| live(&node.peers().await) == 1).await;
    cluster.agree("who moved is there", async |node| node.members(ROOM).await == ["ada", "late", "watcher"]).await;
    assert_eq!(watcher.members().len(), 2, "{:?}", watcher.members());
}

#[actix::test]
async fn users_who_do_not_come_back_are_gone_some_time_after_the_drain_and_only_once() {
    let mut cluster = Cluster::start(2, &[("GAUNG_DRAIN_SECONDS", "1")]).await;
    let _going = member(&cluster[0], "ada").await;
    cluster.agree("ada is seen", async |node| node.members(ROOM).await == ["ada"]).await;
    let watcher = Collector::of(member(&cluster[1], "watcher").await);
    cluster[0].terminate();
    assert_eq!(cluster[0].exit_code().await, Some(0));
    watcher.until("ada went", |watcher| !watcher.members().is_empty()).await;
    assert_eq!(cluster[1].members(ROOM).await, ["watcher"]);
    assert_eq!(watcher.members().len(), 1);
}

#[actix::test]
async fn events_between_a_draining_node_and_the_others_go_on_to_its_end() {
    let mut cluster = Cluster::start(2, &[("GAUNG_DRAIN_SECONDS", "3")]).await;
    let (mut staying, mut leaving) = (cluster[1].connect().await, cluster[0].connect().await);
    staying.subscribe("orders").await;
    leaving.subscribe("orders").await;
    let _other = cluster[0].connect().await;
    let id = cluster[0].id().await;
    cluster[0].terminate();
    eventually("the peer is seen leaving", || sees_leaving(&cluster[1], &id)).await;
    let leaving = Collector::of(leaving);
    let mut number = 0;
    while leaving.closed().is_none() {
        cluster[0].publish("orders", &format!("e{number}"), "{}").await;
        staying.expect(&format!("e{number}")).await;
        number += 1;
        if number == 20 {
            break;
        }
    }
    leaving.until("it is sent away", |client| client.closed().is_some()).await;
    assert_eq!(cluster[0].exit_code().await, Some(0));
    staying.expect_silence().await;
}
