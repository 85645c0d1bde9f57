//! A real node on free ports, back ends that sign, and clients that speak Pusher or the tenant dialect over real sockets.

use std::time::{Duration, SystemTime};

use actix_codec::Framed;
use awc::{
    BoxedSocket,
    ws::{Codec, Frame, Message},
};
use futures_util::{SinkExt, StreamExt};
use gaung::{
    app::{AppKey, AppSettings, Secret},
    config::{AppsSource, Config},
    node::Node,
    protocol::{
        SocketId,
        signature::{sign_channel, sign_request, sign_user},
    },
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long anything may take before a test fails. Only failures wait that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running node.
pub struct TestNode {
    pub node: Node,
}

/// The credentials that all vectors of protocol.md §2 use.
pub fn key() -> AppKey {
    AppKey { key: "app-key".to_owned(), secret: Secret::new("app-secret") }
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

impl TestNode {
    /// The address of a path on the public port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.public)
    }

    /// Posts a signed request to `/apps/app-id{path}` and returns status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/apps/app-id{path}");
        let body = body.to_string();
        let query = sign_request(&key(), "POST", &path, &[], body.as_bytes(), now());
        let request = awc::Client::default().post(self.url(&format!("{path}?{query}")));
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
        let request = awc::Client::default().get(self.url(&format!("{path}?{query}")));
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
        upgrade(change(awc::Client::default().ws(self.url(path)))).await
    }

    /// How many sockets the app has now.
    pub async fn connections(&self) -> u64 {
        let (_, answer) = self.get("/connections", &[]).await;
        answer["connections"].as_u64().expect("a number of connections")
    }
}

/// A client by a request that was prepared elsewhere.
pub async fn upgrade(request: awc::ws::WebsocketsRequest) -> Client {
    let (_, socket) = request.max_frame_size(1 << 22).connect().await.expect("the upgrade is answered");
    Client { id: String::new(), socket }
}

/// One end of a WebSocket.
pub struct Client {
    pub id: String,
    pub socket: Framed<BoxedSocket, Codec>,
}

impl Client {
    /// Takes the greeting, which tells the socket's id.
    pub async fn greeted(mut self) -> Self {
        let established = self.expect("pusher:connection_established").await;
        self.id = inner(&established)["socket_id"].as_str().expect("a socket id").to_owned();
        self
    }

    /// Sends one JSON text message.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends one text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send_raw(Message::Text(text.to_owned().into())).await;
    }

    /// Sends any message.
    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes a message");
    }

    /// The next JSON message; pings are answered on the way.
    pub async fn next(&mut self) -> Value {
        match self.next_frame().await {
            Frame::Text(text) => serde_json::from_slice(&text).expect("the message is JSON"),
            frame => panic!("expected a text message, got {frame:?}"),
        }
    }

    /// The next frame that is not a ping.
    pub async fn next_frame(&mut self) -> Frame {
        loop {
            let frame = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time");
            match frame.expect("the socket is open").expect("the frame is sound") {
                Frame::Ping(payload) => self.send_raw(Message::Pong(payload)).await,
                frame => return frame,
            }
        }
    }

    /// The next message, which must be this event.
    pub async fn expect(&mut self, event: &str) -> Value {
        let message = self.next().await;
        assert_eq!(message["event"], event, "{message}");
        message
    }

    /// The next message, which must be exactly this.
    pub async fn expect_exactly(&mut self, expected: Value) {
        assert_eq!(self.next().await, expected);
    }

    /// The next message, which must be exactly this text.
    pub async fn expect_text(&mut self, expected: &str) {
        match self.next_frame().await {
            Frame::Text(text) => assert_eq!(String::from_utf8_lossy(&text), expected),
            frame => panic!("expected a text message, got {frame:?}"),
        }
    }

    /// The code and reason with which the server closes, after any messages.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            match self.next_frame().await {
                Frame::Close(Some(reason)) => {
                    return (reason.code.into(), reason.description.unwrap_or_default());
                }
                Frame::Close(None) => panic!("a close frame without a code"),
                _ => {}
            }
        }
    }

    /// The server has nothing more to say: a ping's answer is the next message.
    pub async fn expect_silence(&mut self) {
        self.send(json!({"event": "pusher:ping", "data": {}})).await;
        self.expect_exactly(json!({"event": "pusher:pong", "data": "{}"})).await;
    }

    /// Subscribes to a public channel.
    pub async fn subscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:subscribe", "data": {"auth": "", "channel": channel}})).await;
        let succeeded = json!({"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"});
        self.expect_exactly(succeeded).await;
    }

    /// Subscribes to a private channel with a true signature.
    pub async fn subscribe_private(&mut self, channel: &str) {
        self.ask_private(channel).await;
        assert_eq!(self.expect("pusher_internal:subscription_succeeded").await["channel"], channel);
    }

    /// Asks for a private channel with a true signature; the answer is the test's.
    pub async fn ask_private(&mut self, channel: &str) {
        let auth = sign_channel(&key(), self.socket_id(), channel, None);
        self.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": channel}})).await;
    }

    /// Asks for a presence channel as a member; the answer is the test's.
    pub async fn ask_presence(&mut self, channel: &str, channel_data: &str) {
        let auth = sign_channel(&key(), self.socket_id(), channel, Some(channel_data));
        let data = json!({"auth": auth, "channel": channel, "channel_data": channel_data});
        self.send(json!({"event": "pusher:subscribe", "data": data})).await;
    }

    /// Subscribes to a presence channel and returns the snapshot.
    pub async fn join(&mut self, channel: &str, channel_data: &str) -> Value {
        self.ask_presence(channel, channel_data).await;
        inner(&self.expect("pusher_internal:subscription_succeeded").await)["presence"].clone()
    }

    /// Sends a sign-in with a true signature.
    pub async fn sign_in(&mut self, user_data: &str) {
        let auth = sign_user(&key(), self.socket_id(), user_data);
        self.send(json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}})).await;
    }

    /// Ends a subscription, which is not answered.
    pub async fn unsubscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:unsubscribe", "data": {"channel": channel}})).await;
    }

    fn socket_id(&self) -> SocketId {
        self.id.parse().expect("the node's socket ids are valid")
    }
}

/// The JSON inside a message's `data` string.
pub fn inner(message: &Value) -> Value {
    let data = message["data"].as_str().expect("data is a string");
    serde_json::from_str(data).expect("data is JSON inside a string")
}

/// The time since the Unix epoch.
pub fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970")
}

/// Waits until `condition` holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}
