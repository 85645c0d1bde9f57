//! The handle by which all other threads reach the bus thread. It never waits for NATS.
//!
//! Commands wait in one unbounded queue. Facts need no bound: each follows a change of this node's own sockets, whose
//! number has a bound of its own; the bus thread takes them without ever waiting for the network; and a lost one would
//! make every node's view wrong. Events come from back ends, which can be told to wait: each takes a [`PublishPermit`]
//! first. What clients cause is slowed down at its source: what reads their sockets checks [`Link::waiting`].

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    nats_client::FLUSH_TIMEOUT,
    permits::{self, Full, Limits, PublishPermit},
    status::{Gauges, Status},
};
use crate::{
    core::{Core, Input},
    fact::CachedEvent,
    frame::RoomEvent,
    room::{NodeId, Room},
    trace::TraceContext,
};

/// A command to the bus thread.
pub(super) enum Command {
    /// An input for the core.
    Input(Input),
    /// An event; its permit is released once the core has it.
    Event(Input, PublishPermit),
    /// Answered from the core's memory.
    Question(Box<dyn FnOnce(&Core) + Send>),
    /// Finish within `patience`. `done` is dropped at the end.
    Close { patience: Duration, done: oneshot::Sender<()> },
}

/// A handle of the bus. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    node: NodeId,
    commands: mpsc::UnboundedSender<Command>,
    gauges: Arc<Gauges>,
    limits: Limits,
}

/// The bus has ended, and executes nothing any more.
struct Ended;

impl Link {
    pub(super) fn new(
        node: NodeId,
        commands: mpsc::UnboundedSender<Command>,
        gauges: Arc<Gauges>,
        limits: Limits,
    ) -> Self {
        Self { node, commands, gauges, limits }
    }

    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Sends an input to the core. Never waits and never loses one; ignored once the bus has ended.
    pub fn send(&self, input: Input) {
        let _ = self.enqueue(Command::Input(input));
    }

    /// How many commands that need no permit, which are all but events, the bus thread has not executed yet; 0 once the
    /// bus has ended. Takes no lock.
    pub fn waiting(&self) -> usize {
        if self.commands.is_closed() { 0 } else { self.gauges.waiting.load(Relaxed) }
    }

    /// A permit for so many events with so many bytes together.
    pub fn reserve(&self, events: usize, bytes: usize) -> Result<PublishPermit, Full> {
        permits::reserve(&self.gauges, self.limits, events, bytes)
    }

    /// Publishes an event, which this node's own sockets have already.
    pub fn publish(&self, event: RoomEvent, permit: PublishPermit) {
        let _ = self.commands.send(Command::Event(Input::Publish(event), permit));
    }

    /// Publishes an event that comes back under its number to a room that is served here.
    pub fn publish_numbered(&self, event: RoomEvent, permit: PublishPermit) {
        let _ = self.commands.send(Command::Event(Input::PublishNumbered(event), permit));
    }

    /// Publishes the last event of a cache channel, which this node's own sockets have already.
    pub fn cache(&self, room: Room, event: CachedEvent, trace: Option<TraceContext>, permit: PublishPermit) {
        let _ = self.commands.send(Command::Event(Input::Cache { room, event, trace }, permit));
    }

    /// Answers a question from memory, after all commands sent before it; `None` if the bus has ended.
    pub async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Core) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question = Box::new(move |core: &Core| {
            let _ = answer.send(question(core));
        });
        self.enqueue(Command::Question(question)).ok()?;
        answered.await.ok()
    }

    /// Looks at what is known after all commands sent before it.
    pub fn look(&self, look: impl FnOnce(&Core) + Send + 'static) {
        let _ = self.enqueue(Command::Question(Box::new(look)));
    }

    /// Bytes that an event's payload may have now. Asked for every event: it takes no lock.
    pub fn max_payload(&self) -> usize {
        self.gauges.max_payload()
    }

    pub fn status(&self) -> Status {
        self.gauges.status()
    }

    /// Ends the bus: returns once the servers have taken everything sent before, or after `patience`.
    pub async fn close(&self, patience: Duration) {
        let (done, ended) = oneshot::channel();
        if self.enqueue(Command::Close { patience, done }).is_ok() {
            // The bus thread keeps the time; this is for one that hangs or was never started.
            let _ = timeout(patience + FLUSH_TIMEOUT, ended).await;
        }
    }

    /// Counts before it sends, so that the bus thread never takes away what is not counted yet.
    fn enqueue(&self, command: Command) -> Result<(), Ended> {
        self.gauges.waiting.fetch_add(1, Relaxed);
        self.commands.send(command).map_err(|_| Ended)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("node", &self.node).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_wait_until_they_are_executed_or_the_bus_has_ended() {
        let (commands, receiver) = mpsc::unbounded_channel();
        let link = Link::new(NodeId::from_bits(1), commands, Arc::new(Gauges::new()), Limits { events: 1, bytes: 1 });
        link.send(Input::Confirm);
        link.send(Input::Confirm);
        assert_eq!(link.waiting(), 2);
        let permit = link.reserve(1, 1).unwrap();
        let room = Room::new("shop", "orders").unwrap();
        link.publish(RoomEvent { room, payload: Default::default(), trace: None }, permit);
        assert_eq!((link.waiting(), link.status().queued), (2, 1));
        link.gauges.waiting.fetch_sub(1, Relaxed);
        assert_eq!(link.waiting(), 1);
        drop(receiver);
        link.send(Input::Confirm);
        assert_eq!(link.waiting(), 0);
    }
}
