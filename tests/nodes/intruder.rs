//! Somebody else speaks on the bus: everything is hostile input.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::harness::{
    cluster::Cluster,
    collector::Collector,
    eventually,
    metrics::REFUSED,
    new_folder,
    node::GaungNode,
    raw_nats::{Message, RawNats},
};

const ROOM: &str = "presence-room";

async fn ear(cluster: &Cluster) -> RawNats {
    RawNats::connect(cluster.nats.port).await
}

/// The first message on a subject that ends so.
async fn overhear(ear: &mut RawNats, ending: &str) -> Message {
    loop {
        let message = ear.next().await;
        if message.subject.ends_with(ending) {
            return message;
        }
    }
}

/// What an intruder might send: nothing, noise, frames of other versions, frames that are cut short or far too long.
fn forgeries(genuine: &[u8]) -> Vec<Vec<u8>> {
    let mut forgeries = vec![Vec::new(), vec![0], vec![0xFF; 10_000], b"{\"event\":\"e\"}".to_vec()];
    forgeries.extend((1..genuine.len()).step_by(3).map(|length| genuine[..length].to_vec()));
    let mut other_version = genuine.to_vec();
    other_version[0] ^= 0x40;
    forgeries.push(other_version);
    forgeries.push([genuine, &[0; 100]].concat());
    forgeries
}

async fn refused(node: &GaungNode) -> f64 {
    node.metrics().await.sum(REFUSED)
}

#[actix::test]
async fn garbage_on_every_subject_is_counted_and_changes_nothing() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    client.join(ROOM, r#"{"user_id":"ada"}"#).await;
    let client = Collector::of(client);
    cluster.agree("ada is seen", async |node| node.members(ROOM).await == ["ada"]).await;

    let mut intruder = ear(&cluster).await;
    intruder.subscribe("gaung.v1.>").await;
    cluster[0].publish("orders", "genuine", "{}").await;
    let event = overhear(&mut intruder, ".room.app-id.orders").await;
    let state = overhear(&mut intruder, ".state").await;
    let own = state.subject.replace(".state", &format!(".node.{}", cluster[1].id().await));
    let before = refused(&cluster[1]).await;
    let mut sent = 0;
    for (subject, genuine) in [(&event.subject, &event), (&state.subject, &state), (&own, &state)] {
        for forgery in forgeries(&genuine.payload) {
            intruder.publish(subject, &forgery).await;
            sent += 1;
        }
    }
    intruder.round_trip().await;
    eventually("all of it is counted", || async { refused(&cluster[1]).await >= before + f64::from(sent) }).await;
    cluster[0].publish("orders", "still genuine", "{}").await;
    client.until("events go on", |client| client.count("still genuine") == 1).await;
    let names: Vec<_> = client.heard().into_iter().map(|heard| heard.message["event"].clone()).collect();
    assert_eq!(names, [json!("genuine"), json!("still genuine")]);
    cluster.settle().await;
    assert_eq!(cluster[0].members(ROOM).await, ["ada"]);
}

/// The same frame as another node would have sent it: its name stands behind four bytes.
fn renamed(genuine: &[u8], name: u64) -> Vec<u8> {
    [&genuine[..4], &name.to_be_bytes(), &genuine[12..]].concat()
}

#[actix::test]
async fn a_node_that_starts_is_ready_and_seen_while_frames_of_nodes_that_are_none_come_without_end() {
    let mut cluster = Cluster::start(2, &[]).await;
    let mut intruder = ear(&cluster).await;
    intruder.subscribe("gaung.v1.>").await;
    let beat = overhear(&mut intruder, ".state").await;
    let mut intruder = ear(&cluster).await;
    let flood = actix::spawn(async move {
        for name in 0.. {
            intruder.publish(&beat.subject, &renamed(&beat.payload, name)).await;
            if name % 100 == 0 {
                intruder.round_trip().await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    let known = async |node: &GaungNode| node.metrics().await.sum("gaung_cluster_peers") >= 1024.0;
    eventually("the table of peers is full", || known(&cluster[0])).await;
    let node = cluster.launch(&[]);
    cluster.nodes.push(node);
    cluster.settle().await;
    let mut client = cluster[2].connect().await;
    client.subscribe("orders").await;
    cluster[0].publish("orders", "e", "{}").await;
    client.expect("e").await;
    flood.abort();
}

#[actix::test]
async fn an_event_that_is_played_again_is_not_delivered_again() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    let mut intruder = ear(&cluster).await;
    intruder.subscribe("gaung.v1.>").await;
    cluster[0].publish("orders", "once", "{}").await;
    let event = overhear(&mut intruder, ".room.app-id.orders").await;
    client.expect("once").await;
    for _ in 0..10 {
        intruder.publish(&event.subject, &event.payload).await;
    }
    intruder.round_trip().await;
    cluster[0].publish("orders", "next", "{}").await;
    client.expect("next").await;
    client.expect_silence().await;
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two apps, `a` and `b`, on two nodes.
async fn two_apps() -> (Cluster, Folder) {
    let folder = Folder(new_folder("apps"));
    let file = folder.0.join("apps.json");
    let app = |id: &str| json!({"id": id, "key": format!("key-{id}"), "secret": "secret"});
    fs::write(&file, json!([app("a"), app("b")]).to_string()).expect("the folder is writable");
    let path = file.to_str().expect("the path is text");
    let none = [("GAUNG_APP_ID", ""), ("GAUNG_APP_KEY", ""), ("GAUNG_APP_SECRET", "")];
    let cluster = Cluster::start(2, &[&none[..], &[("GAUNG_APPS_FILE", path)]].concat()).await;
    (cluster, folder)
}

async fn publish(node: &GaungNode, app: &str, name: &str) {
    use crate::harness::back_end::BackEnd;
    use gaung::protocol::{AppKey, Secret};
    let key = AppKey { key: format!("key-{app}"), secret: Secret::new("secret") };
    BackEnd::new(app, key).publish(&node.public, "orders", name, "{}").await;
}

#[actix::test]
async fn an_event_of_one_app_never_reaches_another_on_any_node_and_not_by_forgery() {
    let (cluster, _folder) = two_apps().await;
    let mut strangers = Vec::new();
    for node in &cluster.nodes {
        let mut stranger = node.connect_with_key("key-b").await;
        stranger.subscribe("orders").await;
        strangers.push(stranger);
    }
    let mut own = cluster[1].connect_with_key("key-a").await;
    own.subscribe("orders").await;
    let mut intruder = ear(&cluster).await;
    intruder.subscribe("gaung.v1.>").await;
    publish(&cluster[0], "a", "for a").await;
    own.expect("for a").await;
    let event = overhear(&mut intruder, ".room.a.orders").await;
    let other = event.subject.replace(".room.a.", ".room.b.");
    for _ in 0..10 {
        intruder.publish(&other, &event.payload).await;
    }
    intruder.round_trip().await;
    publish(&cluster[0], "b", "for b").await;
    for stranger in &mut strangers {
        stranger.expect("for b").await;
        stranger.expect_silence().await;
    }
    own.expect_silence().await;
}
