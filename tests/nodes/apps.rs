//! Apps that are kept in NATS: changed on one node, in force on all, whatever becomes of NATS and of what it keeps.

use std::{fs, path::PathBuf};

use awc::http::{Method, header};
use serde_json::{Value, json};

use crate::{
    harness::{
        AGREEMENT, Client,
        cluster::{Cluster, Variable},
        eventually,
        nats::NatsServer,
        new_folder,
        node::GaungNode,
        raw_nats::RawNats,
        within,
    },
    history_stream::documented_permissions,
};

const TOKEN: &str = "open sesame";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// What all nodes are started with here: no app of their own.
const APPS: [Variable; 6] = [
    ("GAUNG_APP_ID", ""),
    ("GAUNG_APP_KEY", ""),
    ("GAUNG_APP_SECRET", ""),
    ("GAUNG_APPS_STORE", "nats"),
    ("GAUNG_APPS_STORE_KEY", KEY),
    ("GAUNG_ADMIN_TOKEN", TOKEN),
];

/// An answer of the admin port about apps.
struct Answer {
    status: u16,
    etag: String,
    body: Value,
}

async fn ask(node: &GaungNode, method: Method, path: &str, condition: &str, body: Option<Value>) -> Answer {
    let request = awc::Client::default().request(method, format!("{}{path}", node.admin)).bearer_auth(TOKEN);
    let request = match condition {
        "new" => request.insert_header((header::IF_NONE_MATCH, "*")),
        tag => request.insert_header((header::IF_MATCH, tag)),
    };
    let request = request.timeout(AGREEMENT);
    let answer = match body {
        Some(body) => request.send_json(&body).await,
        None => request.send().await,
    };
    let mut answer = answer.expect("the admin port answers");
    let text = answer.body().await.expect("the answer has a body");
    let etag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    Answer { status: answer.status().as_u16(), etag, body: serde_json::from_slice(&text).unwrap_or_default() }
}

/// Adds the app of all tests.
async fn add_the_app(node: &GaungNode) {
    let app = json!({"key": "app-key", "secret": "app-secret"});
    let added = ask(node, Method::PUT, "/apps/app-id", "new", Some(app)).await;
    assert_eq!(added.status, 201, "{}", added.body);
}

async fn set(node: &GaungNode, condition: &str, settings: Value) -> Answer {
    ask(node, Method::PATCH, "/apps/app-id", condition, Some(settings)).await
}

async fn show(node: &GaungNode) -> Answer {
    ask(node, Method::GET, "/apps/app-id", "*", None).await
}

async fn shows(node: &GaungNode, setting: &str, value: u64) -> bool {
    show(node).await.body["settings"][setting] == value
}

async fn start(count: usize, variables: &[Variable<'_>]) -> Cluster {
    let nats = NatsServer::start_with_jetstream().await;
    let cluster = Cluster::start_around(nats, count, &[&APPS, variables].concat()).await;
    add_the_app(&cluster[0]).await;
    cluster.agree("all nodes know the app", async |node| show(node).await.status == 200).await;
    cluster
}

async fn broken(node: &GaungNode) -> f64 {
    node.metrics().await.sum("gaung_apps_store_broken_records")
}

/// Puts bytes into the place of the app's record, as who may write to NATS could.
async fn forge(cluster: &Cluster, record: &[u8]) {
    let mut intruder = RawNats::connect(cluster.nats.port).await;
    let subject = format!("gaung.v1.{}.apps.app-id", cluster.name());
    intruder.publish(&subject, record).await;
    intruder.round_trip().await;
}

async fn expect_close(client: &mut Client, code: u16) {
    assert_eq!(client.expect("pusher:error").await["data"]["code"], code);
    assert_eq!(client.expect_close().await.0, code);
}

#[actix::test]
async fn a_change_on_one_node_is_in_force_on_all_and_sockets_stay() {
    let cluster = start(3, &[]).await;
    let mut client = cluster[1].connect().await;
    client.subscribe("orders").await;
    assert_eq!(set(&cluster[0], "*", json!({"max_subscriptions": 1})).await.status, 200);
    cluster.agree("the setting is known", async |node| shows(node, "max_subscriptions", 1).await).await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "more"}})).await;
    client.expect("pusher:subscription_error").await;
    client.expect("pusher:error").await;
    cluster[2].publish("orders", "e", "{}").await;
    client.expect("e").await;
}

