//! A client of server-sent events that shows what comes byte for byte: heads, chunks, fields.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::client::PATIENCE;

/// The body of one answer.
pub struct EventStream<S> {
    io: BufReader<S>,
    /// Status line and headers, in lower case.
    pub head: String,
    text: String,
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
    pub async fn open_on(mut io: S, path: &str, headers: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: gaung.test\r\nAccept: text/event-stream\r\n{headers}\r\n");
        io.write_all(request.as_bytes()).await.expect("the node reads");
        let mut stream = Self { io: BufReader::new(io), head: String::new(), text: String::new() };
        while !stream.head.ends_with("\r\n\r\n") {
            let read = timeout(PATIENCE, stream.io.read_line(&mut stream.head)).await.expect("a head in time");
            assert_ne!(read.expect("the connection is open"), 0, "{}", stream.head);
        }
        stream.head.make_ascii_lowercase();
        stream
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
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
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let received = read(message);
                self.text = rest.to_owned();
                return Some(received);
            }
            let chunk = self.chunk().await?;
            self.text.push_str(&chunk);
        }
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

    /// The rest of an answer that is no stream, as JSON.
    pub async fn body(&mut self) -> Value {
        let length = self.header("content-length").expect("a length").parse().expect("a number");
        let mut body = vec![0; length];
        timeout(PATIENCE, self.io.read_exact(&mut body)).await.expect("a body in time").expect("it is whole");
        serde_json::from_slice(&body).expect("the answer is JSON")
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

    /// The next chunk; `None` behind the last one, and where a head names a length.
    async fn chunk(&mut self) -> Option<String> {
        if self.header("content-length").is_some() {
            let mut rest = String::new();
            timeout(PATIENCE, self.io.read_to_string(&mut rest)).await.expect("an end in time").expect("it is text");
            return (!rest.is_empty()).then_some(rest);
        }
        let mut length = String::new();
        timeout(PATIENCE, self.io.read_line(&mut length))
            .await
            .expect("a chunk in time")
            .expect("the connection is open");
        let length = usize::from_str_radix(length.trim(), 16).expect("a chunk begins with its length");
        let mut chunk = vec![0; length + 2];
        timeout(PATIENCE, self.io.read_exact(&mut chunk)).await.expect("a chunk in time").expect("it is whole");
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).expect("a chunk is text"))
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
