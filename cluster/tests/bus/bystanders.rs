//! Who watches and who disturbs: the log, and a client that means no good.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, OnceLock},
};

use crate::server::NatsServer;

/// Everything that this process logs, from trace upwards but for the runtime's own lines.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The one log of the process.
    pub fn catch() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let start = || {
            let log = Log::default();
            let writer = log.clone();
            let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            lines.with_writer(move || writer.clone()).init();
            log
        };
        LOG.get_or_init(start).clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// The lines of a target that have a word.
    pub fn lines(&self, target: &str, word: &str) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(target) && line.contains(word));
        lines.map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client of the same server that speaks NATS and nothing of ours.
pub struct Stranger(TcpStream);

impl Stranger {
    pub fn connect(server: &NatsServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(b"CONNECT {\"verbose\":false}\r\n").unwrap();
        Self(stream)
    }

    pub fn publish(&mut self, subject: &str, payload: &[u8]) {
        let head = format!("PUB {subject} {}\r\n", payload.len());
        self.0.write_all(&[head.as_bytes(), payload, b"\r\n"].concat()).unwrap();
    }

    /// Returns when the server has taken everything.
    pub fn finish(&mut self) {
        self.0.write_all(b"PING\r\n").unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"PONG\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            received.push(byte[0]);
        }
    }
}
