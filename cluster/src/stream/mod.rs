//! A work queue in JetStream that keeps webhooks until they are posted, whichever nodes die meanwhile. Needs no more than
//! NATS 2.9.
//!
//! The way of an event: `Queue::push` → `pump` → `waiting` → `store` → the stream → `pull` on the node that owns the
//! event's `slot` → `tenure` → `tell`. When its receipt is redeemed, `pull` acknowledges it and the stream forgets it.
//! A node that dies leaves its share to the others: the stream waits for a sign of life and then gives it again.

mod health;
mod pull;
mod pump;
mod setup;
mod slot;
mod store;
mod tenure;
mod waiting;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::{health::Health, pump::Order};
use crate::{bus::BusSettings, receipt::Receipt, room::NodeId};

pub use pump::Pump;
pub use slot::Slot;

/// What the queue is told at its start.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// Where NATS is and who we are there. The queue has a connection of its own.
    pub bus: BusSettings,
    /// The stream's name: `GAUNG_WEBHOOK_STREAM`.
    pub name: String,
    /// How many NATS servers keep it, if the queue must make it: `GAUNG_WEBHOOK_STREAM_REPLICAS`.
    pub replicas: usize,
    /// How long things take.
    pub timing: StreamTiming,
    /// Bytes that may wait in memory while the stream takes nothing (16 MiB); beyond it the oldest events are dropped.
    pub max_waiting_bytes: usize,
}

/// How long things take. Tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct StreamTiming {
    /// How long the stream waits for a word about an event before it gives it to another node (15 s). The same for all
    /// nodes of a cluster.
    pub silence: Duration,
    /// How long one request for events waits for some (2 s).
    pub request: Duration,
    /// How long posts under way may take to end when a node gives a slot away (2 s).
    pub farewell: Duration,
}

/// An event for the stream.
#[derive(Debug)]
pub struct Letter {
    /// Where it belongs: [`Slot::of`] its channel.
    pub slot: Slot,
    /// Its id; the stream stores an id once within two minutes.
    pub id: String,
    /// What [`Pulled::body`] brings back, on this node or another.
    pub body: Bytes,
    /// Redeemed when the stream keeps the event, or when the event was dropped for good. Dropped at [`Queue::close`].
    pub receipt: Receipt,
}

/// An event from the stream, which is to be posted here.
#[derive(Debug)]
pub struct Pulled {
    /// What some node pushed. To be parsed like anything from outside.
    pub body: Bytes,
    /// To be redeemed when it was posted. Revoked when another node is to post it instead.
    pub receipt: Receipt,
}

/// What the queue tells.
#[derive(Debug)]
pub enum Told {
    /// An event is to be posted here.
    Pulled(Pulled),
    /// So many events were dropped, because the stream took nothing for too long or no message so large.
    Dropped(usize),
}

/// How the queue fares. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Events that the stream took.
    pub stored: u64,
    /// Events that were dropped.
    pub dropped: u64,
    /// What is wrong with the stream; `None` while all is well.
    pub trouble: Option<String>,
}

/// The handle of the queue. Cheap to clone; nothing here waits for NATS but [`Queue::leave`] and [`Queue::close`].
#[derive(Debug, Clone)]
pub struct Queue {
    orders: mpsc::UnboundedSender<Order>,
    health: Health,
}

impl StreamSettings {
    /// The stream of this name, with the defaults.
    pub fn new(bus: BusSettings, name: &str, replicas: usize) -> Self {
        let timing = StreamTiming::default();
        Self { bus, name: name.to_owned(), replicas, timing, max_waiting_bytes: 16 * 1024 * 1024 }
    }
}

/// A queue that has not begun; what is pushed meanwhile waits.
pub fn open(settings: StreamSettings) -> (Queue, Pump) {
    // Unbounded, because the pump takes everything at once into a queue that has a bound.
    let (orders, its_orders) = mpsc::unbounded_channel();
    let health = Health::default();
    (Queue { orders, health: health.clone() }, Pump::new(settings, its_orders, health))
}

impl Queue {
    /// Gives an event to the stream. Events of one slot are stored in the order in which they were pushed.
    pub fn push(&self, letter: Letter) {
        self.order(Order::Push(letter));
    }

    /// Says which nodes share the slots now: all that are alive and ready. A node that is not among them pulls nothing.
    pub fn set_nodes(&self, nodes: BTreeSet<NodeId>) {
        self.order(Order::Nodes(nodes));
    }

    /// Pulls nothing more. Returns when all receipts of events that are not posted yet are revoked; the stream gets those
    /// events back as soon as posts under way have ended. Events may still be pushed.
    pub async fn leave(&self) {
        self.wait(Order::Leave).await;
    }

    /// Ends the queue: gives back what is not posted, and drops what the stream has not taken.
    pub async fn close(&self) {
        self.wait(Order::Close).await;
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        self.health.status()
    }

    fn order(&self, order: Order) {
        // Where the pump is gone, the letter's receipt goes with the order: it was not stored.
        let _ = self.orders.send(order);
    }

    async fn wait(&self, order: impl FnOnce(oneshot::Sender<()>) -> Order) {
        let (done, is_done) = oneshot::channel();
        self.order(order(done));
        // A pump that is gone has nothing left to do.
        let _ = is_done.await;
    }
}

impl Default for StreamTiming {
    fn default() -> Self {
        Self { silence: Duration::from_secs(15), request: Duration::from_secs(2), farewell: Duration::from_secs(2) }
    }
}
