//! A node as a process: where it is, what it tells on its admin port, and how it is stopped.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::{Client, PATIENCE, back_end::BackEnd, eventually, metrics::Metrics, send_signal, stop_process, upgrade};
use crate::common::{
    client::http_client,
    process::{Process, serve},
};

/// A running node, or one that was.
pub struct GaungNode {
    process: Process,
    back_end: BackEnd,
    client: awc::Client,
    /// `http://…` of its public listener.
    pub public: String,
    /// `http://…` of its admin listener.
    pub admin: String,
}

impl GaungNode {
    /// A node with these variables. It has its addresses; it need not be ready.
    pub fn start(variables: &[(String, String)]) -> Self {
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        let process = serve(&variables);
        let (public, admin) = (process.address("public"), process.address("admin"));
        Self { process, back_end: BackEnd::of_the_app(), client: http_client(), public, admin }
    }

    /// A Pusher client of the app that has its socket id.
    pub async fn connect(&self) -> Client {
        self.connect_with_key("app-key").await
    }

    /// A Pusher client of the app with this key that has its socket id.
    pub async fn connect_with_key(&self, key: &str) -> Client {
        self.open(&format!("/app/{key}?protocol=7")).await.greeted().await
    }

    /// A client at any path, whatever it will be told.
    pub async fn open(&self, path: &str) -> Client {
        upgrade(self.client.ws(format!("{}{path}", self.public))).await
    }

    /// Publishes an event of the app, which must be accepted.
    pub async fn publish(&self, channel: &str, name: &str, data: &str) {
        self.back_end.publish(&self.public, channel, name, data).await;
    }

    /// Posts to `/apps/app-id{path}`; status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.back_end.post(&self.public, path, body).await
    }

    /// Asks a question of `/apps/app-id{path}`.
    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> Value {
        self.back_end.get(&self.public, path, params).await
    }

    /// How many sockets the app has in the whole cluster, as this node sees it.
    pub async fn connections(&self) -> u64 {
        self.get("/connections", &[]).await["connections"].as_u64().expect("a number of connections")
    }

    /// The ids of a presence channel's members in the whole cluster, as this node sees them.
    pub async fn members(&self, channel: &str) -> Vec<String> {
        let answer = self.get(&format!("/channels/{channel}/users"), &[]).await;
        let users = answer["users"].as_array().expect("a list of users").iter();
        let mut ids: Vec<_> = users.map(|user| user["id"].as_str().expect("ids are strings").to_owned()).collect();
        ids.sort();
        ids
    }

    /// How many sockets a channel has in the whole cluster, as this node sees it.
    pub async fn subscriptions(&self, channel: &str) -> u64 {
        let answer = self.get(&format!("/channels/{channel}"), &[("info", "subscription_count")]).await;
        answer["subscription_count"].as_u64().expect("a number of subscriptions")
    }

    /// Status and body of a page of the admin port; `None` if nobody answers.
    pub async fn ask_admin(&self, path: &str) -> Option<(u16, String)> {
        let mut answer = self.client.get(format!("{}{path}", self.admin)).send().await.ok()?;
        let body = answer.body().limit(1 << 22).await.ok()?;
        Some((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    pub async fn is_ready(&self) -> bool {
        matches!(self.ask_admin("/readyz").await, Some((200, _)))
    }

    pub async fn metrics(&self) -> Metrics {
        let (status, text) = self.ask_admin("/metrics").await.expect("the admin port answers");
        assert_eq!(status, 200);
        Metrics::new(text)
    }

    /// All nodes that this one knows, itself among them. On a machine that is busy the thread that knows them may not answer
    /// in time, which the node says, and may be asked again.
    pub async fn peers(&self) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, text) = self.ask_admin("/peers").await.expect("the admin port answers");
            if status == 200 {
                return serde_json::from_str(&text).expect("a list of peers in JSON");
            }
            assert!(status == 503 && Instant::now() < deadline, "{status}: {text}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The id that the node drew for itself.
    pub async fn id(&self) -> String {
        let peers = self.peers().await;
        let own = peers.iter().find(|peer| peer["this"] == true).expect("a node lists itself");
        own["node"].as_str().expect("node ids are strings").to_owned()
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// SIGKILL: nothing is said to anybody.
    pub fn kill(&mut self) {
        send_signal(self.process.id(), "KILL");
        assert_eq!(self.process.exit_code(), None);
    }

    /// SIGSTOP: its connections stay open and nothing moves.
    pub fn pause(&self) {
        stop_process(self.process.id());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        send_signal(self.process.id(), "CONT");
    }

    /// SIGTERM, upon which it drains.
    pub fn terminate(&self) {
        send_signal(self.process.id(), "TERM");
    }

    /// Waits for the end of the process; its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        let process = std::cell::RefCell::new(&mut self.process);
        eventually("the process ends", || async { !process.borrow_mut().is_running() }).await;
        self.process.exit_code()
    }
}
