//! One run of a node: its core, its rooms, and what waits for their thread.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use gaung::{
    app::App,
    cluster::Cluster,
    config::ClusterConfig,
    protocol::ChannelName,
    room::{
        Histories, RoomMessage,
        backlog::{Backlog, Limits},
        state::{Clock, Effect, Reach, RoomInput, RoomState, Surroundings, Task},
    },
    tenant::TenantChannels,
};
use gaung_cluster::{
    NodeId, Room, Subjects,
    bus::{self, Auth, Bus, BusTls},
    core::{Core, Settings},
};
use gaung_simulator::Process;

use crate::{
    client::Speaker,
    inquiries::{Answering, Asked},
    registry::Registry,
    stream::Unstored,
};

/// Bytes that a room writes to one subscriber at once: little, so that a burst takes several batches.
const BATCH_BYTES: usize = 2_000;

/// More than all histories need.
const HISTORY_BYTES: usize = 1 << 30;

/// A node.
pub struct Node {
    pub id: NodeId,
    /// When its process was started.
    pub started: Duration,
    pub core: Core,
    /// The rooms whose subjects it listens to.
    pub subscribed: BTreeSet<Room>,
    /// What its rooms tell the core, as in the product.
    pub cluster: Cluster,
    /// What they have told it, and it has not heard yet.
    pub bus: Bus,
    pub backlog: Arc<Backlog>,
    /// The last event of each publisher that came to it, by channel.
    pub delivered: BTreeMap<(ChannelName, Speaker), u64>,
    /// The pages that it knows.
    pub pages: Registry,
    pub rooms: BTreeMap<ChannelName, Served>,
    /// What their histories share.
    histories: Histories,
    /// What waits for the shard.
    pub mailbox: VecDeque<Mail>,
    /// Turns that rooms have asked for.
    pub turns: Vec<(Place, Task)>,
    /// Clocks that ring then, in the order in which they were set.
    clocks: BTreeMap<(u64, u64), (Place, Clock)>,
    /// What rooms have asked other nodes.
    pub asked: Vec<Asked>,
    /// What it has still to store in the stream.
    pub unstored: Unstored,
    /// How many rooms, clocks and questions there were so far.
    begun: Cell<u64>,
}

/// A room that is there.
pub struct Served {
    state: RoomState,
    number: u64,
}

/// A room, and not the one that had its name before.
#[derive(Clone)]
pub struct Place {
    pub channel: ChannelName,
    number: u64,
}

/// What waits for the shard.
pub enum Mail {
    /// Something for a room.
    Message(ChannelName, Box<RoomMessage>),
    /// A room has nothing left to keep.
    Retire(ChannelName),
    /// Another node asks for what a room keeps.
    Answer(Answering),
}

impl Process for Node {
    fn id(&self) -> NodeId {
        self.id
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn listens(&self, room: &Room) -> bool {
        self.subscribed.contains(room)
    }
}

impl Node {
    pub fn new(settings: Settings, now: Instant, started: Duration) -> Self {
        let (cluster, bus) = Cluster::open(&config(&settings), settings.node.bits()).expect("the address is valid");
        Self {
            id: settings.node,
            started,
            subscribed: BTreeSet::new(),
            cluster,
            bus,
            backlog: Backlog::new(Limits { events: 100_000, bytes: 1 << 30 }),
            delivered: BTreeMap::new(),
            pages: Registry::new(now),
            rooms: BTreeMap::new(),
            histories: histories(&settings),
            core: Core::new(settings),
            mailbox: VecDeque::new(),
            turns: Vec::new(),
            clocks: BTreeMap::new(),
            asked: Vec::new(),
            unstored: Unstored::default(),
            begun: Cell::new(0),
        }
    }

    /// Tells a room something.
    pub fn tell(&mut self, channel: &ChannelName, message: RoomMessage) {
        self.mailbox.push_back(Mail::Message(channel.clone(), Box::new(message)));
    }

    /// Begins a room, which asks the cluster for its events.
    pub fn open(&mut self, app: &App, channel: &ChannelName) {
        let number = self.number();
        let state = RoomState::new(channel.clone(), Reach::Cluster, BATCH_BYTES, self.histories.clone());
        self.rooms.insert(channel.clone(), Served { state, number });
        self.cluster.serve(app.id(), channel.as_str());
    }

    /// Ends a room, if it still has nothing to keep.
    pub fn retire(&mut self, app: &App, channel: &ChannelName) {
        if self.room(channel).is_some_and(RoomState::is_idle) {
            self.rooms.remove(channel);
            self.cluster.leave(app.id(), channel.as_str());
        }
    }

    pub fn room(&self, channel: &ChannelName) -> Option<&RoomState> {
        self.rooms.get(channel).map(|served| &served.state)
    }

    /// The room that has a name now.
    pub fn place(&self, channel: &ChannelName) -> Option<Place> {
        self.rooms.get(channel).map(|served| Place { channel: channel.clone(), number: served.number })
    }

    /// A room, if it is not gone.
    pub fn state(&mut self, place: &Place) -> Option<&mut RoomState> {
        self.rooms
            .get_mut(&place.channel)
            .filter(|served| served.number == place.number)
            .map(|served| &mut served.state)
    }

    /// Gives a room an input, if it is not gone; returns what it wants done.
    pub fn step(&mut self, place: &Place, input: RoomInput, around: &Surroundings) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(state) = self.state(place) else { return effects };
        state.step(input, around, &mut effects);
        if state.is_idle() {
            self.mailbox.push_back(Mail::Retire(place.channel.clone()));
        }
        effects
    }

    /// A clock of a room rings at a time, in milliseconds.
    pub fn wake_at(&mut self, at: u64, place: Place, clock: Clock) {
        let number = self.number();
        self.clocks.insert((at, number), (place, clock));
    }

    /// A number that was not used before.
    pub fn number(&self) -> u64 {
        self.begun.set(self.begun.get() + 1);
        self.begun.get()
    }

    /// The next clock that rings by now.
    pub fn rung(&mut self, now: u64) -> Option<(Place, Clock)> {
        let first = self.clocks.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Whether nothing waits for its rooms.
    pub fn is_quiet(&self) -> bool {
        self.mailbox.is_empty()
            && self.turns.is_empty()
            && self.asked.is_empty()
            && self.backlog.waiting() == 0
            && self.pages.is_quiet()
    }
}

fn histories(settings: &Settings) -> Histories {
    let histories = Histories::new(settings.node.bits(), HISTORY_BYTES);
    if settings.stores_events { histories.with_stream() } else { histories }
}

/// A bus that is never run: what links send is taken out by the simulation.
fn config(settings: &Settings) -> ClusterConfig {
    ClusterConfig {
        name: "gaung".to_owned(),
        servers: vec!["nats://127.0.0.1:4222".to_owned()],
        auth: Auth::None,
        tls: BusTls::default(),
        subjects: Subjects::new("gaung", "gaung").expect("the names are valid"),
        expected_nodes: settings.expected_nodes,
        nodes_file: None,
        retention: settings.retention,
        cache: settings.bounds.cache,
        queued: bus::Limits { events: 100_000, bytes: 1 << 30 },
        webhook_stream: None,
        webhook_stream_replicas: 1,
        rebalance: None,
        history_stream: None,
        tenant_channels: TenantChannels::default(),
    }
}
