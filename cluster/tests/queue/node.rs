//! A node of a test: a queue on a thread of its own, and what it was given to post.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{
    NodeId,
    ack::Ack,
    queue::{PulledEvent, Queue, QueueOutput, QueueSettings, QueueTiming, QueuedEvent, Slot, Status, open},
};
use tokio::sync::{oneshot, watch};

use crate::server::NatsServer;

/// How long anything may take that is not meant to take long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than any test takes.
pub const NEVER: Duration = Duration::from_secs(3600);

/// The stream of all tests.
pub const STREAM: &str = "webhooks";

/// A node that runs until it is killed or dropped.
pub struct Node {
    pub id: NodeId,
    pub queue: Queue,
    stored: Arc<AtomicUsize>,
    given: watch::Sender<Given>,
    dropped: Arc<AtomicUsize>,
    kill: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was given to be posted, in order.
#[derive(Default)]
struct Given {
    bodies: Vec<String>,
    /// What was not posted yet.
    acks: Vec<(String, Ack)>,
}

/// A nats-server with JetStream.
pub fn server() -> NatsServer {
    let mut server = absent_server();
    server.restart();
    server
}

/// The same, not started yet.
pub fn absent_server() -> NatsServer {
    let mut server = NatsServer::absent();
    let store = server.folder().join("store");
    server.restart_with(&format!("jetstream {{ store_dir: {store:?} }}"));
    server.kill();
    server
}

/// A stream that waits so long for a word about an event.
pub fn settings(server: &NatsServer, ack_wait: Duration) -> QueueSettings {
    let timing = QueueTiming { ack_wait, request: Duration::from_millis(500), drain: Duration::from_millis(500) };
    QueueSettings { bus: server.settings(), name: STREAM.to_owned(), replicas: 1, timing, max_waiting_bytes: 1 << 20 }
}

impl Node {
    pub fn start(settings: QueueSettings) -> Self {
        let id = settings.bus.core.node;
        let (queue, worker) = open(settings);
        let (given, dropped) = (watch::Sender::new(Given::default()), Arc::new(AtomicUsize::new(0)));
        let (its_given, its_dropped) = (given.clone(), dropped.clone());
        let (kill, killed) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let on_output = |output| match output {
                QueueOutput::Delivered(pulled) => its_given.send_modify(|given| given.take(pulled)),
                QueueOutput::Dropped(events) => {
                    its_dropped.fetch_add(events, Relaxed);
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    ended = worker.run(on_output) => ended.unwrap(),
                    _ = killed => {}
                }
            });
        });
        let stored = Arc::default();
        Self { id, queue, stored, given, dropped, kill: Some(kill), thread: Some(thread) }
    }

    /// Nodes that share the slots.
    pub fn start_many<const N: usize>(server: &NatsServer, ack_wait: Duration) -> [Self; N] {
        let nodes: [Self; N] = std::array::from_fn(|_| Self::start(settings(server, ack_wait)));
        let all: Vec<&Self> = nodes.iter().collect();
        share(&all);
        nodes
    }

    /// Pushes an event whose body is its id.
    pub fn push(&self, channel: &str, id: &str) {
        let stored = self.stored.clone();
        let ack = Ack::new(move || {
            stored.fetch_add(1, Relaxed);
        });
        let body = Bytes::from(id.to_owned());
        self.queue.push(QueuedEvent { slot: Slot::of("1", channel), id: id.to_owned(), body, ack });
    }

    /// How many acks were confirmed.
    pub fn stored(&self) -> usize {
        self.stored.load(Relaxed)
    }

    /// How many events the queue reported as dropped.
    pub fn dropped(&self) -> usize {
        self.dropped.load(Relaxed)
    }

    /// What was given to be posted so far, in order.
    pub fn given(&self) -> Vec<String> {
        self.given.borrow().bodies.clone()
    }

    /// Posts what was given.
    pub fn post(&self, bodies: &[String]) {
        self.given.send_modify(|given| {
            let acks = std::mem::take(&mut given.acks);
            let (posted, rest) = acks.into_iter().partition(|(body, _)| bodies.contains(body));
            given.acks = rest;
            let posted: Vec<(String, Ack)> = posted;
            posted.into_iter().for_each(|(_, ack)| ack.confirm());
        });
    }

    /// Whether all that is not posted here is another node's by now.
    pub fn is_revoked(&self) -> bool {
        self.given.borrow().acks.iter().all(|(_, ack)| ack.is_revoked())
    }

    /// Forgets what is not posted, as endpoints do when it is another node's.
    pub fn forget(&self) {
        self.given.send_modify(|given| given.acks.clear());
    }

    pub fn status(&self) -> Status {
        self.queue.status()
    }

    /// Ends the thread and its connection without a shutdown.
    pub fn kill(&mut self) {
        drop(self.kill.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Given {
    fn take(&mut self, PulledEvent { body, ack }: PulledEvent) {
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.bodies.push(body.clone());
        self.acks.push((body, ack));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sets the nodes that share the slots.
pub fn share(nodes: &[&Node]) {
    let ids: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    nodes.iter().for_each(|node| node.queue.set_nodes(ids.clone()));
}

/// A channel whose slot is this node's, among these nodes.
pub fn channel_of(node: &Node, nodes: &[&Node]) -> String {
    let ids: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    let mut channels = (0..).map(|number| format!("channel-{number}"));
    channels.find(|channel| Slot::of("1", channel).owner(&ids) == Some(node.id)).unwrap()
}

/// Waits until something is so.
pub async fn until(what: &str, wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ids as they are pushed: a name and a number that rises.
pub fn ids(name: &str, numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("{name}-{number}")).collect()
}
