//! A client that sends any bytes, also those that a library would refuse to send, and a bystander who must not notice.

use gaung::config::AppSettings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Client, PATIENCE, TestNode, http_client};

/// The first byte of an unfragmented text message; likewise the others.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;
/// The first byte of a message's first, middle and last fragment.
pub const FIRST: u8 = 0x01;
pub const MIDDLE: u8 = 0x00;
pub const LAST: u8 = 0x80;

/// A whole handshake for a Pusher socket.
pub const UPGRADE: &str = "GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: gaung\r\nUpgrade: websocket\r\n\
                           Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection on which bytes are sent as they are, or as they are but for TLS.
pub struct Raw<S = TcpStream>(pub S);

impl Raw {
    /// A connection before its first request.
    pub async fn connect(node: &TestNode) -> Self {
        Self(TcpStream::connect(node.node.public).await.expect("the node accepts"))
    }

    /// A Pusher socket that was greeted.
    pub async fn greeted(node: &TestNode) -> Self {
        Self::connect(node).await.upgraded().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// The same as a Pusher socket that was greeted.
    pub async fn upgraded(mut self) -> Self {
        self.send(UPGRADE.as_bytes()).await;
        self.expect_upgrade().await;
        assert_eq!(self.message().await["event"], "pusher:connection_established");
        self
    }

    /// Reads the head of the answer to a handshake.
    pub async fn expect_upgrade(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.exactly(1).await);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        head
    }

    /// Sends bytes. Where the server has ended the connection already, they go nowhere.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.0.write_all(bytes)).await.expect("the server reads or ends");
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send(&frame(TEXT, text.as_bytes())).await;
    }

    /// The first byte and the payload of the next frame, which a server neither masks nor fragments.
    pub async fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.exactly(2).await;
        let length = match head[1] {
            126 => self.exactly(2).await,
            127 => self.exactly(8).await,
            short => vec![short],
        };
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        (head[0], self.exactly(length).await)
    }

    /// The next message; control frames are passed over, but a close frame must not come.
    pub async fn message(&mut self) -> Value {
        loop {
            match self.frame().await {
                (TEXT, payload) => return serde_json::from_slice(&payload).expect("the message is JSON"),
                (CLOSE, payload) => panic!("closed: {}", String::from_utf8_lossy(&payload)),
                _ => {}
            }
        }
    }

    /// The code of the close frame, whatever comes before it; `None` if the frame is empty.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let (CLOSE, payload) = self.frame().await {
                let code = payload.first_chunk::<2>();
                return code.map(|code| u16::from_be_bytes(*code));
            }
        }
    }

    /// Everything until the server ends the connection, which must happen; a reset is an end.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("the server ends the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends nothing more.
    pub async fn finish(&mut self) {
        // Where the server has reset the connection, that was said already.
        let _ = self.0.shutdown().await;
    }

    /// A ping of the protocol is answered, and nothing else was waiting.
    pub async fn still_works(&mut self) {
        self.send_text(r#"{"event":"pusher:ping","data":{}}"#).await;
        assert_eq!(self.message().await, json!({"event": "pusher:pong", "data": "{}"}));
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = timeout(PATIENCE, self.0.read_exact(&mut bytes)).await.expect("the server sends in time");
        read.expect("the connection is open");
        bytes
    }
}

/// A client's frame whose header tells the truth. The mask is fixed and not of zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The header of a client's frame that claims this length.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(0x80 | length as u8),
        126..=0xFFFF => {
            header.push(0x80 | 126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend(MASK);
    header
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Numbers that look random and are the same in each run (xorshift).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A well-behaved client beside the others: it hears everything that was published meanwhile, in order.
pub struct Bystander {
    client: Client,
    published: usize,
}

impl Bystander {
    pub async fn watch(node: &TestNode) -> Self {
        let mut client = node.connect().await;
        client.subscribe("bystander").await;
        Self { client, published: 0 }
    }

    /// Publishes the next event.
    pub async fn publish(&mut self, node: &TestNode) {
        node.publish("bystander", &format!("e{}", self.published), "{}").await;
        self.published += 1;
    }

    /// All events came in their order and nothing else did, and the node is up.
    pub async fn noticed_nothing(mut self, node: &TestNode) {
        self.publish(node).await;
        for number in 0..self.published {
            self.client.expect(&format!("e{number}")).await;
        }
        self.client.expect_silence().await;
        let answer = http_client().get(node.url("/up")).send().await.expect("the node answers");
        assert_eq!(answer.status().as_u16(), 200);
    }
}

/// Client events on, for what clients may send to each other.
pub fn with_client_events(app: &mut AppSettings) {
    app.client_events = true;
    app.client_events_per_second = None;
}
