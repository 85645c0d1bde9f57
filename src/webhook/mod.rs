//! Webhooks: what happens in rooms becomes signed posts to the app's endpoints (protocol.md §4).
//!
//! The path of an event: `Webhooks::notify` → `dispatch` (waits in `debounce`, writes its `payload`) → `endpoint` (keeps it
//! in its `backlog`, makes the `post`). With JetStream, `durable_queue` stores each as a `stored_event`, and what comes back
//! on the node that is to post it goes on to the endpoints. All behind `notify` happens on one thread of its own, which no
//! room and no socket ever waits for.

pub mod backlog;
pub mod debounce;
pub mod dispatch;
pub mod durable_queue;
pub mod endpoint;
pub mod ids;
pub mod payload;
pub mod pending;
pub mod post;
pub mod post_span;
pub mod settings;
pub mod stored_event;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr, Arbiter, ArbiterHandle, AsyncContext};
use futures_util::stream::poll_fn;
use gaung_cluster::{
    NodeId,
    queue::{self, Queue, QueueSettings, Worker},
};
use rustls::crypto::CryptoProvider;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::timeout,
};

use self::{
    dispatch::{Abandon, Dispatch, FromStream, Intake},
    durable_queue::DurableQueue,
    ids::Ids,
    pending::{PendingEvent, Waiting},
};
use crate::{
    app::{App, Registry},
    config::AppSettings,
    metrics::{
        Metrics,
        lag::{self, ActorThread},
    },
    protocol::{DebounceRule, WebhookEvent},
};

pub use gaung_cluster::ack::Ack;
pub use pending::WaitingOfApp;
pub use settings::{Resources, Timing};

/// Events between the rooms and the dispatcher at most. The dispatcher waits for nobody, so this fills only while its
/// thread gets no processor time. Beyond it, or beyond the bytes that may wait, the newest event is dropped and counted.
const MAX_INTAKE: usize = 65_536;

/// How long the stream's connection may take at the end to give back what is not posted.
pub const HAND_BACK: Duration = Duration::from_secs(5);

/// The handle that rooms hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Webhooks {
    intake: mpsc::Sender<Intake>,
    dispatch: Addr<Dispatch>,
    waiting: Waiting,
    refused: Arc<AtomicU64>,
    ids: Ids,
    queue: Option<Queue>,
}

impl Webhooks {
    /// Starts the webhooks' thread. To be called inside an actix system. Events wait in memory.
    ///
    /// # Panics
    ///
    /// Where the process has not installed its rustls crypto provider: the HTTP client cannot be made without one.
    pub fn start(metrics: Metrics, timing: Timing, resources: Resources) -> Self {
        Self::start_on(&Arbiter::new().handle(), metrics, (timing, resources), None)
    }

    /// The same, but a stream keeps every event until some node of the cluster has posted it. Which of them this node
    /// posts follows from [`Webhooks::set_nodes`]; until that is called it is none.
    ///
    /// # Panics
    ///
    /// As [`Webhooks::start`].
    pub fn start_with_stream(
        metrics: Metrics,
        timing: Timing,
        resources: Resources,
        settings: QueueSettings,
        registry: Registry,
    ) -> Self {
        let (queue, worker) = queue::open(settings);
        let thread = Arbiter::new().handle();
        let webhooks = Self::start_on(&thread, metrics, (timing, resources), Some((queue, registry)));
        thread.spawn(run(worker, webhooks.dispatch.clone()));
        webhooks
    }

    fn start_on(
        thread: &ArbiterHandle,
        metrics: Metrics,
        (timing, resources): (Timing, Resources),
        stream: Option<(Queue, Registry)>,
    ) -> Self {
        // Asked here, because the client is made on the other thread, where a panic would only silence the webhooks.
        CryptoProvider::get_default().expect("the process installs its crypto provider before it starts any part");
        let (intake, mut arrivals) = mpsc::channel(MAX_INTAKE);
        let (refused, waiting) = (Arc::new(AtomicU64::new(0)), Waiting::new(resources.max_bytes));
        let queue = stream.as_ref().map(|(queue, _)| queue.clone());
        let durable_queue =
            stream.map(|(queue, registry)| DurableQueue::new(queue, registry, waiting.clone(), metrics.clone()));
        thread.spawn(lag::watch(metrics.clone(), ActorThread::Webhooks));
        let its_refused = refused.clone();
        let dispatch = Dispatch::start_in_arbiter(thread, move |ctx| {
            ctx.add_stream(poll_fn(move |task| arrivals.poll_recv(task)));
            Dispatch::new(metrics, timing, &resources, its_refused).with_durable_queue(durable_queue)
        });
        Self { intake, dispatch, waiting, refused, ids: Ids::new(rand::random()), queue }
    }

