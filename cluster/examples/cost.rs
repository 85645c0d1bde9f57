//! What a step of the core costs on a node that knows much. Prints the processor's time for it, in microseconds, which
//! other processes of the machine do not prolong, and ends with an error if a step took more than [`LIMIT`].
//!
//! `cargo run --release -p gaung-cluster --example cost -- 1000000`

use std::{
    collections::{BTreeSet, VecDeque},
    env,
    error::Error,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cpu_time::ThreadTime;
use gaung_cluster::{
    NodeId, Room, Subject,
    core::{Core, Input, Moment, Output, Settings},
    detector::Inbound,
    fact::{Fact, Member},
    frame::RoomEvent,
    hash::spread,
    page::{PageChange, PageHash, PageWhere, Standing},
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The longest that a step may take: peers take a node for dead whose bus thread is away for five seconds, and what
/// waits for a step waits for all before it.
const LIMIT: Duration = Duration::from_millis(20);

/// The node whose steps are measured.
const MEASURED: usize = 0;

/// The other node, which has all the sockets.
const OTHER: usize = 1;

/// Two nodes and what is on its way between them.
struct Pair {
    now: Duration,
    nodes: [Core; 2],
    way: VecDeque<(Subject, Bytes)>,
    times: Vec<Duration>,
    longest: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let mut pair = Pair::new();
    let rooms: Vec<Room> = (0..count)
        .map(|number| Room::new("shop", &format!("room-{number}")))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    println!("{count} rooms, each with one member on the other node; microseconds a step: median, 99 %, longest");
    pair.pass(4_000);
    pair.step(MEASURED, Input::Webhooks(BTreeSet::from(["shop".into()])));
    pair.report("ticks and received frames, knowing nothing");
    rooms.iter().for_each(|room| pair.step(MEASURED, Input::Serve(room.clone())));
    pair.report("serve a room and pass its barrier");
    set_sockets(&mut pair, &rooms, 1);
    pair.report("receive a subscription or a member");
    measure_pages(&mut pair, count);
    pair.pass(3_000);
    pair.report("ticks and received frames, with all occupancies pending");
    pair.pass(200_000);
    pair.report("ticks and received frames, later");
    publish_events(&mut pair, &rooms);
    pair.pass(3_000);
    pair.report("ticks and received frames, after events in all rooms");
    pair.pass_alone(7_000);
    pair.report("ticks, and the death of the other node");
    pair.pass(3_000);
    pair.report("ticks, and its return");
    pair.pass(100_000);
    pair.report("ticks and received frames, until all of it is shown");
    list(&mut pair, count);
    pair.report("list a page of rooms");
    fill(&mut pair)?;
    pair.report("serve a room with 100,000 members on the other node");
    reconnect(&mut pair);
    pair.report("the bus goes and comes back");
    pair.step(MEASURED, Input::Webhooks(BTreeSet::from(["shop".into(), "other".into()])));
    pair.pass(10_000);
    pair.report("other apps want webhooks");
    set_sockets(&mut pair, &rooms, 0);
    pair.report("receive that all members leave");
    pair.pass(200_000);
    pair.report("ticks and received frames, with all occupancies vacated");
    pair.pass(600_000);
    pair.report("ticks and received frames, with all occupancies retired");
    rooms.iter().for_each(|room| pair.step(MEASURED, Input::Leave(room.clone())));
    pair.report("leave a room");
    pair.pass_alone(700_000);
    pair.report("ticks, the death of the other node, and its end");
    if pair.longest > LIMIT { Err(format!("a step took {:?}", pair.longest).into()) } else { Ok(()) }
}

/// The measured node loses its connection to the bus, and gets it back.
fn reconnect(pair: &mut Pair) {
    pair.one_step(MEASURED, Input::Disconnected);
    pair.way.clear();
    pair.step(MEASURED, Input::Connected);
    pair.pass(10_000);
}

/// The other node has a subscription and a member in each room, or none.
fn set_sockets(pair: &mut Pair, rooms: &[Room], sockets: u32) {
    for room in rooms {
        let member = Member { user: "7".into(), info: "{}".into(), since: 1, sockets };
        pair.step(OTHER, Input::Fact(Fact::Count { room: room.clone(), sockets }));
        pair.step(OTHER, Input::Fact(Fact::Member { room: room.clone(), member }));
    }
}

/// Each node claims as many pages.
fn measure_pages(pair: &mut Pair, count: usize) {
    set_pages(pair, count, PageChange::Came);
    pair.report("receive claims of as many pages, and claim as many");
    set_pages(pair, count, PageChange::Stands(Standing::Owing));
    pair.report("receive that all pages stand otherwise");
    find_pages(pair, count);
    pair.report("find a page");
}

/// Something happens to as many pages on each node; every 50 ms some.
fn set_pages(pair: &mut Pair, count: usize, change: PageChange) {
    for number in 0..count {
        pair.step(OTHER, Input::Page(hash(OTHER, number), change));
        pair.step(MEASURED, Input::Page(hash(MEASURED, number), change));
        if number % 500 == 0 {
            pair.pass(50);
        }
    }
    pair.pass(50);
}

/// Asks where each page of the other node is.
fn find_pages(pair: &mut Pair, count: usize) {
    for number in 0..count {
        let begin = ThreadTime::now();
        let found = pair.nodes[MEASURED].page(hash(OTHER, number));
        pair.times.push(begin.elapsed());
        assert!(matches!(found, PageWhere::On(node, _) if node.bits() == OTHER as u64 + 1), "{found:?}");
    }
}

/// Hashes come in no order.
fn hash(node: usize, number: usize) -> PageHash {
    let half = |bits: usize| spread((number * 4 + node * 2 + bits) as u64).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half(0));
    bytes[8..].copy_from_slice(&half(1));
    PageHash(bytes)
}

/// Each node publishes an event in each room.
fn publish_events(pair: &mut Pair, rooms: &[Room]) {
    for room in rooms {
        let event = RoomEvent { room: room.clone(), payload: Bytes::from_static(&[0; 200]), trace: None };
        pair.step(OTHER, Input::Publish(event.clone()));
    }
    pair.report("receive an event");
    for room in rooms {
        let event = RoomEvent { room: room.clone(), payload: Bytes::from_static(&[0; 200]), trace: None };
        pair.step(MEASURED, Input::Publish(event));
    }
    pair.report("publish an event");
}

/// Fills one room on the other node with as many members as a setting allows, and then serves it.
fn fill(pair: &mut Pair) -> Result<(), String> {
    let room = Room::new("shop", "presence-full").map_err(|error| error.to_string())?;
    for user in 0..100_000 {
        let member = Member { user: user.to_string().into(), info: "{}".into(), since: 1, sockets: 1 };
        pair.step(OTHER, Input::Fact(Fact::Member { room: room.clone(), member }));
    }
    pair.pass(1_000);
    pair.times.clear();
    pair.step(MEASURED, Input::Serve(room));
    Ok(())
}

/// Lists all rooms page by page, as `GET /channels` does.
fn list(pair: &mut Pair, count: usize) {
    let (mut after, mut listed) = (None, 0);
    loop {
        let begin = ThreadTime::now();
        let core = &pair.nodes[MEASURED];
        let rooms = core.rooms_after("shop", "room-", after.as_deref()).take(1024);
        let page: Vec<(Arc<str>, u64, usize)> =
            rooms.map(|(room, sockets)| (room.channel().clone(), sockets, core.population(room))).collect();
        pair.times.push(begin.elapsed());
        listed += page.len();
        after = page.last().map(|(channel, ..)| channel.clone());
        if page.len() < 1024 {
            assert_eq!(listed, count, "every room is listed once");
            return;
        }
    }
}

impl Pair {
    fn new() -> Self {
        let core = |bits| Core::new(Settings::new(NodeId::from_bits(bits), "1.0.0", 2));
        let mut pair = Self {
            now: Duration::ZERO,
            nodes: [core(1), core(2)],
            way: VecDeque::new(),
            times: Vec::new(),
            longest: Duration::ZERO,
        };
        pair.step(MEASURED, Input::Connected);
        pair.step(OTHER, Input::Connected);
        pair
    }

    fn step(&mut self, slot: usize, input: Input) {
        self.one_step(slot, input);
        while let Some((subject, bytes)) = self.way.pop_front() {
            for to in [MEASURED, OTHER] {
                let is_for = !matches!(subject, Subject::Node(node) if node.bits() != to as u64 + 1);
                if is_for {
                    self.one_step(to, Input::Received { subject: subject.clone(), bytes: bytes.clone() });
                }
            }
        }
    }

    fn one_step(&mut self, slot: usize, input: Input) {
        let moment = Moment { up: self.now, wall: self.now };
        let begin = ThreadTime::now();
        let outputs = self.nodes[slot].step(input, moment);
        if slot == MEASURED {
            self.times.push(begin.elapsed());
        }
        for output in outputs {
            match output {
                Output::Publish(subject, bytes) => self.way.push_back((subject, bytes)),
                Output::Post(generation) => self.one_step(slot, Input::Posted(generation)),
                Output::Subscribe(_)
                | Output::Unsubscribe(_)
                | Output::Serving(_)
                | Output::Remote(_)
                | Output::Deliver(..)
                | Output::Store(..)
                | Output::Mark(_)
                | Output::ReadStored(..)
                | Output::Cached(..)
                | Output::CacheRepaired(..)
                | Output::CacheEvicted(..)
                | Output::Published(_)
                | Output::PageTaken(_)
                | Output::Asked { .. }
                | Output::Answered { .. }
                | Output::Acknowledged(_)
                | Output::Lost { .. } => {}
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now += Duration::from_millis(50);
            self.step(MEASURED, Input::Tick(Inbound::Drained));
            self.step(OTHER, Input::Tick(Inbound::Drained));
            self.continue_work();
        }
    }

    /// Does what was too much for one step, as the bus's loop does while nothing else happens.
    fn continue_work(&mut self) {
        while let Some(slot) = [MEASURED, OTHER].into_iter().find(|slot| self.nodes[*slot].is_behind()) {
            self.step(slot, Input::Continue);
        }
    }

    /// Time passes, and the other node is silent.
    fn pass_alone(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now += Duration::from_millis(50);
            self.one_step(MEASURED, Input::Tick(Inbound::Drained));
            while self.nodes[MEASURED].is_behind() {
                self.one_step(MEASURED, Input::Continue);
            }
            self.way.clear();
        }
    }

    fn report(&mut self, what: &str) {
        self.times.sort_unstable();
        self.longest = self.longest.max(self.times.last().copied().unwrap_or_default());
        let at =
            |part: usize| self.times[(self.times.len() * part / 100).min(self.times.len() - 1)].as_secs_f64() * 1e6;
        println!("{what:55} {:10.1} {:10.1} {:10.1}", at(50), at(99), at(100));
        self.times.clear();
    }
}
