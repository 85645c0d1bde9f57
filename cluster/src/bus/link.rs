//! What everybody but the bus thread holds: a way to tell it things, which never waits for NATS.
//!
//! Orders wait in one queue without a bound. Facts need none: each answers a change of this node's own sockets, whose
//! number is bounded elsewhere; the bus thread takes them without ever waiting for the network; and a lost one would make
//! every node's view wrong. Events come from back ends, which can be told to wait: each takes a [`Place`] first. What
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
    status::{Gauges, Status},
    wire::LAST_WORDS,
};
use crate::{
    core::{Core, Input},
    frame::RoomEvent,
    room::NodeId,
};

/// What the bus thread is told, in order.
pub(super) enum Order {
    /// Something happened here.
    Input(Input),
    /// A back end's event; its place is given back when the core has it.
    Publish(RoomEvent, Place),
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
    max_queued: usize,
}

/// The bus has ended, and carries out nothing any longer.
struct Ended;

/// The queue of events is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many events it holds.
    pub limit: usize,
}

/// Room for several events in the queue; what is not used is given back.
#[derive(Debug)]
pub struct Places {
    gauges: Arc<Gauges>,
    left: usize,
}

/// Room for one event in the queue; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gauges: Arc<Gauges>,
}

impl Link {
    pub(super) fn new(
        node: NodeId,
        orders: mpsc::UnboundedSender<Order>,
        gauges: Arc<Gauges>,
        max_queued: usize,
    ) -> Self {
        Self { node, orders, gauges, max_queued }
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

    /// How many orders the bus thread has not carried out yet; none once the bus has ended. Takes no lock.
    pub fn waiting(&self) -> usize {
        if self.orders.is_closed() { 0 } else { self.gauges.waiting.load(Relaxed) }
    }

    /// How many of these have no bound of their own: all but events, each of which has a place.
    pub fn facts_waiting(&self) -> usize {
        self.waiting().saturating_sub(self.gauges.queued.load(Relaxed))
    }

    /// Room for so many events, or for none of them.
    pub fn reserve(&self, events: usize) -> Result<Places, Full> {
        let grown = |queued: usize| queued.checked_add(events).filter(|queued| *queued <= self.max_queued);
        match self.gauges.queued.fetch_update(Relaxed, Relaxed, grown) {
            Ok(_) => Ok(Places { gauges: self.gauges.clone(), left: events }),
            Err(_) => {
                self.gauges.refused.fetch_add(events as u64, Relaxed);
                Err(Full { limit: self.max_queued })
            }
        }
    }

    /// Publishes an event, which this node's own sockets have already.
    pub fn publish(&self, event: RoomEvent, place: Place) {
        let _ = self.send(Order::Publish(event, place));
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

impl Iterator for Places {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        self.left = self.left.checked_sub(1)?;
        Some(Place { gauges: self.gauges.clone() })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.gauges.queued.fetch_sub(self.left, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauges.queued.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("node", &self.node).finish_non_exhaustive()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events wait for the bus already, which is GAUNG_MAX_QUEUED_BUS_EVENTS", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(max_queued: usize) -> Link {
        let (orders, _) = mpsc::unbounded_channel();
        Link::new(NodeId::from_bits(1), orders, Arc::new(Gauges::new()), max_queued)
    }

    #[test]
    fn orders_wait_until_they_are_carried_out_or_the_bus_has_ended() {
        let (orders, receiver) = mpsc::unbounded_channel();
        let link = Link::new(NodeId::from_bits(1), orders, Arc::new(Gauges::new()), 1);
        link.tell(Input::Confirm);
        link.tell(Input::Confirm);
        assert_eq!(link.waiting(), 2);
        link.gauges.waiting.fetch_sub(1, Relaxed);
        assert_eq!(link.waiting(), 1);
        drop(receiver);
        link.tell(Input::Confirm);
        assert_eq!(link.waiting(), 0);
    }

    #[test]
    fn places_are_given_for_all_events_or_for_none() {
        let link = link(3);
        let places = link.reserve(2).unwrap();
        assert_eq!(link.reserve(2).unwrap_err(), Full { limit: 3 });
        assert_eq!((link.status().queued, link.status().refused), (2, 2));
        drop(places);
        assert!(link.reserve(3).is_ok());
        assert!(link.reserve(usize::MAX).is_err());
    }

    #[test]
    fn places_come_back_one_by_one_and_unused_ones_together() {
        let link = link(5);
        let mut places = link.reserve(5).unwrap();
        let first = places.next().unwrap();
        let second = places.next().unwrap();
        drop(places);
        assert_eq!(link.status().queued, 2);
        drop((first, second));
        assert_eq!(link.status().queued, 0);
    }
}
