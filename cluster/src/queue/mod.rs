//! A durable work queue in JetStream that keeps webhooks until they are posted, even if nodes die. Needs NATS 2.9 or
//! later.
//!
//! The way of an event: `Queue::push` → `worker` → `waiting` → `store` → the stream → `consumer` on the node that owns
//! the event's `slot` → `lease` → `on_output`. When its ack is confirmed, `consumer` acknowledges it and the stream
//! deletes it. What a dead node had pulled goes to the others: the stream redelivers it after `ack_wait` without a
//! progress ack.

mod consumer;
mod event;
mod lease;
mod settings;
mod setup;
mod slot;
mod status;
mod store;
mod waiting;
mod worker;

use std::collections::BTreeSet;

use tokio::sync::{mpsc, oneshot};

use self::{status::Gauges, worker::Command};
use crate::room::NodeId;

pub use event::{PulledEvent, QueueOutput, QueuedEvent};
pub use settings::{QueueSettings, QueueTiming};
pub use slot::Slot;
pub use status::Status;
pub use worker::Worker;

/// A handle of the queue. Cheap to clone; only [`Queue::leave`] and [`Queue::close`] wait for NATS.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::UnboundedSender<Command>,
    gauges: Gauges,
}

/// A queue and its worker. What is pushed before the worker runs waits.
pub fn open(settings: QueueSettings) -> (Queue, Worker) {
    // Unbounded, because the worker moves everything at once into `Waiting`, which is bounded.
    let (commands, its_commands) = mpsc::unbounded_channel();
    let gauges = Gauges::new();
    (Queue { commands, gauges: gauges.clone() }, Worker::new(settings, its_commands, gauges))
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
        self.gauges.status()
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
