//! A durable work queue in JetStream that keeps webhooks until they are posted, even if nodes die. Needs NATS 2.9 or
//! later.
//!
//! The way of an event: `Queue::push` → `worker` → `waiting` → `store` → the stream → `consumer` on the node that owns
//! the event's `slot` → `lease` → `on_output`. When its ack is confirmed, `consumer` acknowledges it and the stream
//! deletes it. What a dead node had pulled goes to the others: the stream redelivers it after `ack_wait` without a
//! progress ack.

mod consumer;
mod health;
mod lease;
mod setup;
mod slot;
mod store;
mod waiting;
mod worker;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::{health::Health, worker::Command};
use crate::{ack::Ack, bus::BusSettings, room::NodeId};

pub use slot::Slot;
pub use worker::Worker;

/// Settings of the queue.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// Servers and login. The queue has a connection of its own.
    pub bus: BusSettings,
    /// The stream's name: `GAUNG_WEBHOOK_STREAM`.
    pub name: String,
    /// Replicas of the stream, where the queue creates it: `GAUNG_WEBHOOK_STREAM_REPLICAS`.
    pub replicas: usize,
    pub timing: QueueTiming,
    /// Bytes that may wait in memory while the stream accepts nothing (16 MiB); beyond it the oldest events are
    /// dropped.
    pub max_waiting_bytes: usize,
}

/// Timeouts. Tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct QueueTiming {
    /// The consumers' `ack_wait`: without an ack of any kind for so long, the stream redelivers an event to another
    /// node (15 s). The same on all nodes of a cluster.
    pub ack_wait: Duration,
    /// How long one pull request waits for events (2 s).
    pub request: Duration,
    /// How long current posts may take to end when a node gives a slot away (2 s).
    pub drain: Duration,
}

/// An event to be stored in the stream.
#[derive(Debug)]
pub struct QueuedEvent {
    /// The [`Slot::of`] its channel.
    pub slot: Slot,
    /// The stream stores an id once within two minutes.
    pub id: String,
    /// What [`PulledEvent::body`] brings back, on this node or another.
    pub body: Bytes,
    /// Confirmed once the stream has stored the event, or once the event was dropped for good. Dropped at
    /// [`Queue::close`].
    pub ack: Ack,
}

/// An event from the stream, which is to be posted here.
#[derive(Debug)]
pub struct PulledEvent {
    /// What a node pushed. To be parsed like any outside input.
    pub body: Bytes,
    /// To be confirmed once it was posted. Revoked when another node is to post it instead.
    pub ack: Ack,
}

/// What the queue hands to the node.
#[derive(Debug)]
pub enum QueueOutput {
    /// An event is to be posted here.
    Delivered(PulledEvent),
    /// So many events were dropped: the stream accepted nothing for too long, or they were larger than it accepts.
    Dropped(usize),
}

/// The state of the queue. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Events that the stream has stored.
    pub stored: u64,
    pub dropped: u64,
    /// What is wrong with the stream; `None` while all is well.
    pub error: Option<String>,
}

/// A handle of the queue. Cheap to clone; only [`Queue::leave`] and [`Queue::close`] wait for NATS.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::UnboundedSender<Command>,
    health: Health,
}

impl QueueSettings {
    /// Settings for the stream of this name, with the defaults.
    pub fn new(bus: BusSettings, name: &str, replicas: usize) -> Self {
        let timing = QueueTiming::default();
        Self { bus, name: name.to_owned(), replicas, timing, max_waiting_bytes: 16 * 1024 * 1024 }
    }
}

/// A queue and its worker. What is pushed before the worker runs waits.
pub fn open(settings: QueueSettings) -> (Queue, Worker) {
    // Unbounded, because the worker moves everything at once into `Waiting`, which is bounded.
    let (commands, its_commands) = mpsc::unbounded_channel();
    let health = Health::default();
    (Queue { commands, health: health.clone() }, Worker::new(settings, its_commands, health))
}

impl Queue {
    /// Stores an event. Events of one slot are stored in the order in which they were pushed.
    pub fn push(&self, event: QueuedEvent) {
        self.send(Command::Push(event));
    }

    /// Sets the nodes that share the slots: all that are alive and ready. A node that is not among them pulls nothing.
    pub fn set_nodes(&self, nodes: BTreeSet<NodeId>) {
        self.send(Command::Nodes(nodes));
    }

    /// Stops pulling. Returns once the acks of all events that are not posted yet are revoked; the stream gets those
    /// events back as soon as current posts have ended. Events may still be pushed.
    pub async fn leave(&self) {
        self.wait(Command::Leave).await;
    }

    /// Ends the queue: gives back what is not posted, and drops what the stream has not stored.
    pub async fn close(&self) {
        self.wait(Command::Close).await;
    }

    pub fn status(&self) -> Status {
        self.health.status()
    }

    fn send(&self, command: Command) {
        // If the worker has ended, the event's ack is dropped with the command: it was not stored.
        let _ = self.commands.send(command);
    }

    async fn wait(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, is_done) = oneshot::channel();
        self.send(command(done));
        // A worker that has ended has nothing left to do.
        let _ = is_done.await;
    }
}

impl Default for QueueTiming {
    fn default() -> Self {
        Self { ack_wait: Duration::from_secs(15), request: Duration::from_secs(2), drain: Duration::from_secs(2) }
    }
}
