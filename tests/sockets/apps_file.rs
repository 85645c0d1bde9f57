//! The apps file while it is edited: changes are in force within moments and cost nobody a socket who is not concerned.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use gaung::{
    config::{AppsSource, Config, parse_apps},
    node::Node,
    protocol::{AppKey, Secret, signature::sign_channel},
};
use serde_json::{Value, json};

use crate::{
    console::Console,
    harness::{Client, TestNode, eventually, metrics},
};

/// A file in a directory of its own, which goes with it.
pub struct AppsFile(PathBuf);

impl AppsFile {
    pub fn new(apps: &Value) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("gaung-apps-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let file = Self(std::env::temp_dir().join(name));
        fs::create_dir(&file.0).expect("the directory is new");
        file.write(&apps.to_string());
        file
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("apps.json")
    }

    /// Replaces the file as an editor does, so that nobody sees half of it.
    pub fn write(&self, text: &str) {
        let new = self.0.join("new");
        fs::write(&new, text).expect("the directory is writable");
        fs::rename(new, self.path()).expect("the directory is writable");
    }
}

impl Drop for AppsFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn app(id: &str, settings: Value) -> Value {
    let mut app = json!({"id": id, "key": format!("{id}-key"), "secret": format!("{id}-secret")});
    for (name, value) in settings.as_object().expect("settings are an object") {
        app[name] = value.clone();
    }
    app
}

async fn start(apps: Value) -> (TestNode, AppsFile) {
    start_configured(apps, |_| {}).await
}

/// A node with these apps in a file, whose configuration the test may change.
pub async fn start_configured(apps: Value, change: impl FnOnce(&mut Config)) -> (TestNode, AppsFile) {
    let file = AppsFile::new(&apps);
    let mut config = Config::default();
    change(&mut config);
    config.server.port = 0;
    config.admin.port = 0;
    let apps = parse_apps(&apps.to_string()).expect("the apps are sound");
    let source = AppsSource::File { path: file.path(), apps };
    (TestNode { node: Node::start(config, source).await.expect("the node starts") }, file)
}

impl TestNode {
    /// Waits until the file was read again so many times with this outcome.
    async fn reloaded(&self, outcome: &str, times: u64) {
        let reloads = self.node.metrics.reloads.with_label_values(&[outcome]);
        eventually("the file is read again", || async { reloads.get() == times }).await;
    }

    pub async fn connect_to(&self, key: &str) -> Client {
        self.open(&format!("/app/{key}")).await.greeted().await
    }
}

pub async fn expect_close(client: &mut Client, code: u16) {
    assert_eq!(client.expect("pusher:error").await["data"]["code"], code);
    assert_eq!(client.expect_close().await.0, code);
}

#[actix::test]
async fn an_added_app_can_be_used() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let mut old = node.connect_to("app-key").await;
    assert_eq!(node.open("/app/new-key").await.expect_close().await.0, 4001);
    file.write(&json!([app("app", json!({})), app("new", json!({}))]).to_string());
    node.reloaded("applied", 1).await;
    node.connect_to("new-key").await.subscribe("c").await;
    old.expect_silence().await;
}

#[actix::test]
async fn an_open_console_is_told_of_changed_apps_and_of_no_secret() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let mut console = Console::open(&node).await;
    assert_eq!(console.next_of("hello").await["apps"].as_array().map(Vec::len), Some(1));
    file.write(&json!([app("app", json!({"enabled": false})), app("new", json!({}))]).to_string());
    let hello = console.next_of("hello").await;
    let apps: Vec<_> = hello["apps"].as_array().unwrap().iter().map(|app| (&app["id"], &app["enabled"])).collect();
    assert_eq!(apps, [(&json!("app"), &json!(false)), (&json!("new"), &json!(true))]);
    assert!(!hello.to_string().contains("-secret"), "{hello}");
}

