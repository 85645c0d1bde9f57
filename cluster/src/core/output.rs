//! The outputs of a node, and the status of its peers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    fact::{CachedEvent, Generation},
    frame::{Gap, Numbering, Publication, Readiness, RoomEvent},
    page::PageHash,
    peer::Stage,
    remote::{RemoteChange, RemoteState},
    room::{NodeId, Room},
    subject::Subject,
    trace::TraceContext,
};

/// What the driver of a node is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Publish a frame.
    Publish(Subject, Bytes),
    /// Subscribe to a room's subject. Those of the node and of state are subscribed from the start.
    Subscribe(Room),
    /// Unsubscribe from it.
    Unsubscribe(Room),
    /// From now on no event of this room is missed: its first subscriber may be answered.
    Serving(RemoteState),
    /// What the other nodes hold has changed. Reported for rooms that are served here, from `Subscribe` to
    /// `Unsubscribe`, and for all users.
    Remote(RemoteChange),
    /// An event for this node's sockets: of a peer, or of this node itself if it was published to be numbered.
    Deliver(NodeId, RoomEvent, Numbering),
    /// A frame with an event of this node, under its number, that was published to be numbered: to be stored in the order
    /// in which they come.
    Store(Room, u64, Bytes),
    /// All frames up to this number that are to be stored were put out.
    Mark(u64),
    /// A peer has died, and some of what it stored in so long before now may never have come here: all of that is to be
    /// given back with [`Input::Stored`](super::Input::Stored), in the order of its numbers.
    ReadStored(NodeId, Duration),
    /// An event of a cache channel that is served here, for this node's sockets; to be kept as the room's last one if
    /// it has not ended and is greater than that which the room has, unless that has ended.
    Cached(NodeId, Room, CachedEvent, Option<TraceContext>),
    /// The last event of a cache channel that is served here is this one, which was not received when it was new: to be
    /// kept by the same rule, and not for sockets.
    CacheRepaired(Room, CachedEvent),
    /// The event of a cache channel that is served here, published at this time, was evicted by newer ones of other
    /// channels: to be dropped.
    CacheEvicted(Room, u64),
    /// Events were published under a key on another node.
    Published(Publication),
    /// Post a webhook, under an id made of its occupancy and number; answer with
    /// [`Input::Posted`](super::Input::Posted).
    Post(Generation),
    /// A node asks something; to be answered with [`Input::Answer`](super::Input::Answer).
    Asked { from: NodeId, number: u64, question: Bytes },
    /// A node has answered the question of this number, or cannot be asked; empty if there is nothing to say.
    Answered { from: NodeId, number: u64, answer: Bytes },
    /// An event of this node took so long from here to a peer's sockets.
    Acknowledged(Duration),
    /// Another node has this page since later than this node, which has it still: it is to be withdrawn here.
    PageTaken(PageHash),
    /// A part of what a peer published is lost for this node.
    Lost {
        origin: NodeId,
        gap: Gap,
        /// The room whose events they were; `None` for state.
        room: Option<Room>,
        /// How many events were in it, at least.
        events: u64,
    },
}

/// One line of the list of peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    pub node: NodeId,
    pub stage: Stage,
    pub readiness: Readiness,
    /// How long ago its last beat came.
    pub age: Duration,
    /// The sockets that are connected to it, over all apps.
    pub sessions: u64,
    /// The pages that it has.
    pub pages: usize,
    /// The version of its release; empty before its first beat.
    pub version: Arc<str>,
}