#[actix::test]
async fn a_disabled_apps_sockets_are_closed_on_all_nodes_and_a_removed_ones_too() {
    let cluster = start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    assert_eq!(set(&cluster[0], "*", json!({"enabled": false})).await.status, 200);
    expect_close(&mut client, 4003).await;
    assert_eq!(set(&cluster[1], "*", json!({"enabled": null})).await.status, 200);
    let mut client = cluster[1].connect().await;
    assert_eq!(ask(&cluster[0], Method::DELETE, "/apps/app-id", "*", None).await.status, 204);
    expect_close(&mut client, 4001).await;
    assert_eq!(show(&cluster[1]).await.status, 404);
    add_the_app(&cluster[1]).await;
    within(AGREEMENT, "the app is back", || async { show(&cluster[0]).await.status == 200 }).await;
    cluster[0].connect().await;
}

#[actix::test]
async fn of_two_writers_at_once_one_is_told_that_the_other_was_faster() {
    let cluster = start(2, &[]).await;
    let etag = show(&cluster[0]).await.etag;
    let (one, other) = futures_util::future::join(
        set(&cluster[0], &etag, json!({"max_connections": 1})),
        set(&cluster[1], &etag, json!({"max_connections": 2})),
    )
    .await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let kept = if one.status == 200 { 1 } else { 2 };
    cluster.agree("the first one's setting holds", async |node| shows(node, "max_connections", kept).await).await;
}

#[actix::test]
async fn changes_that_ask_for_no_certain_state_are_all_kept_whoever_is_faster() {
    let cluster = start(2, &[]).await;
    let (one, other) = futures_util::future::join(
        set(&cluster[0], "*", json!({"max_connections": 7})),
        set(&cluster[1], "*", json!({"max_subscriptions": 8})),
    )
    .await;
    assert_eq!((one.status, other.status), (200, 200), "{} {}", one.body, other.body);
    cluster
        .agree("both hold", async |node| {
            shows(node, "max_connections", 7).await && shows(node, "max_subscriptions", 8).await
        })
        .await;
}

#[actix::test]
async fn apps_outlive_nats_and_a_change_while_it_is_away_is_refused() {
    let mut cluster = start(2, &[]).await;
    let mut client = cluster[0].connect().await;
    cluster.nats.kill();
    let refused = || async { set(&cluster[0], "*", json!({"max_connections": 7})).await.status == 503 };
    eventually("a change is refused", refused).await;
    cluster[0].connect().await;
    client.expect_silence().await;
    cluster.nats.start_again().await;
    cluster.settle().await;
    let set_again = || async { set(&cluster[0], "*", json!({"max_connections": 7})).await.status == 200 };
    within(AGREEMENT, "a change is taken again", set_again).await;
    cluster.agree("it is in force", async |node| shows(node, "max_connections", 7).await).await;
    client.expect_silence().await;
    cluster.nodes.push(cluster.launch(&[]));
    cluster.settle().await;
    assert!(shows(&cluster[2], "max_connections", 7).await);
}

/// A file for the last known apps.
fn cache() -> PathBuf {
    new_folder("apps").join("cache")
}

#[actix::test]
async fn a_node_that_starts_while_nats_is_away_has_the_last_known_apps_sealed_in_its_file() {
    let (mut cluster, cache) = (start(1, &[]).await, cache());
    let variable = [("GAUNG_APPS_CACHE", cache.to_str().expect("the path is text"))];
    let mut first = cluster.launch(&variable);
    eventually("the apps are kept", || async { cache.exists() }).await;
    let text = fs::read(&cache).expect("the file is there");
    assert!(!text.windows(7).any(|part| part == b"app-key"), "the file is not sealed");
    first.kill();
    cluster.nats.kill();
    let alone = cluster.launch(&variable);
    let mut client = alone.connect().await;
    assert_eq!(set(&alone, "*", json!({"max_connections": 7})).await.status, 503);
    cluster.nats.start_again().await;
    let changed = || async { set(&cluster[0], "*", json!({"max_connections": 9})).await.status == 200 };
    within(AGREEMENT, "a change is taken again", changed).await;
    within(AGREEMENT, "the node hears of it", || async { shows(&alone, "max_connections", 9).await }).await;
    client.expect_silence().await;
    let _ = fs::remove_dir_all(cache.parent().expect("it is in a folder"));
}

