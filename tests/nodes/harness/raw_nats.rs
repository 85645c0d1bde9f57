//! A client of the nats-server that sends any bytes to any subject: an intruder, or an ear.

use std::collections::VecDeque;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::PATIENCE;

/// A connection that has introduced itself.
pub struct RawNats {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    heard: VecDeque<Message>,
}

/// What the server said.
enum Said {
    Message(Message),
    Pong,
    Other,
}

/// What came on a subject.
pub struct Message {
    pub subject: String,
    pub payload: Vec<u8>,
}

impl RawNats {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the nats-server accepts");
        let (reader, writer) = stream.into_split();
        let mut client = Self { reader: BufReader::new(reader), writer, heard: VecDeque::new() };
        assert!(client.line().await.starts_with("INFO "));
        client.send(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n").await;
        client.round_trip().await;
        client
    }

    /// Listens to a subject, which may have wildcards, from now on.
    pub async fn subscribe(&mut self, subject: &str) {
        self.send(format!("SUB {subject} 1\r\n").as_bytes()).await;
        self.round_trip().await;
    }

    /// Publishes without waiting.
    pub async fn publish(&mut self, subject: &str, payload: &[u8]) {
        self.send(format!("PUB {subject} {}\r\n", payload.len()).as_bytes()).await;
        self.send(payload).await;
        self.send(b"\r\n").await;
    }

    /// The next message on what was subscribed to.
    pub async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return message;
            }
            if let Said::Message(message) = self.listen().await {
                return message;
            }
        }
    }

    /// What came until now; a round trip before it makes sure that everything did.
    pub fn heard(&mut self) -> Vec<Message> {
        self.heard.drain(..).collect()
    }

    /// Everything that was sent before has been done.
    pub async fn round_trip(&mut self) {
        self.send(b"PING\r\n").await;
        loop {
            match self.listen().await {
                Said::Message(message) => self.heard.push_back(message),
                Said::Pong => return,
                Said::Other => {}
            }
        }
    }

    async fn listen(&mut self) -> Said {
        let line = self.line().await;
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("MSG") => {
                let subject = words.next().expect("a message has a subject").to_owned();
                let length = words.next_back().expect("a length").parse().expect("a number");
                Said::Message(Message { subject, payload: self.payload(length).await })
            }
            Some("PONG") => Said::Pong,
            Some("PING") => {
                self.send(b"PONG\r\n").await;
                Said::Other
            }
            Some("-ERR") => panic!("the nats-server refuses: {line}"),
            _ => Said::Other,
        }
    }

    async fn payload(&mut self, length: usize) -> Vec<u8> {
        let mut payload = vec![0; length + 2];
        let read = timeout(PATIENCE, self.reader.read_exact(&mut payload)).await.expect("the server sends in time");
        read.expect("the server sends what it announced");
        payload.truncate(length);
        payload
    }

    async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.writer.write_all(bytes))
            .await
            .expect("the server reads")
            .expect("the connection stands");
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.reader.read_line(&mut line)).await.expect("the server speaks in time");
        assert!(read.expect("the connection stands") > 0, "the nats-server has ended the connection");
        line
    }
}