    /// Says which nodes share the events of the stream now: all that are alive and ready. Without a stream nobody asks.
    pub fn set_nodes(&self, nodes: BTreeSet<NodeId>) {
        if let Some(queue) = &self.queue {
            queue.set_nodes(nodes);
        }
    }

    /// Takes an event of one of the app's rooms, which may have to wait. Never blocks, and returns at once where nobody
    /// wants to know.
    pub fn notify(&self, app: &Arc<App>, event: WebhookEvent) {
        if !is_of_interest(&app.settings(), &event) {
            return;
        }
        let Some(permit) = self.waiting.permit(app.id(), PendingEvent::cost(&event)) else { return self.refuse(app) };
        let id = self.ids.next();
        self.hand_in(app, Intake::Event(PendingEvent { app: app.clone(), event, id, permit }));
    }

    /// Takes an event that the cluster has debounced and given to this node. Its id is [`ids::of_generation`]'s. Never
    /// blocks.
    ///
    /// The ack is confirmed when every endpoint that wants the event took it or gave it up for good; where none does,
    /// at once. It is dropped where the node goes first: the event is then for its next owner, under the same id.
    pub fn post(&self, app: &Arc<App>, event: WebhookEvent, id: String, ack: Ack) {
        if !app.settings().webhooks.iter().any(|endpoint| payload::wants(endpoint, &event)) {
            return ack.confirm();
        }
        let Some(permit) = self.waiting.permit(app.id(), PendingEvent::cost(&event)) else {
            self.refuse(app);
            return ack.confirm();
        };
        let permit = permit.with(ack);
        self.hand_in(app, Intake::Debounced(PendingEvent { app: app.clone(), event, id, permit }));
    }

    /// How the stream fares that keeps events, if there is one.
    pub fn stream(&self) -> Option<queue::Status> {
        self.queue.as_ref().map(Queue::status)
    }

    /// How many events wait: for their delay, in batches and for endpoints.
    pub fn queued(&self) -> usize {
        self.waiting.count()
    }

    /// The same of each app that has any, and for how long the oldest of them has been waiting.
    pub fn waiting(&self) -> Vec<(Arc<str>, WaitingOfApp)> {
        self.waiting.by_app()
    }

    /// Sends what waits without further delay, gives up what did not arrive by the deadline, and ends the webhooks:
    /// events that come later are dropped and counted. No ack of what was given up is confirmed. To be called after the
    /// last session has been closed.
    ///
    /// Events that a stream keeps are left to the other nodes, but for those that are being posted at this moment. It takes
    /// up to five seconds more to give them back.
    pub async fn flush(&self, deadline: Duration) {
        // Sending fails only where the actix system has stopped, and then nothing is left to flush.
        let emptied = async {
            if let Some(queue) = &self.queue {
                queue.leave().await;
            }
            let _ = self.intake.send(Intake::Close).await;
            self.waiting.emptied().await;
        };
        let _ = timeout(deadline, emptied).await;
        let _ = self.dispatch.send(Abandon).await;
        if let Some(queue) = &self.queue {
            let _ = timeout(HAND_BACK, queue.close()).await;
        }
    }

    fn hand_in(&self, app: &App, intake: Intake) {
        match self.intake.try_send(intake) {
            Ok(()) => {}
            Err(TrySendError::Full(intake)) => {
                self.refuse(app);
                intake.give_up();
            }
            // The actix system has stopped.
            Err(TrySendError::Closed(_)) => app.counters.outcomes.drop_webhooks(1),
        }
    }

    fn refuse(&self, app: &App) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        app.counters.outcomes.drop_webhooks(1);
    }
}

/// Runs the queue's worker, which tells the dispatcher what it is to post.
async fn run(worker: Worker, dispatch: Addr<Dispatch>) {
    // Past the mailbox's bound: the stream gives out no more than it may, and endpoints have bounds of their own.
    let ended = worker.run(|output| dispatch.do_send(FromStream(output))).await;
    if let Err(error) = ended {
        tracing::error!(%error, "webhooks have no stream");
    }
}

/// Whether an event must be looked at. A return that no endpoint asked for may still cancel a departure that one did.
fn is_of_interest(settings: &AppSettings, event: &WebhookEvent) -> bool {
    match event.kind().debounce() {
        DebounceRule::Departure | DebounceRule::Return => {
            !settings.webhooks.is_empty() && !event.channel.kind().is_server_to_user()
        }
        DebounceRule::Throttled | DebounceRule::Immediate => {
            settings.webhooks.iter().any(|endpoint| payload::wants(endpoint, event))
        }
    }
}
