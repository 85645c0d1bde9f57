//! One node of the cluster as a state machine: `step(input, now) → outputs`. It knows no socket, no clock, no
//! randomness and no log; whoever drives it brings inputs in and carries outputs out, in order.
//!
//! Files: `own` is what this node's rooms and sessions tell, `heard` what comes from the bus, `peers` what passing time
//! asks for, `edges` the webhooks.

mod edges;
mod heard;
mod own;
mod peers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    announcements::Announcements,
    cache::Cache,
    counters::Counters,
    detector::{Detector, Inbound},
    fact::{CachedEvent, Edge, Fact, Generation, Key, Member, Record},
    frame::{Body, Readiness, RoomEvent, Stream},
    outgoing::{Outgoing, Post},
    peer::{Peer, Stage},
    ring::Reach,
    room::{NodeId, Room},
    subject::Subject,
    view::{Difference, View},
};

/// What a node is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name, drawn at random.
    pub node: NodeId,
    /// How many nodes the cluster is meant to have. A node posts webhooks only while it sees more than half of them;
    /// where one is expected, a node posts also without a bus.
    pub expected_nodes: usize,
    /// How far back peers may ask.
    pub reach: Reach,
}

/// The time, on both clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// Since any fixed moment; never jumps.
    pub up: Duration,
    /// Since the Unix epoch; only orders and ends cached events.
    pub wall: Duration,
}

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Input {
    /// A fact about this node's own sockets is another now.
    Fact(Fact),
    /// An event was published here. This node's own sockets have it already.
    Publish(RoomEvent),
    /// The last event of a cache channel was published here.
    Cache {
        /// Where.
        room: Room,
        /// How long it is kept.
        ttl: Duration,
        /// The event, in a form that only the rooms understand.
        payload: Bytes,
    },
    /// Events of this room are wanted here.
    Serve(Room),
    /// Events of this room are not wanted any longer.
    Leave(Room),
    /// A message came from the bus.
    Heard {
        /// Where it came.
        subject: Subject,
        /// What it is.
        bytes: Bytes,
    },
    /// The bus is there, and all subscriptions with it.
    Connected,
    /// The bus is gone.
    Disconnected,
    /// The apps whose edges somebody wants to be told of; about others nothing is announced.
    Webhooks(BTreeSet<Arc<str>>),
    /// A webhook was taken over by whoever posts it.
    Posted(Generation),
    /// This node is about to go: peers are to keep its facts for so long after they last heard it.
    Bye {
        /// How long.
        hold: Duration,
    },
    /// Time passed; to be told about every 50 ms.
    Tick(Inbound),
}

/// What a node wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Publish a frame.
    Publish(Subject, Bytes),
    /// Listen to a room's subject. Those of the node and of state are listened to from the start.
    Subscribe(Room),
    /// Listen to it no more.
    Unsubscribe(Room),
    /// From now on no event of this room is missed: its first subscriber may be answered.
    Serving(Room),
    /// An event for this node's sockets.
    Deliver(NodeId, RoomEvent),
    /// The cluster's view changed.
    Changed(Difference),
    /// Post a webhook, under an id made of its edge and number; answer with [`Input::Posted`].
    Post(Generation),
    /// A part of what a peer published is lost to us.
    Lost(NodeId, Stream),
}

/// One node.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    now: Moment,
    outgoing: Outgoing,
    view: View,
    cache: Cache,
    announcements: Announcements,
    detector: Detector,
    peers: BTreeMap<NodeId, Peer>,
    rooms: BTreeMap<Room, Service>,
    pending: BTreeMap<Key, Fact>,
    flush_at: Option<Duration>,
    beats: u64,
    next_beat: Duration,
    next_sweep: Duration,
    echo: Option<Duration>,
    barriers: BTreeMap<u64, (Room, Duration)>,
    last_barrier: u64,
    next_act: Duration,
    webhooks: BTreeSet<Arc<str>>,
    readiness: Readiness,
    hold: Duration,
    counters: Counters,
    outputs: Vec<Output>,
}

/// A room whose events are wanted here.
#[derive(Debug)]
struct Service {
    /// The barrier whose return is awaited.
    barrier: Option<u64>,
    /// When to stop listening, once nobody wants the events any longer.
    ends: Option<Duration>,
}

/// One line of the list of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its name.
    pub node: NodeId,
    /// How well it is known.
    pub stage: Stage,
    /// What it says of itself.
    pub readiness: Readiness,
    /// How long ago its last beat came.
    pub age: Duration,
}

impl Core {
    /// A node that knows only itself.
    pub fn new(settings: Settings) -> Self {
        let outgoing = Outgoing::new(settings.node, settings.reach);
        let mut view = View::default();
        view.show(settings.node);
        Self {
            settings,
            now: Moment::default(),
            outgoing,
            view,
            cache: Cache::default(),
            announcements: Announcements::default(),
            detector: Detector::default(),
            peers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            pending: BTreeMap::new(),
            flush_at: None,
            beats: 0,
            next_beat: Duration::ZERO,
            next_sweep: Duration::ZERO,
            echo: None,
            barriers: BTreeMap::new(),
            last_barrier: 0,
            next_act: Duration::ZERO,
            webhooks: BTreeSet::new(),
            readiness: Readiness::Learning,
            hold: Duration::ZERO,
            counters: Counters::default(),
            outputs: Vec::new(),
        }
    }

