//! One run: nodes with their rooms, clients, and everything that goes wrong for a minute; then eighty seconds to heal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use gaung::{
    app::App,
    config::{AppSettings, HistoryRules},
    event::Moment,
    protocol::ChannelName,
    room::RoomMessage,
};
use gaung_cluster::{
    NodeId, Room,
    core::{Input, Settings},
    detector::Inbound,
    frame::Readiness,
    ring::Retention,
};
use gaung_simulator::{EPOCH, Network, Phase, Promises, meets};

use crate::{
    client::{Client, Speaker},
    drain::Drain,
    node::Node,
    sessions::Session,
    stream::EventStream,
    tally::Tally,
    truth::Owed,
};

pub const TROUBLE: u64 = 60_000;
/// When back ends publish once more to every channel: all who are subscribed then hear it.
const LAST_EVENTS: u64 = 125_000;
/// When clients join cache channels to see what they are shown.
const LAST_JOINS: u64 = 130_000;
/// When all of them were answered.
const LAST_SHOWN: u64 = 132_000;
/// What follows a gap of one who died at the end of the trouble is held back for a minute; then all have to learn of it.
const END: u64 = 140_000;
/// Where nodes leave: when those are back who were away for minutes.
const LAST_AWAKE: u64 = 210_000;
const APP: &str = "shop";
/// A ring that reaches back for as long as the trouble lasts.
const MINUTE: Retention = Retention { age: Duration::from_secs(60), bytes: 16 << 20, frames: usize::MAX };
/// In the end they come to every cache channel on every node.
pub const CACHE_CHANNELS: [&str; 2] = ["cache-0", "cache-1"];
/// Channels that keep a history, for shorter than some clients are away.
const HISTORY: &str = "history-*=10s:20,private-history-*=10s:20";
pub const CHANNELS: [&str; 9] = [
    "orders-0",
    "orders-1",
    "private-0",
    "presence-0",
    "presence-1",
    CACHE_CHANNELS[0],
    CACHE_CHANNELS[1],
    "history-0",
    "private-history-0",
];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Everything.
    All,
    /// The bus loses and duplicates a little, and one node after the other leaves.
    Leaving,
}

pub struct World {
    pub net: Network<Node>,
    pub app: Arc<App>,
    pub clients: Vec<Client>,
    /// The sessions of pages, by the numbers of their visits.
    pub sessions: BTreeMap<u64, Session>,
    /// The node that has handed over the page that begins.
    pub handed_by: Option<NodeId>,
    /// What pages must have heard by some time.
    pub owed: Vec<Owed>,
    /// The nodes that leave, by slot.
    pub drains: Vec<Option<Drain>>,
    pub promises: Promises<Speaker>,
    /// When events of cache channels were published, and by which node.
    pub cached: Vec<(Room, u64, NodeId)>,
    /// Who has lost whose events, by receiver, publisher and room.
    pub losses: BTreeSet<(NodeId, NodeId, Room)>,
    /// What keeps events behind the nodes' memory, in every second world.
    pub stream: Option<EventStream>,
    pub faults: Vec<String>,
    pub tally: Tally,
    pub trouble: Trouble,
    /// How many events each has published in each channel.
    pub numbers: BTreeMap<(Speaker, ChannelName), u64>,
    /// How many sockets there were so far.
    pub sockets: u64,
    start: Instant,
}

/// Runs a seed to its end; returns what happened, or what was wrong.
pub fn run(seed: u64, trouble: Trouble) -> Result<Tally, Vec<String>> {
    let mut world = World::new(seed, trouble);
    let end = if trouble == Trouble::Leaving { LAST_AWAKE } else { END };
    while world.net.now < end && world.faults.is_empty() {
        world.pass();
    }
    if world.faults.is_empty() {
        world.judge();
    }
    world.tally.sockets = world.sockets;
    if world.faults.is_empty() { Ok(world.tally) } else { Err(world.faults) }
}

pub fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).expect("a plain name is a channel's")
}

pub fn room(channel: &ChannelName) -> Room {
    Room::new(APP, channel.as_str()).expect("a channel is a room")
}

impl World {
    fn new(seed: u64, trouble: Trouble) -> Self {
        let net = Network::new(seed, if trouble == Trouble::Leaving { 201 } else { 601 });
        let settings = AppSettings {
            subscription_counts: true,
            history: HistoryRules::parse(HISTORY).expect("the rules are valid"),
            // In every third world cached events end before the next one comes.
            cache_ttl: Duration::from_secs(if seed % 3 == 2 { 4 } else { 600 }),
            ..AppSettings::new("key", "secret")
        };
        let drains = net.slots.iter().map(|_| None).collect();
        let mut world = Self {
            net,
            app: App::new(APP, settings),
            clients: Vec::new(),
            sessions: BTreeMap::new(),
            owed: Vec::new(),
            handed_by: None,
            drains,
            promises: Promises::default(),
            cached: Vec::new(),
            losses: BTreeSet::new(),
            stream: seed.is_multiple_of(2).then(|| EventStream::new(seed)),
            faults: Vec::new(),
            tally: Tally::default(),
            trouble,
            numbers: BTreeMap::new(),
            sockets: 0,
            start: Instant::now(),
        };
        world.invite_clients();
        world
    }