#[actix::test]
async fn a_node_that_knows_no_apps_is_not_ready_until_nats_tells_them() {
    let mut cluster = start(1, &[]).await;
    cluster.nats.kill();
    let node = cluster.launch(&[]);
    let told = || async { node.log().contains("the apps are not known before NATS tells them") };
    eventually("the log says what is missing", told).await;
    assert!(!node.is_ready().await, "a node without apps is ready");
    let unknown = show(&node).await;
    assert_eq!(unknown.status, 503, "{}", unknown.body);
    cluster.nats.start_again().await;
    within(AGREEMENT, "it is ready", || node.is_ready()).await;
    node.connect().await;
}

#[actix::test]
async fn a_broken_record_changes_nothing_is_reported_and_repaired_by_the_next_change() {
    let cluster = start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    forge(&cluster, b"{\"key\":\"other\",\"secret\":\"s\"}").await;
    cluster.agree("the record is reported", async |node| broken(node).await == 1.0).await;
    for node in &cluster.nodes {
        let log = node.log();
        let told = |line: &&str| line.contains("ERROR") && line.contains("the record of an app in NATS is broken");
        assert_eq!(log.lines().filter(told).count(), 1, "{log}");
        assert!(!log.contains("app-secret"), "{log}");
        node.connect().await;
    }
    assert_eq!(set(&cluster[0], "*", json!({"max_connections": 7})).await.status, 200);
    cluster.agree("it is repaired", async |node| broken(node).await == 0.0).await;
    cluster.agree("the change holds", async |node| shows(node, "max_connections", 7).await).await;
    client.expect_silence().await;
}

#[actix::test]
async fn an_old_record_that_is_put_there_again_is_not_taken() {
    let cluster = start(1, &[]).await;
    let mut ear = RawNats::connect(cluster.nats.port).await;
    ear.subscribe("gaung.v1.*.apps.*").await;
    assert_eq!(set(&cluster[0], "*", json!({"max_connections": 7})).await.status, 200);
    assert_eq!(set(&cluster[0], "*", json!({"max_connections": 8})).await.status, 200);
    let old = ear.next().await.payload;
    assert!(!old.windows(15).any(|part| part == b"max_connections"), "the record is not sealed");
    forge(&cluster, &old).await;
    within(AGREEMENT, "the record is reported", || async { broken(&cluster[0]).await == 1.0 }).await;
    assert!(shows(&cluster[0], "max_connections", 8).await);
}

#[actix::test]
async fn a_node_with_another_key_reports_the_records_and_is_nobodys_app() {
    let cluster = start(1, &[]).await;
    let node = cluster.launch(&[("GAUNG_APPS_STORE_KEY", OTHER_KEY)]);
    within(AGREEMENT, "the record is reported", || async { broken(&node).await == 1.0 }).await;
    assert!(node.log().contains("it was sealed with another GAUNG_APPS_STORE_KEY"), "{}", node.log());
    assert_eq!(show(&node).await.status, 404);
    let app = json!({"key": "app-key", "secret": "app-secret"});
    let refused = ask(&node, Method::PUT, "/apps/app-id", "new", Some(app)).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert_eq!((show(&cluster[0]).await.status, broken(&cluster[0]).await), (200, 0.0));
}

#[actix::test]
async fn a_login_that_may_do_what_the_documentation_lists_may_keep_apps() {
    let user = format!("{{ user: nodes, password: secret, permissions: {} }}", documented_permissions());
    let lines = format!("jetstream {{ store_dir: streams }}\nauthorization {{ users: [{user}] }}\n");
    let login = [("GAUNG_CLUSTER_NAME", "production"), ("GAUNG_NATS_USER", "nodes"), ("GAUNG_NATS_PASSWORD", "secret")];
    let nats = NatsServer::start_with(&lines).await;
    let cluster = Cluster::start_around(nats, 2, &[&APPS[..], &login].concat()).await;
    add_the_app(&cluster[0]).await;
    cluster.agree("all nodes know the app", async |node| show(node).await.status == 200).await;
    for node in &cluster.nodes {
        assert!(!node.log().contains("rejected an operation"), "{}", node.log());
    }
}
