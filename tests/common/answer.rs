//! An answer of HTTP/1.1 that shows what comes byte for byte: heads, chunks.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    time::timeout,
};

use super::client::PATIENCE;

/// One answer, as far as it was read.
pub struct Answer<S> {
    io: BufReader<S>,
    /// Status line and headers, in lower case.
    pub head: String,
    text: String,
    /// Bytes of a body that has a length.
    read: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Answer<S> {
    /// The answer to a request that is written whole.
    pub async fn to(mut io: S, request: &str) -> Self {
        io.write_all(request.as_bytes()).await.expect("the node reads");
        let mut answer = Self { io: BufReader::new(io), head: String::new(), text: String::new(), read: 0 };
        while !answer.head.ends_with("\r\n\r\n") {
            let read = timeout(PATIENCE, answer.io.read_line(&mut answer.head)).await.expect("a head in time");
            assert_ne!(read.expect("the connection is open"), 0, "{}", answer.head);
        }
        answer.head.make_ascii_lowercase();
        answer
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What comes before the next of these ends, which is taken off; `None` at the end of the answer.
    pub async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((part, rest)) = self.text.split_once(end) {
                let part = part.to_owned();
                self.text = rest.to_owned();
                return Some(part);
            }
            let chunk = self.chunk().await?;
            self.text.push_str(&chunk);
        }
    }

    /// The rest of an answer that names its length, as JSON.
    pub async fn body(&mut self) -> Value {
        let length = self.header("content-length").expect("a length").parse().expect("a number");
        let mut body = vec![0; length];
        timeout(PATIENCE, self.io.read_exact(&mut body)).await.expect("a body in time").expect("it is whole");
        serde_json::from_slice(&body).expect("the answer is JSON")
    }

    /// The next chunk; `None` behind the last one, and where a head names a length.
    async fn chunk(&mut self) -> Option<String> {
        if let Some(length) = self.header("content-length") {
            let mut rest = vec![0; length.parse::<usize>().expect("a number") - self.read];
            timeout(PATIENCE, self.io.read_exact(&mut rest)).await.expect("a body in time").expect("it is whole");
            self.read += rest.len();
            return (!rest.is_empty()).then(|| String::from_utf8(rest).expect("it is text"));
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
