//! What both sides have: keys, tokens, and requests byte for byte.

use std::time::Duration;

use gaung::protocol::{AppKey, Secret, signature::sign_request};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    common::client::now,
    harness::{Client, PATIENCE, node::GaungNode},
};

/// Channels of both apps, by name.
pub const CHANNELS: [&str; 4] = ["orders", "private-orders", "presence-room", "cache-news"];

/// Channels of tenant 8.
pub const OF_TENANT: [&str; 3] = ["products.8", "private-orders.8", "presence-room.8"];

/// What an attacker knows of its victim: names, and what stands in public places.
#[derive(Clone, Debug)]
pub struct Known {
    /// Ids of B's sockets.
    pub sockets: Vec<String>,
    /// How far B's channels were heard.
    pub position: String,
    pub position_of_tenant: String,
    /// The number and name of a session of B over HTTP.
    pub session: String,
}

/// What an attacker was told: what it did, and the answer.
pub type Told = (String, String);

pub fn key_of_a() -> AppKey {
    AppKey { key: "a-key".to_owned(), secret: Secret::new("a-secret") }
}

pub fn token_with(claims: &Value, secret: &str) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("claims are JSON")
}

/// A token of the app that serves tenants, with every pattern that there is.
pub fn token(tenant: &str, user: &str) -> String {
    token_with(&claims(tenant, user), "app-secret")
}

pub fn claims(tenant: &str, user: &str) -> Value {
    let channels = ["*", "*.*", "*.*.*", "private-*.*", "presence-*.*", "private-orders.8", "presence-room.8"];
    json!({"tenant_id": tenant, "user_id": user, "channels": channels, "exp": now().as_secs() + 600})
}

/// The signed query of a request.
pub fn signed(key: &AppKey, method: &str, path: &str, params: &[(&str, &str)], body: &str) -> String {
    sign_request(key, method, path, params, body.as_bytes(), now())
}

/// The whole answer to a request, byte for byte as it is written; what an endless one has said in a while.
pub async fn ask(node: &GaungNode, method: &str, target: &str, headers: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(node.public.trim_start_matches("http://")).await.expect("the node accepts");
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: gaung.test\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.expect("the node reads");
    let mut answer = Vec::new();
    // It may end the connection in any way.
    let read = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "no end of the answer to {method} {target}: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// What a socket says until it has answered a ping, or has closed.
pub async fn answers(client: &mut Client, ping: Value, pong: &str) -> (String, Stays) {
    use awc::ws::{Frame, Message};
    use futures_util::{SinkExt, StreamExt};
    let mut told = String::new();
    // A socket that was closed meanwhile takes nothing, and says so below.
    let _ = client.socket.send(Message::Text(ping.to_string().into())).await;
    loop {
        match timeout(PATIENCE, client.socket.next()).await.expect("an answer in time") {
            Some(Ok(Frame::Text(text))) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let is_pong = text.contains(pong);
                told.push_str(&text);
                if is_pong {
                    return (told, Stays::Open);
                }
            }
            Some(Ok(Frame::Close(reason))) => return (format!("{told} {reason:?}"), Stays::Closed),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (told, Stays::Closed),
        }
    }
}

/// Whether a socket can be used again.
#[derive(Debug, PartialEq, Eq)]
pub enum Stays {
    Open,
    Closed,
}

/// Waits on a slow machine too.
pub const LONG: Duration = Duration::from_secs(60);
