//! The task that owns the queue: executes commands, stores one event per slot at a time, and runs a consumer for each
//! slot of this node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
    consumer::SlotConsumer,
    event::{PulledEvent, QueueOutput, QueuedEvent},
    settings::QueueSettings,
    setup::StreamSpec,
    slot::Slot,
    status::Gauges,
    store::{StoreOutcome, store},
    waiting::Waiting,
};
use crate::{
    bus::{InvalidServer, connect},
    jetstream::REQUEST_TIMEOUT,
    room::NodeId,
};

/// The queue's background task, to be run on a thread with a tokio runtime.
pub struct Worker {
    settings: QueueSettings,
    commands: mpsc::UnboundedReceiver<Command>,
    gauges: Gauges,
}

/// What a [`super::Queue`] asks for.
#[derive(Debug)]
pub(super) enum Command {
    Push(QueuedEvent),
    Nodes(BTreeSet<NodeId>),
    Leave(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// The worker while it runs.
struct RunningWorker<T> {
    settings: QueueSettings,
    spec: StreamSpec,
    context: Context,
    gauges: Gauges,
    on_output: T,
    waiting: Waiting,
    storing: JoinSet<StoreOutcome>,
    /// Slots with an event in flight: a second one could overtake it.
    busy: BTreeSet<Slot>,
    nodes: Nodes,
    pulling: JoinSet<Slot>,
    consumers: BTreeMap<Slot, ConsumerHandle>,
    pulled: mpsc::UnboundedSender<PulledEvent>,
    closed: Option<oneshot::Sender<()>>,
}

/// Who shares the slots.
enum Nodes {
    Sharing(BTreeSet<NodeId>),
    /// Not this node, which has left.
    Left,
}

/// A running consumer of a slot. Removed once it has ended.
struct ConsumerHandle {
    revoked: Arc<AtomicBool>,
    /// The consumer runs until this is dropped.
    stop: Option<oneshot::Sender<()>>,
}

impl Worker {
    pub(super) fn new(settings: QueueSettings, commands: mpsc::UnboundedReceiver<Command>, gauges: Gauges) -> Self {
        Self { settings, commands, gauges }
    }

    /// Runs until [`super::Queue::close`], or until every [`super::Queue`] is dropped; `on_output` must not block.
    /// Needs a tokio runtime with time and I/O. Fails at once on an invalid server address.
    pub async fn run(mut self, on_output: impl FnMut(QueueOutput)) -> Result<(), InvalidServer> {
        let client = connect(&self.settings.bus, "webhooks").await?;
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client);
        // Unbounded, because the stream gives no more than `MAX_TAKEN` messages of each slot.
        let (pulled, mut arrivals) = mpsc::unbounded_channel();
        let mut work = RunningWorker::new(self.settings, context, self.gauges, on_output, pulled);
        while !work.is_over() {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => work.execute(command),
                    None => break,
                },
                Some(pulled) = arrivals.recv() => (work.on_output)(QueueOutput::Delivered(pulled)),
                Some(ended) = work.storing.join_next() => work.conclude(ended.expect("storing does not panic")),
                Some(left) = work.pulling.join_next() => work.consumer_ended(left.expect("pulling does not panic")),
            }
        }
        work.end().await;
        Ok(())
    }
}

