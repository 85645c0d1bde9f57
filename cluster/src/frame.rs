//! The messages between nodes as values. `codec` gives them their bytes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    fact::{Fact, FactKey, Keyed, Record, RecordKey},
    hash::hash_texts,
    page::{LostClaim, PageClaim, PageHash},
    room::{NodeId, Room},
    trace::TraceContext,
};

/// Characters of a publication's key at most.
pub const MAX_KEY: usize = 128;

/// Characters of a release's version at most.
pub const MAX_VERSION: usize = 32;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub origin: NodeId,
    /// The frame's number; on an unnumbered frame, the last number that its origin used.
    pub number: u64,
    pub body: Body,
}

/// The content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Has the origin's next number, and names its predecessor in the same stream (0 for the first), so that a node which
    /// follows only some streams still sees every gap in those.
    Numbered { predecessor: u64, content: Numbered },
    /// Has no number of its own: if it is lost, a later one says the same or is requested.
    Unnumbered(Unnumbered),
}

/// What belongs to a stream and is released in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Numbered {
    /// Statements about the origin's own sockets. In the state stream.
    Facts(Vec<Fact>),
    /// State that belongs to no node, and its trace. In the state stream.
    Records(Vec<Record>, Option<TraceContext>),
    /// An event. In its room's stream.
    Event(RoomEvent),
    /// Events were published under a key. In the state stream.
    Published(Publication),
    /// Statements about the pages that the origin has. In the state stream.
    Claims(Vec<PageClaim>),
    /// A kind that only a later release knows.
    Unknown { kind: u8, stream: Stream },
}

/// What nodes tell and ask one another beside their streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unnumbered {
    /// A heartbeat, with what the receiver should know by now.
    Beat(Beat),
    /// The origin is leaving; its facts are to be kept for `hold` after its last heartbeat.
    Bye { hold: Duration },
    /// The last numbers of streams.
    Heads(Vec<Head>),
    /// Requests the last numbers of all streams.
    AskHeads,
    /// Requests a resend: of every gap the frames after `after`, up to `through`.
    AskResend(Vec<Gap>),
    /// Of what was requested, this part can no longer be resent.
    Gone {
        gap: Gap,
        /// The events in it that are still counted; `None` from a node that does not count them.
        events: Option<u64>,
    },
    /// Ends an answer: of what was requested, this did not fit and is to be requested again.
    Unsent(Vec<Gap>),
    /// Requests the next page of all facts.
    AskSnapshot {
        /// The last key of the page before; `None` asks for the first page.
        after: Option<FactKey>,
    },
    /// A page of all facts of the origin.
    Snapshot(SnapshotPage<Fact>),
    /// Requests the next page of all records that the receiver knows.
    AskRecords {
        /// The last key of the page before; `None` asks for the first page.
        after: Option<RecordKey>,
    },
    /// A page of all records that the origin knows.
    RecordPage(RecordPage),
    /// Requests the next page of all claims.
    AskClaims {
        /// The last key of the page before; `None` asks for the first page.
        after: Option<PageHash>,
    },
    /// A page of all claims of the origin.
    Claims(SnapshotPage<PageClaim>),
    /// Requests the next claims of dead nodes that the receiver knows.
    AskLostClaims {
        /// The last of those before; `None` asks for the first.
        after: Option<(NodeId, PageHash)>,
    },
    /// Claims of dead nodes that the origin knows.
    LostClaims(LostClaimsPage),
    /// To oneself: once it is back, the bus has done everything that was asked of it before.
    Barrier { token: u64 },
    /// A question that only the receiver can answer, in a form that the core does not read. May be lost.
    Question { number: u64, question: Bytes },
    /// The answer to the receiver's question of this number; empty if there is nothing to say. May be lost.
    Answer { number: u64, answer: Bytes },
    /// The receiver's event of this number was held here for so long, until the sockets had it. May be lost.
    Delivered { number: u64, held: Duration },
    /// A kind that only a later release knows.
    Unknown { kind: u8 },
}

/// An event for one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomEvent {
    pub room: Room,
    /// The event, in a form that only the rooms understand.
    pub payload: Bytes,
    /// The trace of the request that it comes from.
    pub trace: Option<TraceContext>,
}

/// The place of an event among those that one node publishes in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Higher than that of every earlier event of the node.
    pub number: u64,
    /// The number of the node's event before it in the room; 0 if there is none, or none that the node still knows of.
    pub predecessor: u64,
}

