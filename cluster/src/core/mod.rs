//! One node of the cluster as a state machine: `step(input, now) → outputs`. It knows no socket, no clock, no
//! randomness and no log; its driver passes inputs in and carries outputs out, in order.
//!
//! Files: `input` and `output` are what goes in and out; `own` is what this node's rooms and sessions publish,
//! `served_rooms` the rooms whose events they want, `questions` what they ask single nodes, `deliveries` how long events take, `claims` the pages that they have, `receive` what comes from the bus, `streams` what of it is numbered, `peer_table` who is known,
//! `peers` what passing time asks for, `transitions` the webhooks, `query` what can be asked.

mod claims;
mod deliveries;
mod input;
mod output;
mod own;
mod peer_table;
mod peers;
mod query;
mod questions;
mod receive;
mod served_rooms;
mod streams;
mod transitions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    announcements::Announcements,
    cache::Cache,
    claims::Claims,
    coalescer::Coalescer,
    counters::Counters,
    detector::Detector,
    fact::FactKey,
    frame::{MAX_VERSION, Numbered, Numbering, Readiness, Stream, Unnumbered},
    outgoing::{Outgoing, OutgoingFrame},
    page::PageHash,
    peer::{Peer, Stage},
    room::{NodeId, Room},
    sequencer::Sequencer,
    subject::Subject,
    view::{Difference, View},
};

use peer_table::ForgottenPeers;

pub use input::{Bounds, Input, Moment, PAGE, Settings};
pub use output::{Output, PeerStatus};
pub use query::Published;

#[derive(Debug)]
pub struct Core {
    settings: Settings,
    now: Moment,
    /// For how long the present input has waited.
    waited: Duration,
    /// When this node was last stopped, and for how long.
    stopped: Option<(Duration, Duration)>,
    outgoing: Outgoing,
    view: View,
    cache: Cache,
    announcements: Announcements,
    claims: Claims,
    /// The pages whose claims changed here since they were last published.
    unsaid: BTreeSet<PageHash>,
    detector: Detector,
    peers: BTreeMap<NodeId, Peer>,
    forgotten: ForgottenPeers,
    /// The sequencers of forgotten peers, which are dropped a few streams at a time.
    retired: Vec<Sequencer>,
    /// The peers of which more was received than is taken in one step.
    behind: BTreeSet<NodeId>,
    rooms: BTreeMap<Room, ServedRoom>,
    /// The streams of these rooms.
    streams: BTreeMap<Stream, Room>,
    /// The rooms that are no longer wanted, each once, by when they end.
    lingering: BTreeSet<(Duration, Room)>,
    /// The rooms that are about to be served, each with the last member that was reported.
    opening: BTreeMap<Room, Arc<str>>,
    coalescer: Coalescer,
    beats: u64,
    /// The last number of ours that was announced to all peers.
    announced: u64,
    next_beat: Duration,
    next_sweep: Duration,
    /// When it is marked next how far everything was put out that is to be stored.
    next_mark: Duration,
    echo: Option<Duration>,
    round_trip: Option<Duration>,
    barriers: BTreeMap<u64, (Room, Duration)>,
    last_barrier: u64,
    webhooks: BTreeSet<Arc<str>>,
    /// How far all occupancies were compared since other apps want webhooks, while that is under way.
    comparing: Option<Option<FactKey>>,
    readiness: Readiness,
    hold: Duration,
    counters: Counters,
    outputs: Vec<Output>,
}

/// A room whose events are wanted here.
#[derive(Debug)]
struct ServedRoom {
    /// The barrier whose return is awaited.
    barrier: Option<u64>,
    /// When to unsubscribe, once the events are no longer wanted.
    ends: Option<Duration>,
}

