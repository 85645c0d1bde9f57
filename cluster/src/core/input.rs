//! The inputs of a node.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    detector::Inbound,
    fact::{CachedEvent, Fact, Generation},
    frame::{Publication, RoomEvent},
    newest::CacheBounds,
    page::{PageChange, PageHash},
    ring::Retention,
    room::{NodeId, Room},
    subject::Subject,
    totals::Tenancy,
    trace::TraceContext,
};

/// The settings of a node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name, drawn at random.
    pub node: NodeId,
    /// The version of this node's release, which its peers show to people. At most 32 printable ASCII
    /// characters of it are sent.
    pub version: Arc<str>,
    /// How many nodes the cluster is meant to have. A node posts webhooks only while it sees more than half of them;
    /// where one is expected, a node posts also without a bus.
    pub expected_nodes: usize,
    /// How far back peers may ask for frames again.
    pub retention: Retention,
    /// Bytes of facts or records in one frame, and of frames that are taken in one step after they had to wait,
    /// exceeded by one of them at most; usually [`PAGE`].
    pub page: usize,
    /// What this node holds and sends at most.
    pub bounds: Bounds,
    /// Whether events that are published to be numbered are put out to be stored, too, and asked for of peers that died.
    pub stores_events: bool,
    /// Whose rooms are whose.
    pub tenancy: Tenancy,
}

/// What a node holds and sends at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes held back behind the gaps of one peer. Beyond it the newest are dropped, and asked for again.
    pub held: usize,
    /// Bytes of the cached events that are kept; the same on all nodes.
    pub cache: CacheBounds,
    /// Bytes of one answer to a request for a resend, exceeded by one frame at most.
    pub answer: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { held: 8 << 20, cache: CacheBounds::default(), answer: 1 << 20 }
    }
}

impl Settings {
    /// A node with the defaults.
    pub fn new(node: NodeId, version: &str, expected_nodes: usize) -> Self {
        let (retention, bounds) = (Retention::default(), Bounds::default());
        let version = version.into();
        Self {
            node,
            version,
            expected_nodes,
            retention,
            page: PAGE,
            bounds,
            stores_events: false,
            tenancy: Tenancy::default(),
        }
    }

    /// How many usual facts fit into one frame: as many are shown, hidden or reported in one step.
    pub(crate) fn facts_in_page(&self) -> usize {
        (self.page / FACT).max(1)
    }
}

/// Bytes of a usual fact.
const FACT: usize = 32;

/// Bytes of facts or records in one frame.
pub const PAGE: usize = 16 << 10;

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
    /// A fact about this node's own sockets has changed.
    Fact(Fact),
    /// An event was published here, in a room that is no cache channel. This node's own sockets have it already.
    Publish(RoomEvent),
    /// An event was published here, in a room that is no cache channel. Where the room is served here, it is delivered
    /// here too, under the number that it has on all nodes.
    PublishNumbered(RoomEvent),
    /// An event was published here in a cache channel. This node's own sockets have it already; to the others it goes
    /// as state, and they take it for a live event as well.
    Cache {
        room: Room,
        /// The event. Its `at` is later than that of every event that the publisher knows, or the others will not keep
        /// it.
        event: CachedEvent,
        /// What it comes of.
        trace: Option<TraceContext>,
    },
    /// Events were published here under a key, which all nodes are to know.
    Published(Publication),
    /// Events of this room are wanted here.
    Serve(Room),
    /// Events of this room are not wanted any longer.
    Leave(Room),
    /// A message came from the bus.
    Received { subject: Subject, bytes: Bytes },
    /// A peer that died stored this frame; whether it came over the bus before is not known. See
    /// [`Output::ReadStored`](super::Output::ReadStored).
    Stored(Bytes),
    /// The bus is connected, with all subscriptions.
    Connected,
    /// The bus is disconnected.
    Disconnected,
    /// The cluster is meant to have so many nodes from now on.
    ExpectNodes(usize),
    /// The apps that have webhooks for occupancies; for others nothing is announced.
    Webhooks(BTreeSet<Arc<str>>),
    /// A webhook was handed over to be posted.
    Posted(Generation),
    /// Ask a node something, in a form that the core does not read; what comes back is
    /// [`Output::Answered`](super::Output::Answered). Nothing comes if either is lost on the way; where nobody can be asked, the
    /// answer is empty and comes at once. The number is the asker's, and used once.
    Ask { to: NodeId, number: u64, question: Bytes },
    /// Answer the question that a node asked under this number; empty if there is nothing to say.
    Answer { to: NodeId, number: u64, answer: Bytes },
    /// The sockets of this node have had a peer's event of this number for a moment; it was held here for so long until then.
    Acknowledge { to: NodeId, number: u64, held: Duration },
    /// Something happens to a page of this node.
    Page(PageHash, PageChange),
    /// This node is about to leave: peers are to keep its facts for `hold` after its last heartbeat.
    Bye { hold: Duration },
    /// Publish everything so far at once, and a heartbeat behind it, whose echo confirms it; see
    /// [`super::Core::confirmed`].
    Confirm,
    /// Continue what was too much for one step; useful while [`super::Core::is_behind`]. Ticks do so as well.
    Continue,
    /// Time passed; expected about every 50 ms.
    Tick(Inbound),
}