impl<T: FnMut(QueueOutput)> RunningWorker<T> {
    fn new(
        settings: QueueSettings,
        context: Context,
        gauges: Gauges,
        on_output: T,
        pulled: mpsc::UnboundedSender<PulledEvent>,
    ) -> Self {
        let (name, subjects) = (settings.name.clone(), settings.bus.subjects.clone());
        Self {
            spec: StreamSpec { name, replicas: settings.replicas, subjects, ack_wait: settings.timing.ack_wait },
            context,
            gauges,
            on_output,
            waiting: Waiting::new(settings.max_waiting_bytes),
            storing: JoinSet::new(),
            busy: BTreeSet::new(),
            nodes: Nodes::Sharing(BTreeSet::new()),
            pulling: JoinSet::new(),
            consumers: BTreeMap::new(),
            pulled,
            closed: None,
            settings,
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Push(event) => self.push(event),
            Command::Nodes(nodes) => {
                if let Nodes::Sharing(known) = &mut self.nodes {
                    *known = nodes;
                }
                self.share();
            }
            Command::Leave(done) => {
                self.leave();
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
            Command::Close(done) => {
                self.leave();
                self.closed = Some(done);
            }
        }
    }

    fn push(&mut self, event: QueuedEvent) {
        let slot = event.slot;
        let dropped = self.waiting.push(event);
        if !dropped.is_empty() {
            self.drop_events(dropped, "the stream accepts nothing and too many events wait");
        }
        self.advance(slot);
    }

    fn advance(&mut self, slot: Slot) {
        if self.busy.contains(&slot) {
            return;
        }
        let Some(event) = self.waiting.next(slot) else { return };
        self.busy.insert(slot);
        self.storing.spawn(store(self.context.clone(), self.spec.clone(), self.gauges.clone(), event));
    }

    fn conclude(&mut self, ending: StoreOutcome) {
        let slot = match ending {
            StoreOutcome::Stored(event) => {
                event.ack.confirm();
                event.slot
            }
            StoreOutcome::TooLarge(event) => {
                let slot = event.slot;
                self.drop_events(vec![event], "larger than the NATS server's max_payload");
                slot
            }
        };
        self.busy.remove(&slot);
        self.advance(slot);
    }

    /// Drops events for good. Their acks are confirmed, so that they are not tried again.
    fn drop_events(&mut self, events: Vec<QueuedEvent>, reason: &str) {
        let count = events.len();
        events.into_iter().for_each(|event| event.ack.confirm());
        self.gauges.dropped(count);
        warn!(events = count, reason, "webhook events dropped");
        (self.on_output)(QueueOutput::Dropped(count));
    }

    fn leave(&mut self) {
        self.nodes = Nodes::Left;
        self.share();
    }

    /// Starts consumers for the slots that are this node's now, and stops those for slots that are not.
    fn share(&mut self) {
        for slot in Slot::all() {
            match (self.owns(slot), self.consumers.get_mut(&slot)) {
                (true, None) => self.begin(slot),
                (false, Some(consumer)) => consumer.end(),
                (true, Some(_)) | (false, None) => {}
            }
        }
    }

    fn owns(&self, slot: Slot) -> bool {
        match &self.nodes {
            Nodes::Sharing(nodes) => slot.owner(nodes) == Some(self.settings.bus.core.node),
            Nodes::Left => false,
        }
    }

    fn begin(&mut self, slot: Slot) {
        let (stop, stopped) = oneshot::channel();
        let revoked = Arc::new(AtomicBool::new(false));
        let consumer = SlotConsumer {
            context: self.context.clone(),
            spec: self.spec.clone(),
            timing: self.settings.timing,
            slot,
            gauges: self.gauges.clone(),
            revoked: revoked.clone(),
            pulled: self.pulled.clone(),
        };
        self.pulling.spawn(consumer.work(stopped));
        self.consumers.insert(slot, ConsumerHandle { revoked, stop: Some(stop) });
    }

    /// A consumer has given back its messages. The slot may be this node's again.
    fn consumer_ended(&mut self, slot: Slot) {
        self.consumers.remove(&slot);
        self.share();
    }

    fn is_over(&self) -> bool {
        self.closed.is_some() && self.pulling.is_empty()
    }

    async fn end(mut self) {
        let events = self.waiting.count() + self.busy.len();
        if events > 0 {
            warn!(events, "webhook events were lost at the end: the stream did not accept them in time");
        }
        // Flush what was given back before the connection closes. Without a connection there is nothing to wait for.
        let client = self.context.client();
        if client.connection_state() == State::Connected {
            let _ = timeout(REQUEST_TIMEOUT, client.flush()).await;
        }
        if let Some(closed) = self.closed.take() {
            let _ = closed.send(());
        }
    }
}

impl ConsumerHandle {
    fn end(&mut self) {
        self.revoked.store(true, Ordering::Relaxed);
        self.stop = None;
    }
}