    /// One millisecond.
    fn pass(&mut self) {
        self.net.now += 1;
        match self.net.now {
            TROUBLE => self.net.heal(),
            LAST_EVENTS => self.publish_everywhere(),
            LAST_JOINS => self.look_at_caches(),
            LAST_SHOWN => self.judge_caches(),
            now if now < TROUBLE => self.suffer(),
            _ => {}
        }
        while let Some((slot, input)) = self.net.arrived() {
            self.step(slot, input);
        }
        for slot in 0..self.net.slots.len() {
            self.live(slot);
        }
        self.live_pages();
        self.connect_clients();
        self.hold_to_truth();
        self.live_quietly();
    }

    fn live(&mut self, slot: usize) {
        match self.net.phase(slot) {
            Phase::Stopped | Phase::Empty => return,
            Phase::Starts => self.start(slot),
            Phase::Reconnects => self.step(slot, Input::Connected),
            Phase::Runs => {}
        }
        self.continue_draining(slot);
        if self.net.ticks(slot) {
            self.step(slot, Input::Tick(Inbound::Drained));
        }
        if self.net.continues(slot) {
            self.step(slot, Input::Continue);
        }
        self.run_rooms(slot);
        self.live_sessions(slot);
        self.live_searches(slot);
        self.tell_core(slot);
        self.store_some(slot);
        self.read_some(slot);
        if self.net.now < TROUBLE && self.net.random.chance(200) {
            self.act(slot);
        }
    }

    fn start(&mut self, slot: usize) {
        let now = self.moment().0;
        let settings = Settings {
            retention: MINUTE,
            page: 200,
            stores_events: self.stream.is_some(),
            ..Settings::new(NodeId::from_bits(self.net.random.bits()), "1.0.0", self.net.slots.len())
        };
        self.net.slots[slot].process = Some(Node::new(settings, now, self.net.moment().up));
        if !self.net.is_away(slot) {
            self.step(slot, Input::Connected);
        }
    }

    /// Gives a core an input, and does what it wants.
    pub fn step(&mut self, slot: usize, input: Input) {
        let mut moment = self.net.moment();
        let Some(node) = &mut self.net.slots[slot].process else { return };
        // A process counts the time since its own start.
        moment.up -= node.started;
        for output in node.core.step(input, moment) {
            self.carry_out(slot, output);
        }
    }

    /// An event of `origin`, who is at a slot, was accepted: all others who are subscribed will hear it, as far as the nodes
    /// are part of one cluster.
    pub fn promise(&mut self, slot: usize, origin: Speaker, channel: &ChannelName, number: u64) {
        let is_ready = self.process(slot).is_some_and(|node| node.core.readiness() == Readiness::Ready);
        for client in self.clients.iter().filter(|client| client.page.is_none() && client.is_in(channel)) {
            let Some(socket) = client.socket.as_ref().filter(|socket| socket.speaker != origin) else { continue };
            let meets = |node: &Node| is_ready && meets(&node.core, origin.node);
            if socket.slot == slot || self.process(socket.slot).is_some_and(meets) {
                self.promises.promise(socket.speaker, origin, &room(channel), number);
                self.tally.promised += 1;
            }
        }
    }

    /// The number of the next event of `origin` in a channel.
    pub fn next_number(&mut self, origin: Speaker, channel: &ChannelName) -> u64 {
        let number = self.numbers.entry((origin, channel.clone())).or_default();
        *number += 1;
        *number
    }

    /// Something is for a room of a slot.
    pub fn tell(&mut self, slot: usize, channel: &ChannelName, message: RoomMessage) {
        if let Some(node) = self.process_mut(slot) {
            node.tell(channel, message);
        }
    }

    pub fn process(&self, slot: usize) -> Option<&Node> {
        self.net.slots[slot].process.as_ref()
    }

    pub fn process_mut(&mut self, slot: usize) -> Option<&mut Node> {
        self.net.slots[slot].process.as_mut()
    }

    /// The time on both clocks of a room.
    pub fn moment(&self) -> Moment {
        let now = self.net.now;
        (self.start + Duration::from_millis(now), Duration::from_millis(EPOCH + now))
    }
}
