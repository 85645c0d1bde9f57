//! The state that nodes exchange. A `Fact` belongs to the node that holds the sockets and dies with it; a `Record`
//! belongs to no node and is merged by every node that receives it. Both are absolute values, so that a duplicate or a
//! late copy cannot corrupt a count.

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;

use crate::room::Room;

/// What stands under a key: of two with one key, the later replaces the other.
pub trait Keyed {
    type Key: Ord + Clone + Debug;

    fn key(&self) -> Self::Key;
}

/// One node's absolute statement about its own sockets. Zero sockets withdraw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Sockets connected to an app.
    Connections { app: Arc<str>, sockets: u32 },
    /// Sockets subscribed to a room.
    Count { room: Room, sockets: u32 },
    /// A user's sockets in a presence channel.
    Member { room: Room, member: Member },
    /// Sockets signed in as a user.
    User { app: Arc<str>, user: Arc<str>, sockets: u32 },
    /// Sockets that belong to a tenant.
    Tenant { app: Arc<str>, tenant: Arc<str>, sockets: u32 },
}

/// A user in a presence channel, as one node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The stringified user id.
    pub user: Arc<str>,
    /// `user_info` as JSON text.
    pub info: Arc<str>,
    /// When the user joined on this node, in milliseconds of the Unix epoch; the eldest `info` in the cluster is shown.
    pub since: u64,
    /// The user's sockets in this channel on this node.
    pub sockets: u32,
}

/// What a fact is about: two facts with one key replace one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKey {
    Connections(Arc<str>),
    Count(Room),
    Member(Room, Arc<str>),
    User(Arc<str>, Arc<str>),
    Tenant(Arc<str>, Arc<str>),
}

/// State that outlives the node that published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The last event of a cache channel.
    Cached {
        room: Room,
        /// The event; the newest wins.
        event: CachedEvent,
    },
    /// A webhook's generation; the highest wins.
    Generation(Generation),
    /// No occupancy whose hash falls into `slot` may use a generation up to `number` again.
    Floor {
        /// Which part of all occupancies.
        slot: u16,
        /// The highest generation that was forgotten there.
        number: u64,
    },
}

/// The key of a record, by which records are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    Cached(Room),
    /// An occupancy's generation.
    Generation(Occupancy),
    /// A slot's floor.
    Floor(u16),
}

/// The last event of a cache channel. Ordered by age, ties broken by content, so that all nodes keep the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CachedEvent {
    /// When it was published, in microseconds of the Unix epoch: two that one back end posts one after the other to two
    /// nodes are told apart.
    pub at: u64,
    /// How long it is kept from then, in microseconds.
    pub ttl: u64,
    /// The event, in a form that only the rooms understand.
    pub payload: Bytes,
}

/// What webhooks report as occupied and vacated, or added and removed: a room, or a member in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occupancy {
    pub room: Room,
    /// The member; `None` for the room itself.
    pub user: Option<Arc<str>>,
}

/// The latest transition of an occupancy, and the state of its webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub occupancy: Occupancy,
    /// Odd: occupied or added. Even: vacated or removed.
    pub number: u64,
    pub phase: Phase,
}

/// The life of a generation; later phases win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A node is about to post it.
    Announced,
    /// It was posted.
    Done,
    /// Posted long ago, without a transition since: it may be forgotten.
    Retired,
}

impl Occupancy {
    /// The occupancy that facts with this key are about, if they are about one.
    pub fn of(key: FactKey) -> Option<Self> {
        match key {
            FactKey::Count(room) => Some(Self { room, user: None }),
            FactKey::Member(room, user) => Some(Self { room, user: Some(user) }),
            FactKey::Connections(_) | FactKey::User(..) | FactKey::Tenant(..) => None,
        }
    }
}

impl Member {
    /// Of a user who is on several nodes, the member with the least seniority key is shown: the first to join, and
    /// among equals the same one on every node.
    pub fn seniority(&self) -> (u64, &str) {
        (self.since, &self.info)
    }
}

impl Keyed for Fact {
    type Key = FactKey;

    fn key(&self) -> FactKey {
        Fact::key(self)
    }
}

impl Fact {
    /// What the fact is about.
    pub fn key(&self) -> FactKey {
        match self {
            Self::Connections { app, .. } => FactKey::Connections(app.clone()),
            Self::Count { room, .. } => FactKey::Count(room.clone()),
            Self::Member { room, member } => FactKey::Member(room.clone(), member.user.clone()),
            Self::User { app, user, .. } => FactKey::User(app.clone(), user.clone()),
            Self::Tenant { app, tenant, .. } => FactKey::Tenant(app.clone(), tenant.clone()),
        }
    }

    pub fn sockets(&self) -> u32 {
        match self {
            Self::Connections { sockets, .. }
            | Self::Count { sockets, .. }
            | Self::User { sockets, .. }
            | Self::Tenant { sockets, .. } => *sockets,
            Self::Member { member, .. } => member.sockets,
        }
    }

    /// The withdrawn statement.
    pub fn withdrawn(&self) -> Self {
        let mut fact = self.clone();
        match &mut fact {
            Self::Connections { sockets, .. }
            | Self::Count { sockets, .. }
            | Self::User { sockets, .. }
            | Self::Tenant { sockets, .. } => {
                *sockets = 0;
            }
            Self::Member { member, .. } => member.sockets = 0,
        }
        fact
    }
}

impl Record {
    /// Where it stands.
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Cached { room, .. } => RecordKey::Cached(room.clone()),
            Self::Generation(generation) => RecordKey::Generation(generation.occupancy.clone()),
            Self::Floor { slot, .. } => RecordKey::Floor(*slot),
        }
    }
}

impl CachedEvent {
    /// The same event, which no longer keeps the message that it came in: that may be much larger.
    pub fn detached(self) -> Self {
        Self { payload: Bytes::copy_from_slice(&self.payload), ..self }
    }

    /// When it ends, in microseconds of the Unix epoch.
    pub fn ends(&self) -> u64 {
        self.at.saturating_add(self.ttl)
    }
}
