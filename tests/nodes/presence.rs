//! Presence channels over several nodes: who is there, who came, who went.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Client,
    cluster::Cluster,
    collector::{Change, Collector},
    inner,
};

const ROOM: &str = "presence-room";

fn user(id: &str) -> String {
    json!({"user_id": id, "user_info": {"name": id}}).to_string()
}

#[actix::test]
async fn members_come_and_go_once_per_user_on_all_nodes() {
    let cluster = Cluster::start(3, &[]).await;
    let (mut ada, mut bob) = (cluster[0].connect().await, cluster[1].connect().await);
    assert_eq!(ada.join(ROOM, &user("ada")).await["ids"], json!(["ada"]));
    cluster.agree("ada is seen", async |node| node.members(ROOM).await == ["ada"]).await;
    let snapshot = bob.join(ROOM, &user("bob")).await;
    let expected = json!({"count": 2, "ids": ["ada", "bob"], "hash": {"ada": {"name": "ada"}, "bob": {"name": "bob"}}});
    assert_eq!(snapshot, expected);
    let added = inner(&ada.expect("pusher_internal:member_added").await);
    assert_eq!(added, json!({"user_id": "bob", "user_info": {"name": "bob"}}));
    bob.unsubscribe(ROOM).await;
    bob.expect_silence().await;
    let removed = inner(&ada.expect("pusher_internal:member_removed").await);
    assert_eq!(removed, json!({"user_id": "bob"}));
    ada.expect_silence().await;
}

#[actix::test]
async fn a_second_tab_on_another_node_is_not_announced_and_nor_is_the_end_of_the_first() {
    let cluster = Cluster::start(3, &[]).await;
    let (mut watcher, mut tab) = (cluster[0].connect().await, cluster[1].connect().await);
    let mut second = cluster[2].connect().await;
    watcher.join(ROOM, &user("watcher")).await;
    tab.join(ROOM, &user("ada")).await;
    watcher.expect("pusher_internal:member_added").await;
    cluster.agree("both are seen", async |node| node.members(ROOM).await.len() == 2).await;
    assert_eq!(second.join(ROOM, &user("ada")).await["count"], 2);
    cluster.agree("three sockets are seen", async |node| node.subscriptions(ROOM).await == 3).await;
    drop(tab);
    cluster.agree("two sockets are seen", async |node| node.subscriptions(ROOM).await == 2).await;
    watcher.expect_silence().await;
    drop(second);
    assert_eq!(inner(&watcher.expect("pusher_internal:member_removed").await), json!({"user_id": "ada"}));
    watcher.expect_silence().await;
}

#[actix::test]
async fn the_oldest_user_info_of_a_user_on_two_nodes_is_shown() {
    let cluster = Cluster::start(3, &[]).await;
    let (mut old, mut new) = (cluster[2].connect().await, cluster[0].connect().await);
    old.join(ROOM, r#"{"user_id":"ada","user_info":"old"}"#).await;
    cluster.agree("ada is seen", async |node| node.members(ROOM).await == ["ada"]).await;
    assert_eq!(new.join(ROOM, r#"{"user_id":"ada","user_info":"new"}"#).await["hash"], json!({"ada": "old"}));
    cluster.agree("both sockets are seen", async |node| node.subscriptions(ROOM).await == 2).await;
    for node in &cluster.nodes {
        let mut guest = node.connect().await;
        let snapshot = guest.join(ROOM, r#"{"user_id":"guest"}"#).await;
        assert_eq!(snapshot["hash"]["ada"], "old");
    }
}

#[actix::test]
async fn a_presence_channel_is_full_by_the_members_of_all_nodes() {
    let cluster = Cluster::start(3, &[("GAUNG_APP_MAX_PRESENCE_MEMBERS", "2")]).await;
    let (mut ada, mut bob) = (cluster[0].connect().await, cluster[1].connect().await);
    ada.join(ROOM, &user("ada")).await;
    bob.join(ROOM, &user("bob")).await;
    cluster.agree("both are seen", async |node| node.members(ROOM).await.len() == 2).await;
    for node in &cluster.nodes {
        let mut late = node.connect().await;
        late.ask_presence(ROOM, &user("late")).await;
        let error = inner(&late.expect("pusher:subscription_error").await);
        assert_eq!((&error["type"], &error["status"]), (&json!("LimitReached"), &json!(4100)));
        let mut tab = node.connect().await;
        assert_eq!(tab.join(ROOM, &user("ada")).await["count"], 2);
    }
}

#[actix::test]
async fn what_each_client_is_told_adds_up_to_who_is_there_when_many_come_and_go_at_once() {
    let cluster = Cluster::start(3, &[]).await;
    let mut clients = Vec::new();
    for number in 0..30 {
        clients.push((number, cluster[number % 3].connect().await));
    }
    let joined = join_all(clients.into_iter().map(join)).await;
    let (going, staying): (Vec<_>, Vec<_>) = joined.into_iter().partition(|member| member.number % 2 == 1);
    drop(going);
    let expected: BTreeSet<String> = staying.iter().map(|member| format!("user-{}", member.number)).collect();
    let is_known = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<_>>() == expected;
    cluster.agree("who stays is seen", async |node| is_known(node.members(ROOM).await)).await;
    for member in &staying {
        member.client.until("it was told all of it", |_| member.view() == expected).await;
    }
}

struct Joined {
    number: usize,
    snapshot: BTreeSet<String>,
    client: Collector,
}

async fn join((number, mut client): (usize, Client)) -> Joined {
    let snapshot = client.join(ROOM, &user(&format!("user-{number}"))).await;
    let ids = snapshot["ids"].as_array().expect("a list of ids").iter();
    let snapshot = ids.map(|id| id.as_str().expect("ids are strings").to_owned()).collect();
    Joined { number, snapshot, client: Collector::of(client) }
}

impl Joined {
    /// The snapshot and the changes since, none of which may be for nothing.
    fn view(&self) -> BTreeSet<String> {
        let mut view = self.snapshot.clone();
        for (change, id) in self.client.members() {
            match change {
                Change::Came => assert!(view.insert(id.clone()), "{id} came twice for user-{}", self.number),
                Change::Went => assert!(view.remove(&id), "{id} went twice for user-{}", self.number),
            }
        }
        view
    }
}

#[actix::test]
async fn a_node_that_comes_later_knows_who_is_there_once_it_is_ready() {
    let mut cluster = Cluster::start(2, &[]).await;
    let mut members = Vec::new();
    for number in 0..20 {
        let mut client = cluster[number % 2].connect().await;
        client.join(ROOM, &user(&format!("user-{number}"))).await;
        members.push(client);
    }
    let late = cluster.launch(&[]);
    crate::harness::eventually("the late node is ready", || late.is_ready()).await;
    assert_eq!(late.members(ROOM).await.len(), 20);
    cluster.nodes.push(late);
    let mut guest = cluster[2].connect().await;
    assert_eq!(guest.join(ROOM, &user("guest")).await["count"], 21);
    for member in &mut members {
        while !is_arrival_of(&member.next().await, "guest") {}
    }
}

fn is_arrival_of(message: &Value, user: &str) -> bool {
    assert_eq!(message["event"], "pusher_internal:member_added", "{message}");
    inner(message)["user_id"] == user
}
