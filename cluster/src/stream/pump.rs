//! The task that owns the queue: takes orders, lets one letter per slot go to the stream at a time, and has the slots of
//! this node pulled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{
    connection::State,
    jetstream::{Context, context::ContextBuilder},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tracing::warn;

use super::{
    Letter, Pulled, StreamSettings, Told,
    health::Health,
    pull::Puller,
    setup::Plan,
    slot::Slot,
    store::{Ending, store},
    waiting::Waiting,
};
use crate::{
    bus::{InvalidServer, connect},
    room::NodeId,
};

/// How long an answer of the stream is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The queue's work, to be run on some thread.
pub struct Pump {
    settings: StreamSettings,
    orders: mpsc::UnboundedReceiver<Order>,
    health: Health,
}

/// What the handles ask for.
#[derive(Debug)]
pub(super) enum Order {
    Push(Letter),
    Nodes(BTreeSet<NodeId>),
    Leave(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// The pump while it runs.
struct Work<T> {
    settings: StreamSettings,
    plan: Plan,
    context: Context,
    health: Health,
    tell: T,
    waiting: Waiting,
    storing: JoinSet<Ending>,
    /// Slots with a letter on its way: a second one could overtake it.
    busy: BTreeSet<Slot>,
    nodes: Nodes,
    pulling: JoinSet<Slot>,
    shifts: BTreeMap<Slot, Shift>,
    pulled: mpsc::UnboundedSender<Pulled>,
    closed: Option<oneshot::Sender<()>>,
}

/// Who shares the slots.
enum Nodes {
    These(BTreeSet<NodeId>),
    /// Others: this node is going.
    Left,
}

/// This node's time with a slot. Dropped when it is over.
struct Shift {
    revoked: Arc<AtomicBool>,
    /// The puller works until this is gone.
    stop: Option<oneshot::Sender<()>>,
}

impl Pump {
    pub(super) fn new(settings: StreamSettings, orders: mpsc::UnboundedReceiver<Order>, health: Health) -> Self {
        Self { settings, orders, health }
    }

    /// Works until [`super::Queue::close`], or until nobody holds a [`super::Queue`]; `tell` must not wait. Needs a tokio
    /// runtime with time and I/O. Fails at once where an address of the bus is none.
    pub async fn run(mut self, tell: impl FnMut(Told)) -> Result<(), InvalidServer> {
        let client = connect(&self.settings.bus, "webhooks").await?;
        let context = ContextBuilder::new().timeout(PATIENCE).build(client);
        // Unbounded, because the stream gives no more than `MAX_TAKEN` messages of each slot.
        let (pulled, mut arrivals) = mpsc::unbounded_channel();
        let mut work = Work::new(self.settings, context, self.health, tell, pulled);
        while !work.is_over() {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => work.obey(order),
                    None => break,
                },
                Some(pulled) = arrivals.recv() => (work.tell)(Told::Pulled(pulled)),
                Some(ended) = work.storing.join_next() => work.conclude(ended.expect("storing does not panic")),
                Some(left) = work.pulling.join_next() => work.pulled_last(left.expect("pulling does not panic")),
            }
        }
        work.end().await;
        Ok(())
    }
}