/// Events that were published under a key, so that a repeat of them is known on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub app: Arc<str>,
    /// The key; [`MAX_KEY`] characters at most.
    pub key: Arc<str>,
    /// A hash of what was posted.
    pub body: u128,
    /// How that was answered; not empty.
    pub answer: Bytes,
}

/// A heartbeat, once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Counts the origin's beats.
    pub count: u64,
    /// Whether the origin knows all its peers and takes part in decisions.
    pub readiness: Readiness,
    /// The last number of the origin's state stream.
    pub state: u64,
    /// The hash of the origin's facts at that number.
    pub facts: u64,
    /// The first bucket that `cached` covers.
    pub bucket: u64,
    /// The hash of the cached events which end in that bucket or later.
    pub cached: u64,
    pub generations: u64,
    /// How far the origin has followed the state streams of others.
    pub seen: Vec<(NodeId, u64)>,
    /// The release that the origin runs, for people; [`MAX_VERSION`] printable ASCII characters at most.
    pub version: Arc<str>,
    /// The minor version of frames that the origin reads; 0 from releases that do not say.
    pub minor: u8,
    /// The hash of the origin's claims, at the same number as that of its facts.
    pub claims: u64,
}

/// Whether a node takes part in decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does not know all its peers yet.
    Learning,
    /// It knows all its peers.
    Ready,
    /// It is leaving, and has sent `Bye`.
    Leaving,
}

/// The last number of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub stream: Stream,
    pub number: u64,
}

/// A part of a stream: the numbers after `after`, up to `through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub stream: Stream,
    /// The last number before the part.
    pub after: u64,
    /// The last number of the part.
    pub through: u64,
}

/// A page of all facts or claims of a node, ordered by key. Pages of one snapshot may be of different moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage<T: Keyed> {
    /// The last number of the state stream that the page covers.
    pub state: u64,
    /// The key after which the page begins.
    pub after: Option<T::Key>,
    /// What follows it.
    pub rest: Rest,
    /// All of them up to the last of these.
    pub facts: Vec<T>,
}

/// Some claims of dead nodes, ordered by node and page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostClaimsPage {
    /// The claim after which they begin.
    pub after: Option<(NodeId, PageHash)>,
    /// What follows them.
    pub rest: Rest,
    pub claims: Vec<LostClaim>,
}

/// A page of all records that a node knows, ordered by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// The key after which the page begins.
    pub after: Option<RecordKey>,
    /// What follows it.
    pub rest: Rest,
    /// All records up to the last of these.
    pub records: Vec<Record>,
}

/// What follows a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Another page. There is something on this one.
    More,
    /// Nothing.
    Nothing,
}

/// Names a stream of a node: its state, or the events of one room. Two rooms that share a hash share a stream, which
/// costs a needless resend and harms nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream(u64);

impl Stream {
    pub const STATE: Self = Self(0);

    /// The stream of a room's events.
    pub fn of(room: &Room) -> Self {
        Self(hash_texts(&[room.app(), room.channel()]).max(1))
    }

    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Body {
    /// The stream in which the frame is numbered; `None` for those that are not.
    pub fn stream(&self) -> Option<Stream> {
        match self {
            Self::Numbered { content, .. } => Some(content.stream()),
            Self::Unnumbered(_) => None,
        }
    }

    /// What the frame comes of.
    pub fn trace(&self) -> Option<TraceContext> {
        match self {
            Self::Numbered { content, .. } => content.trace(),
            Self::Unnumbered(_) => None,
        }
    }
}

impl Numbered {
    pub fn stream(&self) -> Stream {
        match self {
            Self::Facts(_) | Self::Records(..) | Self::Published(_) | Self::Claims(_) => Stream::STATE,
            Self::Event(event) => Stream::of(&event.room),
            Self::Unknown { stream, .. } => *stream,
        }
    }

    /// What it comes of.
    pub fn trace(&self) -> Option<TraceContext> {
        if let Self::Event(RoomEvent { trace, .. }) | Self::Records(_, trace) = self { *trace } else { None }
    }

    /// The body of a frame behind another one of its stream.
    pub fn after(self, predecessor: u64) -> Body {
        Body::Numbered { predecessor, content: self }
    }
}

impl From<Unnumbered> for Body {
    fn from(body: Unnumbered) -> Self {
        Self::Unnumbered(body)
    }
}

/// Whether a text may be a publication's key.
pub fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.chars().count())
}

/// Whether a text may be a release's version.
pub fn is_version(text: &str) -> bool {
    text.len() <= MAX_VERSION && text.bytes().all(|byte| byte.is_ascii_graphic())
}
