//! A node of a test: a bus on a thread of its own, and what it output to its rooms.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{
    Room,
    bus::{BusSettings, Link, Status, open},
    core::{Core, Input, Output},
    frame::RoomEvent,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{oneshot, watch},
};

use crate::server::NatsServer;

/// How long anything may take that is not meant to take long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node that runs until it is dropped.
pub struct Node {
    pub link: Link,
    outputs: watch::Receiver<Vec<Output>>,
}

/// Where a bus thread stands still while it is closed.
#[derive(Default)]
pub struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub fn close(&self) {
        *self.is_closed.lock().unwrap() = true;
    }

    pub fn open(&self) {
        *self.is_closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_closed.lock().unwrap(), |is_closed| *is_closed).unwrap());
    }
}

pub fn room(channel: &str) -> Room {
    Room::new("shop", channel).unwrap()
}

/// An event whose payload is a number.
pub fn event(room: &Room, number: u32) -> RoomEvent {
    RoomEvent { room: room.clone(), payload: Bytes::from(number.to_string()), trace: None }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn keep(outputs: &watch::Sender<Vec<Output>>, output: Output) {
    outputs.send_modify(|outputs| outputs.push(output));
}

impl Node {
    /// A node on a server.
    pub fn start(server: &NatsServer) -> Self {
        Self::start_with(server.settings())
    }

    pub fn start_with(settings: BusSettings) -> Self {
        let (link, bus) = open(settings).unwrap();
        let (sender, outputs) = watch::channel(Vec::new());
        thread::spawn(move || runtime().block_on(bus.run(|output| keep(&sender, output))));
        Self { link, outputs }
    }

    /// A node whose bus thread stands still at the next output while the gate is closed. The client has another thread,
    /// which drives the runtime, and reads on.
    pub fn start_behind(settings: BusSettings, gate: Arc<Gate>) -> Self {
        let (link, bus) = open(settings).unwrap();
        let (sender, outputs) = watch::channel(Vec::new());
        let (runtime, (ends, ended)) = (runtime(), oneshot::channel::<()>());
        let handle = runtime.handle().clone();
        thread::spawn(move || _ = runtime.block_on(ended));
        thread::spawn(move || {
            handle.block_on(bus.run(|output| {
                gate.pass();
                keep(&sender, output);
            }));
            drop(ends);
        });
        Self { link, outputs }
    }

    /// Nodes that know one another.
    pub async fn start_many<const N: usize>(server: &NatsServer) -> [Self; N] {
        let nodes = std::array::from_fn(|_| Self::start(server));
        for node in &nodes {
            node.until("all nodes are ready", |core| is_among_ready(core, N)).await;
        }
        nodes
    }

    /// Waits until the core is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Core) -> bool + Send + Sync + 'static) {
        let wanted = Arc::new(wanted);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let wanted = wanted.clone();
            if self.link.ask(move |core| wanted(core)).await.expect("the bus runs") {
                return;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the bus fares as wanted.
    pub async fn until_status(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.link.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the outputs are as wanted.
    pub async fn until_outputs(&self, what: &str, wanted: impl Fn(&[Output]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.outputs.borrow()) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {} outputs", self.outputs().len());
            // Looks at each of very many outputs would keep the bus from writing the next.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Serves a room, and waits until no event of it is missed.
    pub async fn serve(&self, room: &Room) {
        self.link.send(Input::Serve(room.clone()));
        let opens = |output: &Output| matches!(output, Output::Serving(state) if state.room == *room);
        self.until_outputs("a room is served", |outputs| outputs.iter().any(opens)).await;
    }

    /// Publishes numbered events.
    pub fn publish(&self, room: &Room, numbers: impl ExactSizeIterator<Item = u32>) {
        let mut permits = self.link.reserve(numbers.len(), numbers.len()).unwrap();
        for number in numbers {
            self.link.publish(event(room, number), permits.split(1));
        }
    }

    /// Waits for exactly these numbers, in this order.
    pub async fn expect(&self, room: &Room, numbers: std::ops::Range<u32>) {
        let wanted = numbers.len();
        self.until_outputs("events come", |outputs| delivered(outputs, room).count() >= wanted).await;
        let outputs = self.outputs();
        let came: Vec<u32> = delivered(&outputs, room).collect();
        let first_wrong = came.iter().zip(numbers.clone()).position(|(came, wanted)| *came != wanted);
        assert_eq!(
            (first_wrong, came.len()),
            (None, wanted),
            "{:?}",
            first_wrong.map(|at| &came[at.saturating_sub(2)..at + 3])
        );
        assert!(!outputs.iter().any(|output| matches!(output, Output::Lost { .. })), "events were lost");
    }

    /// Everything that was output.
    pub fn outputs(&self) -> Vec<Output> {
        self.outputs.borrow().clone()
    }
}

/// The numbers that were delivered to a room.
fn delivered<'a>(outputs: &'a [Output], room: &'a Room) -> impl Iterator<Item = u32> + 'a {
    outputs.iter().filter_map(move |output| match output {
        Output::Deliver(_, event, _) if event.room == *room => std::str::from_utf8(&event.payload).ok()?.parse().ok(),
        _ => None,
    })
}

fn is_among_ready(core: &Core, nodes: usize) -> bool {
    use gaung_cluster::{frame::Readiness, peer::Stage};
    let ready = |readiness| readiness == Readiness::Ready;
    let peers = core.peers().filter(|peer| peer.stage == Stage::Live && ready(peer.readiness)).count();
    ready(core.readiness()) && peers + 1 == nodes
}
