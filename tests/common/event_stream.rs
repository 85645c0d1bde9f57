//! A client of server-sent events that shows what comes: fields, one by one.

use std::ops::{Deref, DerefMut};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::Answer;

/// The messages of one answer.
pub struct EventStream<S> {
    answer: Answer<S>,
}

/// One message: its fields, and whether it was a comment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub id: Option<String>,
    pub data: Option<String>,
    pub retry: Option<u64>,
    pub is_comment: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> EventStream<S> {
    pub async fn open_on(io: S, path: &str, headers: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: gaung.test\r\nAccept: text/event-stream\r\n{headers}\r\n");
        Self { answer: Answer::to(io, &request).await }
    }

    /// The pause, and the greeting with the id of the socket, which it returns.
    pub async fn expect_greeting(&mut self) -> String {
        assert_eq!((self.status(), self.header("content-type")), (200, Some("text/event-stream")), "{}", self.head);
        let retry = self.next().await.and_then(|first| first.retry).expect("a pause comes first");
        assert!((1_000..=5_000).contains(&retry), "{retry}");
        let greeting = self.json().await;
        assert_eq!(greeting["type"], "connected");
        greeting["socketId"].as_str().expect("a socket id").to_owned()
    }

    /// The next message; `None` at the end of the answer.
    pub async fn next(&mut self) -> Option<Received> {
        self.until("\n\n").await.map(|message| read(&message))
    }

    /// The next message that has some text, which is JSON.
    pub async fn json(&mut self) -> Value {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if let Some(text) = message.data {
                return serde_json::from_str(&text).expect("the message is JSON");
            }
        }
    }

    /// The next message with some text, and the id that the client has then.
    pub async fn with_id(&mut self) -> (Value, String) {
        let message = self.next().await.expect("the stream goes on");
        let text = message.data.expect("a message");
        (serde_json::from_str(&text).expect("the message is JSON"), message.id.expect("an id"))
    }

    /// Everything until the end, as it must be: a pause is the last thing that is said.
    pub async fn expect_end(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        assert!(all.last().is_some_and(|last| last.retry.is_some()), "{all:?}");
        all
    }
}

impl<S> Deref for EventStream<S> {
    type Target = Answer<S>;

    fn deref(&self) -> &Answer<S> {
        &self.answer
    }
}

impl<S> DerefMut for EventStream<S> {
    fn deref_mut(&mut self) -> &mut Answer<S> {
        &mut self.answer
    }
}

/// A message as a browser reads it.
pub fn read(message: &str) -> Received {
    let mut received = Received::default();
    for line in message.split('\n') {
        match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
            Some(("id", value)) => received.id = Some(value.to_owned()),
            Some(("retry", value)) => received.retry = value.parse().ok(),
            Some(("data", value)) => {
                let before = received.data.take().map_or_else(String::new, |data| data + "\n");
                received.data = Some(before + value);
            }
            Some(("", _)) => received.is_comment = true,
            field => panic!("{field:?} is no field of a stream"),
        }
    }
    received
}