#[actix::test]
async fn a_changed_limit_holds_for_a_session_that_is_there() {
    let (node, file) = start(json!([app("app", json!({"max_subscriptions": 1}))])).await;
    let mut client = node.connect_to("app-key").await;
    client.subscribe("a").await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "b"}})).await;
    client.expect("pusher:subscription_error").await;
    client.expect("pusher:error").await;
    file.write(&json!([app("app", json!({"max_subscriptions": 2}))]).to_string());
    node.reloaded("applied", 1).await;
    client.subscribe("b").await;
}

#[actix::test]
async fn while_keys_are_rotated_both_serve_and_then_the_new_one_alone() {
    let pair = |name: &str| json!({"key": format!("{name}-key"), "secret": format!("{name}-secret")});
    let (node, file) = start(json!([app("old", json!({}))])).await;
    let mut early = node.connect_to("old-key").await;
    file.write(&json!([{"id": "old", "keys": [pair("old"), pair("new")]}]).to_string());
    node.reloaded("applied", 1).await;
    for name in ["old", "new"] {
        let mut late = node.connect_to(&format!("{name}-key")).await;
        for client in [&mut early, &mut late] {
            let key = AppKey { key: format!("{name}-key"), secret: Secret::new(format!("{name}-secret")) };
            let channel = format!("private-{name}");
            let auth = sign_channel(&key, client.id.parse().expect("a socket id"), &channel, None);
            client.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": channel}})).await;
            client.expect("pusher_internal:subscription_succeeded").await;
        }
    }
    file.write(&json!([{"id": "old", "keys": [pair("new")]}]).to_string());
    node.reloaded("applied", 2).await;
    assert_eq!(node.open("/app/old-key").await.expect_close().await.0, 4001);
    node.connect_to("new-key").await;
    early.expect_silence().await;
}

#[actix::test]
async fn a_disabled_apps_sockets_get_4003_and_others_stay() {
    let (node, file) = start(json!([app("app", json!({})), app("other", json!({}))])).await;
    let (mut ours, mut theirs) = (node.connect_to("app-key").await, node.connect_to("other-key").await);
    file.write(&json!([app("app", json!({"enabled": false})), app("other", json!({}))]).to_string());
    expect_close(&mut ours, 4003).await;
    expect_close(&mut node.open("/app/app-key").await, 4003).await;
    theirs.expect_silence().await;
    file.write(&json!([app("app", json!({})), app("other", json!({}))]).to_string());
    node.reloaded("applied", 2).await;
    node.connect_to("app-key").await;
}

#[actix::test]
async fn a_removed_apps_sockets_get_4001_and_others_stay() {
    let (node, file) = start(json!([app("app", json!({})), app("other", json!({}))])).await;
    let (mut ours, mut theirs) = (node.connect_to("app-key").await, node.connect_to("other-key").await);
    file.write(&json!([app("other", json!({}))]).to_string());
    expect_close(&mut ours, 4001).await;
    expect_close(&mut node.open("/app/app-key").await, 4001).await;
    theirs.expect_silence().await;
}

#[actix::test]
async fn a_removed_app_is_no_longer_among_the_metrics() {
    let (node, file) = start(json!([app("app", json!({})), app("other", json!({}))])).await;
    let mut ours = node.connect_to("app-key").await;
    ours.subscribe("c").await;
    let shown = || async { metrics(node.node.admin).await.contains("\"app\"") };
    assert!(shown().await);
    file.write(&json!([app("other", json!({}))]).to_string());
    expect_close(&mut ours, 4001).await;
    eventually("the app is shown no longer", || async { !shown().await }).await;
}

#[actix::test]
async fn a_broken_file_changes_nothing_and_is_counted() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let mut client = node.connect_to("app-key").await;
    let broken = ["{".to_owned(), "[]".to_owned(), json!([app("app", json!({"no_such": 1}))]).to_string()];
    for (times, text) in (1..).zip(broken) {
        file.write(&text);
        node.reloaded("refused", times).await;
        client.expect_silence().await;
        node.connect_to("app-key").await;
    }
    file.write(&json!([app("app", json!({})), app("new", json!({}))]).to_string());
    node.reloaded("applied", 1).await;
    node.connect_to("new-key").await;
    client.expect_silence().await;
}