    /// Takes one input; returns what is to be done about it, in order.
    pub fn step(&mut self, input: Input, now: Moment) -> Vec<Output> {
        self.now = now;
        match input {
            Input::Fact(fact) => self.take_own_fact(fact),
            Input::Publish(event) => self.publish_event(event),
            Input::Cache { room, ttl, payload } => self.publish_cached(&room, ttl, payload),
            Input::Serve(room) => self.serve(room),
            Input::Leave(room) => self.leave(&room),
            Input::Heard { subject, bytes } => self.hear(&subject, bytes),
            Input::Connected => self.connect(),
            Input::Disconnected => self.disconnect(),
            Input::Webhooks(apps) => self.set_webhooks(apps),
            Input::Posted(generation) => self.finish_post(&generation),
            Input::Bye { hold } => self.say_bye(hold),
            Input::Tick(inbound) => self.tick(inbound),
        }
        std::mem::take(&mut self.outputs)
    }

    /// Whether this node has heard every peer's snapshot and may take its part. Once ready it stays so until it leaves.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// The members of a presence channel, ordered by id; of each the oldest `user_info`.
    pub fn members(&self, room: &Room) -> impl Iterator<Item = &Member> {
        self.view.members(room)
    }

    /// How many distinct users are in a presence channel.
    pub fn population(&self, room: &Room) -> usize {
        self.view.population(room)
    }

    /// Subscriptions of a room.
    pub fn subscriptions(&self, room: &Room) -> u64 {
        self.view.sockets(&Key::Count(room.clone()))
    }

    /// An app's occupied rooms and their subscriptions, ordered by channel.
    pub fn rooms(&self, app: &str) -> impl Iterator<Item = (&Room, u64)> {
        self.view.rooms(app)
    }

    /// An app's connections.
    pub fn connections(&self, app: &Arc<str>) -> u64 {
        self.view.sockets(&Key::Connections(app.clone()))
    }

    /// Whether a user is signed in anywhere.
    pub fn is_online(&self, app: &Arc<str>, user: &Arc<str>) -> bool {
        self.view.sockets(&Key::User(app.clone(), user.clone())) > 0
    }

    /// The last event of a cache channel.
    pub fn cached(&self, room: &Room) -> Option<&CachedEvent> {
        self.cache.get(room, self.wall())
    }

    /// Everything that belongs to no node: cached events, and how far webhooks have come.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.cache.records().chain(self.announcements.records())
    }

    /// All peers that are known.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> {
        self.peers.iter().map(|(node, peer)| PeerStatus {
            node: *node,
            stage: peer.stage,
            readiness: peer.readiness,
            age: self.now.up.saturating_sub(peer.pulse.heard()),
        })
    }

    /// How long ago a beat of our own came back; `None` before the first.
    pub fn canary_age(&self) -> Option<Duration> {
        self.echo.map(|echo| self.now.up.saturating_sub(echo))
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn is_connected(&self) -> bool {
        self.detector.hearing_since().is_some()
    }

    fn wall(&self) -> u64 {
        u64::try_from(self.now.wall.as_millis()).unwrap_or(u64::MAX)
    }

    /// Says something to one node, or, without a number, to all; nothing while the bus is away.
    fn say(&mut self, subject: Subject, body: Body) {
        if self.is_connected() {
            let bytes = self.outgoing.unnumbered(body);
            self.post((subject, bytes));
        }
    }

    /// Says something under the next number of a stream.
    fn say_numbered(&mut self, stream: Stream, subject: Subject, body: Body) {
        let post = self.outgoing.publish(stream, subject, body, self.now.up);
        post.into_iter().for_each(|post| self.post(post));
    }

    fn post(&mut self, (subject, bytes): Post) {
        self.counters.bytes_out += bytes.len() as u64;
        self.outputs.push(Output::Publish(subject, bytes));
    }

    fn tell(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            self.compare_edge(&difference);
            self.outputs.push(Output::Changed(difference));
        }
    }

    /// Whether this node never heard of another and is not meant to.
    fn is_alone(&self) -> bool {
        !self.is_connected() && self.peers.is_empty() && self.settings.expected_nodes <= 1
    }

    /// Live peers that take part in decisions, and this node if it does.
    fn voters(&self) -> BTreeSet<NodeId> {
        let is_voter = |peer: &Peer| peer.stage == Stage::Live && peer.readiness == Readiness::Ready;
        let peers = self.peers.iter().filter(|(_, peer)| is_voter(peer)).map(|(node, _)| *node);
        let takes_part = self.readiness == Readiness::Ready || self.is_alone();
        let own = takes_part.then_some(self.settings.node);
        peers.chain(own).collect()
    }
}

/// The edge of a difference, if it has one.
fn edge_of(difference: &Difference) -> Option<Edge> {
    match difference {
        Difference::Occupied(room) | Difference::Vacated(room) => Some(Edge { room: room.clone(), user: None }),
        Difference::MemberAdded { room, user, .. } | Difference::MemberRemoved { room, user } => {
            Some(Edge { room: room.clone(), user: Some(user.clone()) })
        }
        Difference::Counted(..) | Difference::Online { .. } | Difference::Offline { .. } => None,
    }
}
