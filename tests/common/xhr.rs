//! A client of the HTTP transports of pusher-js that shows what comes byte for byte, and sends as the test likes.

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::answer::Answer;

/// One session. Its requests are counted as pusher-js counts them.
pub struct XhrClient {
    /// The node that is asked next.
    pub address: String,
    session: String,
    /// More headers of all requests, each with its line end.
    pub headers: String,
    pub number: u64,
}

/// The lines of one answer.
pub struct Lines {
    pub answer: Answer<TcpStream>,
    /// UTF-16 units that were read.
    pub units: usize,
}

impl XhrClient {
    /// A session below the path of a socket, such as `/app/app-key`.
    pub fn new(address: impl ToString, socket: &str) -> Self {
        let session = format!("{socket}/{}/{:08x}", rand::random_range(0..1_000), rand::random::<u32>());
        Self { address: address.to_string(), session, headers: String::new(), number: 0 }
    }

    /// Asks for an answer: `xhr_streaming` or `xhr`.
    pub async fn receive(&mut self, act: &str) -> Lines {
        self.number += 1;
        let act = format!("{act}?protocol=7&client=js&version=8.6.0&t=1&n={}", self.number);
        Lines { answer: self.ask("POST", &act, "").await, units: 0 }
    }

    /// A stream that has begun, and the id of its socket.
    pub async fn open(&mut self) -> (Lines, String) {
        let mut lines = self.receive("xhr_streaming").await;
        lines.expect_padding().await;
        assert_eq!(lines.next().await.as_deref(), Some("o{}"));
        let established = lines.message().await;
        assert_eq!(established["event"], "pusher:connection_established");
        let data: Value = serde_json::from_str(established["data"].as_str().expect("a string")).expect("JSON");
        (lines, data["socket_id"].as_str().expect("a socket id").to_owned())
    }

    /// Sends one message, which must be taken.
    pub async fn send(&mut self, message: Value) {
        self.number += 1;
        let answer = self.send_as(self.number, &json!([message.to_string()]).to_string()).await;
        assert_eq!(answer.status(), 204, "{}", answer.head);
    }

    /// Sends any body under any number.
    pub async fn send_as(&self, number: u64, body: &str) -> Answer<TcpStream> {
        self.ask("POST", &format!("xhr_send?t=1&n={number}"), body).await
    }

    /// Any request.
    pub async fn ask(&self, method: &str, act: &str, body: &str) -> Answer<TcpStream> {
        let Self { address, session, headers, .. } = self;
        let socket = TcpStream::connect(address.trim_start_matches("http://")).await.expect("the node accepts");
        let request = format!(
            "{method} {session}/{act} HTTP/1.1\r\nHost: gaung.test\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        Answer::to(socket, &request).await
    }
}

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        let line = self.answer.until("\n").await?;
        self.units += line.encode_utf16().count() + 1;
        Some(line)
    }

    pub async fn expect_padding(&mut self) {
        assert_eq!(self.answer.status(), 200, "{}", self.answer.head);
        assert_eq!(self.next().await, Some(" ".repeat(2_048)));
    }

    /// The next line, which must be one message; signs of life are passed over.
    pub async fn message(&mut self) -> Value {
        loop {
            let line = self.next().await.expect("the answer goes on");
            if line == " " {
                continue;
            }
            let messages = line.strip_prefix('a').unwrap_or_else(|| panic!("{line:?} is no message"));
            let messages: [String; 1] = serde_json::from_str(messages).expect("one message in a line");
            return serde_json::from_str(&messages[0]).expect("the message is JSON");
        }
    }

    /// The next message, which must be this event.
    pub async fn expect(&mut self, event: &str) -> Value {
        let message = self.message().await;
        assert_eq!(message["event"], event, "{message}");
        message
    }

    /// The events up to this one, which is not among them.
    pub async fn until(&mut self, event: &str) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            let message = self.message().await;
            let name = message["event"].as_str().expect("a name");
            if name == event {
                return events;
            }
            events.push(name.to_owned());
        }
    }

    /// The code and reason with which the session is closed, after any messages, and then the end of the answer.
    pub async fn expect_close(&mut self) -> (u16, String) {
        loop {
            let line = self.next().await.expect("a session is closed by a line");
            if let Some(close) = line.strip_prefix('c') {
                assert_eq!(self.next().await, None);
                return serde_json::from_str(close).expect("a code and a reason");
            }
        }
    }
}
