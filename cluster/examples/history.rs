//! What the history stream costs, on a nats-server of its own: events stored in a second, and the time to read a room of
//! which a node knows nothing, one after the other and 64 at once, beside the round trip of a plain request in the same run.
//!
//! `cargo run --release -p gaung-cluster --example history -- [ROOMS] [EVENTS OF EACH]`

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gaung_cluster::{
    NodeId, Room, Subjects,
    bus::{Auth, BusSettings, BusTls, Limits},
    core::{Core, Input, Moment, Output, Settings},
    detector::Inbound,
    frame::RoomEvent,
    history::{HistorySettings, HistoryStream, open},
};

/// Bytes of an event: a small product.
const PAYLOAD: usize = 500;

/// Rooms that are read at once, as when a node has died.
const AT_ONCE: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (rooms, events) = (arguments.next().unwrap_or(1_000), arguments.next().unwrap_or(20));
    let server = Server::start();
    let client = server.connect().await;
    let (stream, worker) = open(server.settings());
    tokio::spawn(worker.run());
    store(&stream, rooms, events).await;
    let request = round_trip(&client).await;
    println!("a plain request takes {request:.1?} at the median");
    let alone = read(&stream, rooms, 1).await;
    let together = read(&stream, rooms, AT_ONCE).await;
    for (label, times) in [("one after the other", alone), ("64 at once", together)] {
        let (p50, p99) = (times.at(50), times.at(99));
        let ratio = p50.as_secs_f64() / request.as_secs_f64();
        let rate = rooms as f64 / times.all.as_secs_f64();
        println!("rooms read {label}: p50 {p50:.1?} ({ratio:.1} requests), p99 {p99:.1?}, {rate:.0} a second");
    }
}

struct Server {
    process: Child,
    port: u16,
    folder: std::path::PathBuf,
}

struct Times {
    each: Vec<Duration>,
    all: Duration,
}

impl Server {
    fn start() -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let folder = std::env::temp_dir().join(format!("gaung-history-{}", std::process::id()));
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(&folder);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nats-server is on the PATH");
        Self { process, port, folder }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn connect(&self) -> async_nats::Client {
        loop {
            match async_nats::connect(self.url()).await {
                Ok(client) => return client,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn settings(&self) -> HistorySettings {
        let bus = BusSettings {
            servers: vec![self.url()],
            auth: Auth::None,
            tls: BusTls::default(),
            subjects: Subjects::new("gaung", "bench").expect("the names are valid"),
            core: Settings::new(NodeId::from_bits(2), "0.0.0", 1),
            version: "0.0.0",
            limits: Limits { events: 100_000, bytes: usize::MAX },
        };
        HistorySettings { bus, replicas: 1, max_bytes: 1 << 30, max_waiting_bytes: usize::MAX }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Times {
    fn at(&self, percent: usize) -> Duration {
        self.each[(self.each.len() - 1) * percent / 100]
    }
}

fn room(number: usize) -> Room {
    Room::new("shop", &format!("products.{number}")).expect("a plain name")
}

/// Stores the events of a node, each room's in turn.
async fn store(stream: &HistoryStream, rooms: usize, events: usize) {
    let mut core = Core::new(Settings { stores_events: true, ..Settings::new(NodeId::from_bits(1), "0.0.0", 1) });
    let payload = Bytes::from(vec![b'x'; PAYLOAD]);
    let began = Instant::now();
    let publish = |number| {
        Input::PublishNumbered(RoomEvent { room: room(number % rooms), payload: payload.clone(), trace: None })
    };
    let inputs = [Input::Tick(Inbound::Drained)].into_iter().chain((0..rooms * events).map(publish));
    for input in inputs {
        for output in core.step(input, Moment { up: began.elapsed(), wall: Duration::ZERO }) {
            match output {
                Output::Store(room, number, bytes) => stream.store(room, number, bytes),
                Output::Mark(number) => stream.mark(number),
                _ => {}
            }
        }
    }
    while stream.status().stored < (rooms * events) as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = (rooms * events) as f64 / began.elapsed().as_secs_f64();
    println!("{} events of {PAYLOAD} B in {rooms} rooms: {rate:.0} stored a second", rooms * events);
}

async fn read(stream: &HistoryStream, rooms: usize, at_once: usize) -> Times {
    let began = Instant::now();
    let one = async |number| {
        let began = Instant::now();
        let stored = stream.read(&room(number), Duration::from_secs(120)).await.expect("it is there");
        assert!(!stored.events.is_empty() && !stored.spans.is_empty(), "{number} is empty");
        began.elapsed()
    };
    let mut each: Vec<_> = stream::iter(0..rooms).map(one).buffer_unordered(at_once).collect().await;
    each.sort();
    Times { each, all: began.elapsed() }
}

/// The median round trip of a request to a plain subscriber.
async fn round_trip(client: &async_nats::Client) -> Duration {
    let mut asked = client.subscribe("asked").await.expect("a subscription");
    let answering = client.clone();
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let _ = answering.publish(message.reply.expect("who asks"), message.payload).await;
        }
    });
    let mut times = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        client.request("asked", Bytes::from_static(b"x")).await.expect("an answer");
        times.push(began.elapsed());
    }
    times.sort();
    times[250]
}
