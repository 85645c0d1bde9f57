//! What everybody but the bus thread holds: a way to tell it things, which never waits for NATS.
//!
//! Orders wait in one queue without a bound. Facts need none: each answers a change of this node's own sockets, whose
//! number is bounded elsewhere; the bus thread takes them without ever waiting for the network; and a lost one would make
//! every node's view wrong. Events come from back ends, which can be told to wait: each takes a [`PublishPermit`] first. What
//! clients cause is slowed down where it comes from: what reads their sockets looks at [`Link::waiting`].

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
    permits::{self, Full, Limits, PublishPermit},
    status::{Gauges, Status},
    wire::LAST_WORDS,
};
use crate::{
    core::{Core, Input},
    fact::CachedEvent,
    frame::RoomEvent,
    room::{NodeId, Room},
    trace::TraceContext,
};

/// What the bus thread is told, in order.
pub(super) enum Order {
    /// Something happened here.
    Input(Input),
    /// An event; its permit is given back when the core has it.
    Event(Input, PublishPermit),
    /// Somebody wants to know something.
    Question(Box<dyn FnOnce(&Core) + Send>),
    /// Finish within `patience`. `done` is dropped when all is over.
    Close { patience: Duration, done: oneshot::Sender<()> },
}

/// A way to the bus. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    node: NodeId,
    orders: mpsc::UnboundedSender<Order>,
    gauges: Arc<Gauges>,
    limits: Limits,
}

/// The bus has ended, and carries out nothing any longer.
struct Ended;

impl Link {
    pub(super) fn new(node: NodeId, orders: mpsc::UnboundedSender<Order>, gauges: Arc<Gauges>, limits: Limits) -> Self {
        Self { node, orders, gauges, limits }
    }

    /// This node's name.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Tells what happened here. Never waits and never loses anything; what is told after the bus has ended is of no
    /// interest to anybody.
    pub fn tell(&self, input: Input) {
        let _ = self.send(Order::Input(input));
    }

    /// How many orders without a bound of their own, which are all but events, the bus thread has not carried out yet; none
    /// once the bus has ended. Takes no lock.
    pub fn waiting(&self) -> usize {
        if self.orders.is_closed() { 0 } else { self.gauges.waiting.load(Relaxed) }
    }

    /// Permits for events of these sizes, or for none of them.
    pub fn reserve(&self, sizes: &[usize]) -> Result<Vec<PublishPermit>, Full> {
        permits::reserve(&self.gauges, self.limits, sizes)
    }

    /// Publishes an event, which this node's own sockets have already.
    pub fn publish(&self, event: RoomEvent, permit: PublishPermit) {
        let _ = self.orders.send(Order::Event(Input::Publish(event), permit));
    }

    /// Publishes the last event of a cache channel, which this node's own sockets have already.
    pub fn cache(&self, room: Room, event: CachedEvent, trace: Option<TraceContext>, permit: PublishPermit) {
        let _ = self.orders.send(Order::Event(Input::Cache { room, event, trace }, permit));
    }

    /// Answers a question from memory, after all that was told before it; `None` if the bus has ended.
    pub async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Core) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let question = Box::new(move |core: &Core| {
            let _ = answer.send(question(core));
        });
        self.send(Order::Question(question)).ok()?;
        answered.await.ok()
    }

    /// Bytes that an event's payload may have now. Asked for every event: it takes no lock.
    pub fn max_payload(&self) -> usize {
        self.gauges.max_payload()
    }

    /// How the bus fares.
    pub fn status(&self) -> Status {
        self.gauges.status()
    }

    /// Ends the bus: returns when the servers have taken all that was told before, or after `patience`.
    pub async fn close(&self, patience: Duration) {
        let (done, ended) = oneshot::channel();
        if self.send(Order::Close { patience, done }).is_ok() {
            // The bus thread keeps the time; this is for one that hangs or was never started.
            let _ = timeout(patience + LAST_WORDS, ended).await;
        }
    }

    /// Counts before it sends, so that the bus thread never takes away what is not counted yet.
    fn send(&self, order: Order) -> Result<(), Ended> {
        self.gauges.waiting.fetch_add(1, Relaxed);
        self.orders.send(order).map_err(|_| Ended)
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
    fn orders_wait_until_they_are_carried_out_or_the_bus_has_ended() {
        let (orders, receiver) = mpsc::unbounded_channel();
        let link = Link::new(NodeId::from_bits(1), orders, Arc::new(Gauges::new()), Limits { events: 1, bytes: 1 });
        link.tell(Input::Confirm);
        link.tell(Input::Confirm);
        assert_eq!(link.waiting(), 2);
        let permit = link.reserve(&[1]).unwrap().pop().unwrap();
        let room = Room::new("shop", "orders").unwrap();
        link.publish(RoomEvent { room, payload: Default::default(), trace: None }, permit);
        assert_eq!((link.waiting(), link.status().queued), (2, 1));
        link.gauges.waiting.fetch_sub(1, Relaxed);
        assert_eq!(link.waiting(), 1);
        drop(receiver);
        link.tell(Input::Confirm);
        assert_eq!(link.waiting(), 0);
    }
}
