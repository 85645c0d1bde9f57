//! One socket that listens: it opens, subscribes, and then hands every text frame to its owner, at the cost of one
//! read for all the frames that have arrived.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::Instant,
};

use super::{
    BenchError,
    frames::{self, Kind},
    handshake,
    link::Link,
    seat::Seat,
    target::{Dialect, Target},
};

const SWITCHING_PROTOCOLS: &[u8] = b"HTTP/1.1 101";

/// How far a socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The upgrade request is out.
    Upgrading,
    /// Upgraded; the socket id is not known yet.
    Greeting,
    /// The subscription is out.
    Joining,
    /// Subscribed.
    Ready,
}

/// One listening socket.
#[derive(Debug)]
pub struct Subscriber<'t> {
    /// For the poll's registry.
    pub stream: Link,
    target: &'t Target,
    seat: Seat,
    stage: Stage,
    opened: Instant,
    /// The beginning of a frame whose end has not arrived.
    unfinished: Vec<u8>,
}

impl<'t> Subscriber<'t> {
    /// Connects and sends the first bytes, as the client with this number. On the loopback a connection is made without
    /// waiting. `opened` is when it was to be.
    pub fn open(target: &'t Target, seat: Seat, number: usize, opened: Instant) -> io::Result<Self> {
        let mut stream = target.connect(target.public, number)?;
        stream.write_all(&target.opening(seat))?;
        let stage = match target.dialect {
            Dialect::Pusher { .. } => Stage::Upgrading,
            Dialect::Ready => Stage::Joining,
        };
        Ok(Self { stream, target, seat, stage, opened, unfinished: Vec::new() })
    }

    /// Whether it is subscribed.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// When it was to connect.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Reads what has arrived; `each` gets the text frames that come after the subscription. `scratch` must be larger
    /// than any frame.
    pub fn receive(&mut self, scratch: &mut [u8], mut each: impl FnMut(&[u8])) -> Result<(), BenchError> {
        loop {
            let held = self.unfinished.len();
            scratch[..held].copy_from_slice(&self.unfinished);
            let Some(count) = read(&mut self.stream, &mut scratch[held..])? else { return Ok(()) };
            let filled = held + count;
            let taken = self.take(&scratch[..filled], &mut each)?;
            self.unfinished.clear();
            self.unfinished.extend_from_slice(&scratch[taken..filled]);
            // A short read has emptied the socket: the poll will tell when there is more.
            if filled < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Result<usize, BenchError> {
        let start = match self.stage {
            Stage::Upgrading => self.finish_upgrade(bytes)?,
            Stage::Greeting | Stage::Joining | Stage::Ready => 0,
        };
        if self.stage == Stage::Upgrading {
            return Ok(0);
        }
        let mut answers = Vec::new();
        let taken = frames::scan(&bytes[start..], |kind, payload| match (kind, self.stage) {
            (Kind::Text, Stage::Ready) => each(payload),
            (Kind::Text, _) => answers.extend(self.step(payload)),
            (Kind::Ping, _) => answers.extend(frames::client_pong(payload)),
            (Kind::Other, _) => {}
        });
        if !answers.is_empty() {
            self.stream.write_all(&answers).map_err(|error| BenchError::io("answering the server", error))?;
        }
        Ok(start + taken)
    }

    /// The length of the answer to the upgrade, 0 while it is incomplete.
    fn finish_upgrade(&mut self, bytes: &[u8]) -> Result<usize, BenchError> {
        let Some(length) = handshake::head_length(bytes) else { return Ok(0) };
        if !bytes.starts_with(SWITCHING_PROTOCOLS) {
            return Err(BenchError::NotAdmitted(String::from_utf8_lossy(bytes).into_owned()));
        }
        self.stage = Stage::Greeting;
        Ok(length)
    }

    /// Takes the frames that lead to the subscription; returns what to send.
    fn step(&mut self, payload: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(payload);
        if self.stage == Stage::Greeting && text.contains("pusher:connection_established") {
            self.stage = Stage::Joining;
            return self.target.subscribe(self.seat, &text).unwrap_or_default();
        }
        if self.stage == Stage::Joining && text.contains(self.seat.last_event()) {
            self.stage = Stage::Ready;
        }
        Vec::new()
    }

    /// Reads and forgets everything that has arrived; returns whether the server has ended the connection.
    pub fn drain(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
        }
    }
}

/// What has arrived; `None` when nothing has.
pub fn read(stream: &mut Link, buffer: &mut [u8]) -> Result<Option<usize>, BenchError> {
    match stream.read(buffer) {
        Ok(0) => Err(BenchError::io("reading", ErrorKind::UnexpectedEof.into())),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(BenchError::io("reading", error)),
    }
}
