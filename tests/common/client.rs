//! A client that speaks Pusher or the tenant dialect over a real socket.

use std::time::{Duration, SystemTime};

use actix_codec::Framed;
use awc::{
    BoxedSocket,
    ws::{Codec, Frame, Message},
};
use futures_util::{SinkExt, StreamExt};
use gaung::protocol::{
    AppKey, Secret, SocketId,
    signature::{sign_channel, sign_user},
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long anything may take before a test fails. Only failures wait that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The credentials that all vectors of protocol.md §2 use.
pub fn key() -> AppKey {
    AppKey { key: "app-key".to_owned(), secret: Secret::new("app-secret") }
}

/// What asks over HTTP and waits for an answer as long as a test does: the library's own 5 s pass on a busy machine.
pub fn http_client() -> awc::Client {
    awc::Client::builder().connector(awc::Connector::new().timeout(PATIENCE)).timeout(PATIENCE).finish()
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