impl<T: FnMut(Told)> Work<T> {
    fn new(
        settings: StreamSettings,
        context: Context,
        health: Health,
        tell: T,
        pulled: mpsc::UnboundedSender<Pulled>,
    ) -> Self {
        let (name, subjects) = (settings.name.clone(), settings.bus.subjects.clone());
        Self {
            plan: Plan { name, replicas: settings.replicas, subjects, silence: settings.timing.silence },
            context,
            health,
            tell,
            waiting: Waiting::new(settings.max_waiting_bytes),
            storing: JoinSet::new(),
            busy: BTreeSet::new(),
            nodes: Nodes::These(BTreeSet::new()),
            pulling: JoinSet::new(),
            shifts: BTreeMap::new(),
            pulled,
            closed: None,
            settings,
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Push(letter) => self.push(letter),
            Order::Nodes(nodes) => {
                if let Nodes::These(known) = &mut self.nodes {
                    *known = nodes;
                }
                self.share();
            }
            Order::Leave(done) => {
                self.leave();
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            Order::Close(done) => {
                self.leave();
                self.closed = Some(done);
            }
        }
    }

    fn push(&mut self, letter: Letter) {
        let slot = letter.slot;
        let dropped = self.waiting.push(letter);
        if !dropped.is_empty() {
            self.drop_letters(dropped, "the stream takes nothing and too many events wait");
        }
        self.advance(slot);
    }

    fn advance(&mut self, slot: Slot) {
        if self.busy.contains(&slot) {
            return;
        }
        let Some(letter) = self.waiting.next(slot) else { return };
        self.busy.insert(slot);
        self.storing.spawn(store(self.context.clone(), self.plan.clone(), self.health.clone(), letter));
    }

    fn conclude(&mut self, ending: Ending) {
        let slot = match ending {
            Ending::Stored(letter) => {
                letter.receipt.redeem();
                letter.slot
            }
            Ending::TooLarge(letter) => {
                let slot = letter.slot;
                self.drop_letters(vec![letter], "the server takes no message so large");
                slot
            }
        };
        self.busy.remove(&slot);
        self.advance(slot);
    }

    /// Gives letters up for good. Their receipts are redeemed: nobody is to try them again.
    fn drop_letters(&mut self, letters: Vec<Letter>, reason: &str) {
        let events = letters.len();
        letters.into_iter().for_each(|letter| letter.receipt.redeem());
        self.health.dropped(events);
        warn!(events, reason, "webhook events dropped");
        (self.tell)(Told::Dropped(events));
    }

    fn leave(&mut self) {
        self.nodes = Nodes::Left;
        self.share();
    }

    /// Begins with the slots that are this node's now, and ends with those that are not.
    fn share(&mut self) {
        for slot in Slot::all() {
            match (self.owns(slot), self.shifts.get_mut(&slot)) {
                (true, None) => self.begin(slot),
                (false, Some(shift)) => shift.end(),
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    fn owns(&self, slot: Slot) -> bool {
        match &self.nodes {
            Nodes::These(nodes) => slot.owner(nodes) == Some(self.settings.bus.core.node),
            Nodes::Left => false,
        }
    }

    fn begin(&mut self, slot: Slot) {
        let (stop, stopped) = oneshot::channel();
        let revoked = Arc::new(AtomicBool::new(false));
        let puller = Puller {
            context: self.context.clone(),
            plan: self.plan.clone(),
            timing: self.settings.timing,
            slot,
            health: self.health.clone(),
            revoked: revoked.clone(),
            pulled: self.pulled.clone(),
        };
        self.pulling.spawn(puller.work(stopped));
        self.shifts.insert(slot, Shift { revoked, stop: Some(stop) });
    }

    /// A puller has given back what it had. The slot may be this node's again.
    fn pulled_last(&mut self, slot: Slot) {
        self.shifts.remove(&slot);
        self.share();
    }

    fn is_over(&self) -> bool {
        self.closed.is_some() && self.pulling.is_empty()
    }

    async fn end(mut self) {
        let events = self.waiting.count() + self.busy.len();
        if events > 0 {
            warn!(events, "webhook events that the stream has not taken are left behind");
        }
        // What was given back must be on its way before the connection goes. Without one there is nothing to wait for.
        let client = self.context.client();
        if client.connection_state() == State::Connected {
            let _ = timeout(PATIENCE, client.flush()).await;
        }
        if let Some(closed) = self.closed.take() {
            let _ = closed.send(());
        }
    }
}

impl Shift {
    fn end(&mut self) {
        self.revoked.store(true, Ordering::Relaxed);
        self.stop = None;
    }
}
