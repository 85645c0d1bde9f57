//! A socket of the command line to a server.

use std::ops::RangeInclusive;

use actix_codec::Framed;
use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Message as Outgoing};
use awc::{BoxedSocket, error::WsClientError};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};

use super::{Failure, line::Message, target::Target};

/// The largest message that is taken: more than any server's limit of event data.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Closes after which clients stay away (protocol.md §1.4).
const FINAL_CODES: RangeInclusive<u16> = 4000..=FIRST_TEMPORARY_CODE - 1;

/// The first of the codes after which they come back.
const FIRST_TEMPORARY_CODE: u16 = 4100;

/// How a socket is opened.
#[derive(clap::Args)]
pub(super) struct SocketOptions {
    /// The Origin header to send, for an app with allowed_origins: https://shop.example.com
    #[arg(long)]
    pub origin: Option<String>,
}

/// An open socket that the server has greeted.
pub(super) struct Connection {
    framed: Framed<BoxedSocket, Codec>,
    /// The socket id as the server gave it.
    pub socket_id: String,
}

impl Connection {
    /// Connects, and waits for the greeting.
    pub(super) async fn open(target: &Target, options: &SocketOptions) -> Result<Self, Failure> {
        let opened = Self::dial(target, options).await;
        let mut connection =
            opened.map_err(|error| Failure::lost(format!("cannot open a socket at {}: {error}", target.base())))?;
        let greeting = connection.next().await?;
        connection.welcome(&greeting)?;
        Ok(connection)
    }

    /// Connects. What the server greets with is the caller's to read.
    pub(super) async fn dial(target: &Target, options: &SocketOptions) -> Result<Self, WsClientError> {
        let mut request = target.client().ws(target.socket_url()).max_frame_size(MAX_MESSAGE_BYTES);
        if let Some(origin) = &options.origin {
            request = request.origin(origin);
        }
        let (_, framed) = request.connect().await?;
        Ok(Self { framed, socket_id: String::new() })
    }

    /// Takes the socket id from the greeting.
    pub(super) fn welcome(&mut self, greeting: &Message) -> Result<(), Failure> {
        let Some(Value::String(id)) = greeting.member("socket_id") else {
            return Err(Failure::new(format!("the server greeted with {} and without a socket_id", greeting.event)));
        };
        self.socket_id = id;
        Ok(())
    }

    /// Sends one message of the protocol.
    pub(super) async fn send(&mut self, event: &str, data: Value) -> Result<(), Failure> {
        let text = json!({"event": event, "data": data}).to_string();
        self.write(Outgoing::Text(text.into())).await
    }

    /// The next message that is neither a ping nor a problem. Problems, and the socket's end, are failures.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        let message = self.receive().await?;
        let Some(problem) = message.problem() else { return Ok(message) };
        let is_lost = message.code().is_some_and(|code| code >= FIRST_TEMPORARY_CODE);
        Err(if is_lost { Failure::lost(problem) } else { Failure::new(problem) })
    }

    /// The next message that is no ping, a problem too. The socket's end is a failure.
    pub(super) async fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            let frame = self.framed.next().await.ok_or_else(|| Failure::lost("the connection was lost"))?;
            match frame.map_err(|error| Failure::lost(format!("the connection broke: {error}")))? {
                Frame::Text(text) => {
                    let message = parse(&text)?;
                    if message.event != "pusher:ping" {
                        return Ok(message);
                    }
                    self.send("pusher:pong", json!({})).await?;
                }
                Frame::Ping(payload) => self.write(Outgoing::Pong(payload)).await?,
                Frame::Pong(_) => {}
                Frame::Close(reason) => return Err(closed(reason)),
                Frame::Binary(_) | Frame::Continuation(_) => {
                    return Err(Failure::new("the server sent a binary or fragmented message"));
                }
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) -> Result<(), Failure> {
        self.write(Outgoing::Close(Some(CloseCode::Normal.into()))).await
    }

    async fn write(&mut self, message: Outgoing) -> Result<(), Failure> {
        self.framed.send(message).await.map_err(|error| Failure::lost(format!("the connection broke: {error}")))
    }
}

fn parse(text: &[u8]) -> Result<Message, Failure> {
    serde_json::from_slice(text).map_err(|error| Failure::new(format!("the server sent a malformed message: {error}")))
}

fn closed(reason: Option<CloseReason>) -> Failure {
    let Some(reason) = reason else { return Failure::lost("the server closed the socket") };
    let (code, text) = (u16::from(reason.code), reason.description.unwrap_or_default());
    let problem = format!("the server closed the socket: {code} {text}");
    if FINAL_CODES.contains(&code) { Failure::new(problem) } else { Failure::lost(problem) }
}