impl Core {
    /// A node that knows only itself.
    pub fn new(settings: Settings) -> Self {
        let outgoing = Outgoing::new(settings.node, settings.retention);
        let view = View::new(settings.node, settings.facts_in_page(), settings.tenancy.clone());
        let version: String = settings.version.chars().filter(char::is_ascii_graphic).take(MAX_VERSION).collect();
        let cache = Cache::new(settings.bounds.cache);
        let claims = Claims::new(settings.facts_in_page());
        Self {
            settings: Settings { version: version.into(), ..settings },
            now: Moment::default(),
            waited: Duration::ZERO,
            stopped: None,
            outgoing,
            view,
            cache,
            announcements: Announcements::default(),
            claims,
            unsaid: BTreeSet::new(),
            detector: Detector::default(),
            peers: BTreeMap::new(),
            forgotten: ForgottenPeers::default(),
            retired: Vec::new(),
            behind: BTreeSet::new(),
            rooms: BTreeMap::new(),
            streams: BTreeMap::new(),
            lingering: BTreeSet::new(),
            opening: BTreeMap::new(),
            coalescer: Coalescer::default(),
            beats: 0,
            announced: 0,
            next_beat: Duration::ZERO,
            next_sweep: Duration::ZERO,
            next_mark: Duration::ZERO,
            echo: None,
            round_trip: None,
            barriers: BTreeMap::new(),
            last_barrier: 0,
            webhooks: BTreeSet::new(),
            comparing: None,
            readiness: Readiness::Learning,
            hold: Duration::ZERO,
            counters: Counters::default(),
            outputs: Vec::new(),
        }
    }

    /// Takes one input; returns what is to be done, in order.
    pub fn step(&mut self, input: Input, now: Moment) -> Vec<Output> {
        self.note_time(now);
        match input {
            Input::Fact(fact) => self.take_own_fact(fact),
            Input::Publish(event) => _ = self.publish_event(event),
            Input::PublishNumbered(event) => self.publish_and_deliver(event),
            Input::Cache { room, event, trace } => self.publish_cached(room, event, trace),
            Input::Published(publication) => self.announce_publication(publication),
            Input::Serve(room) => self.serve(room),
            Input::Leave(room) => self.leave(&room),
            Input::Received { subject, bytes } => self.receive(&subject, bytes),
            Input::Stored(bytes) => self.receive_stored(bytes),
            Input::Connected => self.connect(),
            Input::Disconnected => self.disconnect(),
            Input::ExpectNodes(count) => self.settings.expected_nodes = count,
            Input::Webhooks(apps) => self.set_webhooks(apps),
            Input::Posted(generation) => self.finish_post(&generation),
            Input::Ask { to, number, question } => self.ask_peer(to, number, question),
            Input::Answer { to, number, answer } => self.answer_peer(to, number, answer),
            Input::Acknowledge { to, number, held } => self.acknowledge(to, number, held),
            Input::Page(page, change) => self.change_page(page, change),
            Input::Bye { hold } => self.send_bye(hold),
            Input::Confirm => self.beat(),
            Input::Continue => self.continue_work(),
            Input::Tick(inbound) => self.tick(inbound),
        }
        self.waited = Duration::ZERO;
        std::mem::take(&mut self.outputs)
    }

    fn is_connected(&self) -> bool {
        self.detector.connected_since().is_some()
    }

    fn wall(&self) -> u64 {
        u64::try_from(self.now.wall.as_micros()).unwrap_or(u64::MAX)
    }

    /// Sends a frame without a number, to one node or to all; nothing while disconnected.
    fn send(&mut self, subject: Subject, body: Unnumbered) {
        if self.is_connected() {
            let bytes = self.outgoing.unnumbered(body);
            self.publish((subject, bytes));
        }
    }

    /// Publishes a frame under the next number of a stream.
    fn publish_numbered(&mut self, stream: Stream, subject: Subject, content: Numbered) -> Numbering {
        let (numbering, frame) = self.outgoing.publish(stream, subject, content, self.now.up);
        self.outgoing.note_wait(self.waited);
        frame.into_iter().for_each(|frame| self.publish(frame));
        numbering
    }

    fn publish(&mut self, (subject, bytes): OutgoingFrame) {
        self.counters.bytes_out += bytes.len() as u64;
        self.outputs.push(Output::Publish(subject, bytes));
    }

    fn report(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            match difference {
                Difference::Occupied(occupancy) | Difference::Vacated(occupancy) => self.compare(&occupancy),
                Difference::Remote(remote) => {
                    if remote.room().is_none_or(|room| self.rooms.contains_key(room)) {
                        self.outputs.push(Output::Remote(remote));
                    }
                }
            }
        }
    }

    /// Cached events had to go for newer ones.
    fn evict(&mut self, evicted: Vec<(Room, u64)>) {
        self.counters.cache_evicted += evicted.len() as u64;
        for (room, at) in evicted {
            if self.rooms.contains_key(&room) {
                self.outputs.push(Output::CacheEvicted(room, at));
            }
        }
    }

    /// Whether this node knows no peer and expects none.
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
