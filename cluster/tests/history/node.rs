//! A node of a test: a core that numbers events, and a stream that stores what it puts out.

use std::{
    cell::RefCell,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_nats::jetstream;
use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room,
    core::{Core, Input, Moment, Output},
    detector::Inbound,
    frame::RoomEvent,
    history::{HistorySettings, HistoryStream, ReadError, Status, StoredHistory, StoredSpan, open},
};

use crate::server::NatsServer;

/// How long anything may take that is not meant to take long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How old events may be where many are read.
pub const WINDOW: Duration = Duration::from_secs(300);

/// The stream of all tests.
pub const STREAM: &str = "gaung_v1_test_history";

/// A node that runs until it is dropped.
pub struct Node {
    pub id: NodeId,
    pub stream: HistoryStream,
    core: RefCell<Core>,
    started: Instant,
    thread: Option<JoinHandle<()>>,
}

/// A nats-server with JetStream.
pub fn server() -> NatsServer {
    let mut server = absent_server();
    server.restart();
    server
}

/// The same, not started yet.
pub fn absent_server() -> NatsServer {
    let mut server = NatsServer::absent();
    let store = server.folder().join("store");
    server.restart_with(&format!("jetstream {{ store_dir: {store:?} }}"));
    server.kill();
    server
}

pub fn settings(server: &NatsServer) -> HistorySettings {
    let mut bus = server.settings();
    bus.core.stores_events = true;
    HistorySettings { bus, replicas: 1, max_bytes: 64 << 20, max_waiting_bytes: 16 << 20 }
}

pub fn room(channel: &str) -> Room {
    Room::new("shop", channel).unwrap()
}

/// JetStream as another client sees it.
pub async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

impl Node {
    pub fn start(settings: HistorySettings) -> Self {
        let core = RefCell::new(Core::new(settings.bus.core.clone()));
        let id = settings.bus.core.node;
        let (stream, worker) = open(settings);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(worker.run()).unwrap();
        });
        let node = Self { id, stream, core, started: Instant::now(), thread: Some(thread) };
        node.mark();
        node
    }

    /// Publishes an event; returns its number.
    pub fn publish(&self, channel: &str, payload: &str) -> u64 {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        self.step(Input::PublishNumbered(RoomEvent { room: room(channel), payload, trace: None }));
        self.core.borrow().published()
    }

    /// Lets so much time pass that the core marks what it put out.
    pub fn mark(&self) {
        self.step(Input::Tick(Inbound::Drained));
    }

    fn step(&self, input: Input) {
        let wall = Duration::from_secs(1_800_000_000);
        let outputs = self.core.borrow_mut().step(input, Moment { up: self.started.elapsed(), wall });
        for output in outputs {
            match output {
                Output::Store(room, number, bytes) => self.stream.store(room, number, bytes),
                Output::Mark(number) => self.stream.mark(number),
                _ => {}
            }
        }
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.stream.status()) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {:?}", self.stream.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until everything is stored, ends the node, and returns the number that it used last.
    pub async fn end(self) -> (NodeId, u64) {
        self.stream.close(PATIENCE).await;
        let last = self.core.borrow().published();
        (self.id, last)
    }

    /// What the stream has of a channel, once that is as wanted.
    pub async fn read(&self, channel: &str, what: &str, wanted: impl Fn(&StoredHistory) -> bool) -> StoredHistory {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = self.stream.read(&room(channel), WINDOW).await;
            match &read {
                Ok(stored) if wanted(stored) => return read.unwrap(),
                Ok(_) | Err(ReadError::Away) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {read:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let thread = self.thread.take().unwrap();
        let (stream, worker) = open(settings_of_nobody());
        // The worker ends with the last handle of it.
        drop((std::mem::replace(&mut self.stream, stream), worker));
        thread.join().unwrap();
    }
}

fn settings_of_nobody() -> HistorySettings {
    settings(&NatsServer::absent())
}

/// The payloads of the events that were read.
pub fn payloads(stored: &StoredHistory) -> Vec<String> {
    stored.events.iter().map(|event| String::from_utf8(event.payload.to_vec()).unwrap()).collect()
}

/// What is known of a node.
pub fn span(stored: &StoredHistory, node: NodeId) -> Option<(u64, u64)> {
    let span = |span: &StoredSpan| (span.node == node).then_some((span.after, span.last));
    stored.spans.iter().find_map(span)
}
