//! A stream in JetStream that keeps the events of channels with a history behind the nodes' memory: for a node that
//! needs what no living node has any more. Needs NATS 2.9 or later.
//!
//! The way of an event: the core numbers it and puts it out with [`Output::Store`](crate::core::Output::Store) →
//! `worker` → `backlog` → the stream, which acknowledges it; what is not acknowledged is sent again. Beside it every
//! node stores *marks*: "all my events up to this number are in the stream before this mark". What the stream has of a
//! room is read with the marks of all nodes, and `marks` says from which number on, and up to which, that is all.

pub mod backlog;
mod mark;
mod mark_table;
mod marks;
mod reader;
mod settings;
mod setup;
mod status;
mod worker;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::{backlog::UnstoredEvent, reader::Reader, status::Gauges, worker::Command};
use crate::room::{NodeId, Room};

pub use mark::Mark;
pub use marks::{Marks, Place, SETTLED_AFTER, StoredEvent, StoredSpan};
pub use reader::{ReadError, StoredHistory};
pub use settings::HistorySettings;
pub use status::Status;
pub use worker::Worker;

/// A handle of the stream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HistoryStream {
    commands: mpsc::UnboundedSender<Command>,
    reader: Arc<Reader>,
    gauges: Gauges,
}

/// A stream and its worker. What is stored before the worker runs waits.
pub fn open(settings: HistorySettings) -> (HistoryStream, Worker) {
    // Unbounded, because the worker moves everything at once into the backlog, which is bounded.
    let (commands, its_commands) = mpsc::unbounded_channel();
    let gauges = Gauges::default();
    let reader = Arc::new(Reader::new(settings.bus.subjects.clone(), gauges.clone()));
    let worker = Worker::new(settings, its_commands, reader.clone(), gauges.clone());
    (HistoryStream { commands, reader, gauges }, worker)
}

impl HistoryStream {
    /// Stores an event of this node. Never waits.
    pub fn store(&self, room: Room, number: u64, bytes: Bytes) {
        self.send(Command::Store(UnstoredEvent { room, number, bytes }));
    }

    /// Stores a mark: everything that this node stores and that has a number up to this one was given to
    /// [`HistoryStream::store`].
    pub fn mark(&self, number: u64) {
        self.send(Command::Mark(number));
    }

    /// What the stream has of a room; where that is much, what is not older than `window`.
    pub async fn read(&self, room: &Room, window: Duration) -> Result<StoredHistory, ReadError> {
        self.reader.read(room, window).await
    }

    /// The frames that a node has stored in so long before now, and some from before that, in the order of their numbers.
    pub async fn read_node(&self, node: NodeId, window: Duration) -> Result<Vec<Bytes>, ReadError> {
        self.reader.read_node(node, window).await
    }

    /// How the stream fares.
    pub fn status(&self) -> Status {
        self.gauges.status()
    }

    /// Returns once everything is stored, and a last mark behind it, or after `patience`.
    pub async fn close(&self, patience: Duration) {
        let (done, is_done) = oneshot::channel();
        self.send(Command::Close(done));
        // A worker that has ended has nothing left to do.
        let _ = timeout(patience, is_done).await;
    }

    fn send(&self, command: Command) {
        // A worker that has ended stores nothing any more; its marks end before what was given to it then.
        let _ = self.commands.send(command);
    }
}
