//! A real node on free ports, and back ends that sign.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use gaung::{
    app::App,
    config::{AppSettings, AppsSource, Config},
    metrics::Outcomes,
    node::Node,
    protocol::signature::sign_request,
};
use serde_json::{Value, json};

pub use crate::common::client::{Client, PATIENCE, eventually, http_client, inner, key, now, upgrade};

/// A running node.
pub struct TestNode {
    pub node: Node,
}

/// A node with one app, `app-id`, whose settings the test may change.
pub async fn start(change: impl FnOnce(&mut AppSettings)) -> TestNode {
    start_configured(|_| {}, change).await
}

/// A node whose configuration and whose app's settings the test may change.
pub async fn start_configured(config: impl FnOnce(&mut Config), change: impl FnOnce(&mut AppSettings)) -> TestNode {
    let mut settings = AppSettings::new("app-key", "app-secret");
    change(&mut settings);
    start_with(config, vec![("app-id".to_owned(), settings)]).await
}

/// A node with these apps.
pub async fn start_with(change: impl FnOnce(&mut Config), apps: Vec<(String, AppSettings)>) -> TestNode {
    let mut config = Config::default();
    config.server.port = 0;
    config.admin.port = 0;
    config.drain.window = Duration::ZERO;
    change(&mut config);
    TestNode { node: Node::start(config, AppsSource::Fixed(apps)).await.expect("the node starts") }
}

/// What the admin port shows at `/metrics`.
pub async fn metrics(admin: SocketAddr) -> String {
    let request = http_client().get(format!("http://{admin}/metrics"));
    let text = request.send().await.expect("the admin port answers").body().limit(1 << 20).await;
    String::from_utf8(text.expect("metrics have a body").to_vec()).expect("metrics are text")
}

/// What a node has counted, of all its apps and of none. It stays when the node goes.
pub struct Counted {
    apps: Vec<Arc<App>>,
    without_app: Arc<Outcomes>,
}

impl Counted {
    pub fn refusals(&self, reason: &str) -> u64 {
        self.sum(|outcomes| outcomes.refusals.get(reason))
    }

    pub fn closes(&self, reason: &str) -> u64 {
        self.sum(|outcomes| outcomes.closes.get(reason))
    }

    pub fn auth_failures(&self, kind: &str) -> u64 {
        self.sum(|outcomes| outcomes.auth_failures.get(kind))
    }

    pub fn slow_consumers(&self) -> u64 {
        self.sum(|outcomes| outcomes.slow_consumers.load(Relaxed))
    }

    pub fn triggers(&self) -> u64 {
        self.sum(|outcomes| outcomes.trigger_seconds.cumulative().into_iter().max().unwrap_or_default())
    }

    fn sum(&self, count: impl Fn(&Outcomes) -> u64) -> u64 {
        self.apps.iter().map(|app| &app.counters.outcomes).chain([&*self.without_app]).map(count).sum()
    }
}

impl TestNode {
    pub fn counted(&self) -> Counted {
        Counted { apps: self.node.registry.all(), without_app: self.node.metrics.without_app.clone() }
    }

    /// The address of a path on the public port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.public)
    }

    /// Posts a signed request to `/apps/app-id{path}` and returns status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/apps/app-id{path}");
        let body = body.to_string();
        let query = sign_request(&key(), "POST", &path, &[], body.as_bytes(), now());
        let request = http_client().post(self.url(&format!("{path}?{query}")));
        let mut answer = request.send_body(body).await.expect("the node answers");
        let text = answer.body().await.expect("the answer has a body");
        (answer.status().as_u16(), serde_json::from_slice(&text).expect("the answer is JSON"))
    }

    /// Publishes an event, which must be accepted.
    pub async fn publish(&self, channel: &str, name: &str, data: &str) {
        let answer = self.post("/events", &json!({"name": name, "channel": channel, "data": data})).await;
        assert_eq!(answer, (200, json!({})));
    }

    /// Asks a signed question of `/apps/app-id{path}`.
    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let path = format!("/apps/app-id{path}");
        let query = sign_request(&key(), "GET", &path, params, b"", now());
        let request = http_client().get(self.url(&format!("{path}?{query}")));
        let mut answer = request.send().await.expect("the node answers");
        let text = answer.body().await.expect("the answer has a body");
        (answer.status().as_u16(), serde_json::from_slice(&text).expect("the answer is JSON"))
    }

    /// A Pusher client that has its socket id.
    pub async fn connect(&self) -> Client {
        self.open("/app/app-key?protocol=7&client=test&version=1").await.greeted().await
    }

    /// A client at any path, whatever it will be told.
    pub async fn open(&self, path: &str) -> Client {
        self.open_with(path, |request| request).await
    }

    /// A client whose request the test may change.
    pub async fn open_with(
        &self,
        path: &str,
        change: impl FnOnce(awc::ws::WebsocketsRequest) -> awc::ws::WebsocketsRequest,
    ) -> Client {
        upgrade(change(http_client().ws(self.url(path)))).await
    }

    /// How many sockets the app has now.
    pub async fn connections(&self) -> u64 {
        let (_, answer) = self.get("/connections", &[]).await;
        answer["connections"].as_u64().expect("a number of connections")
    }
}
