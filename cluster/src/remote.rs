//! What the other nodes of the cluster hold, as reported to the rooms and sessions of this node, which add their own
//! sockets to it.

use std::sync::Arc;

use crate::{
    fact::{CachedEvent, Member},
    room::{NodeId, Room},
};

/// What all live peers together hold of one thing: an absolute value, reported when it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteChange {
    Subscriptions {
        room: Room,
        sockets: u64,
    },
    /// A user in a presence channel.
    Member {
        room: Room,
        user: Arc<str>,
        /// The eldest by [`Member::seniority`], with the sockets of the node that holds it; `None` if the user is on no
        /// other node.
        member: Option<Member>,
    },
    /// Sockets that are signed in as a user.
    User {
        app: Arc<str>,
        user: Arc<str>,
        sockets: u64,
    },
}

/// What the other nodes hold of a room at the moment from which it is served here. Every later change follows as a
/// [`RemoteChange`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteState {
    pub room: Room,
    /// Its subscriptions on other nodes.
    pub sockets: u64,
    /// Its members on other nodes, ordered by id; of each user the eldest. Of very many only the last page: the others
    /// were reported before.
    pub members: Vec<Member>,
    /// The last event of a cache channel.
    pub cached: Option<CachedEvent>,
    /// Of each node that is known, this one included, the number after which no event of the room is missed here.
    pub positions: Vec<(NodeId, u64)>,
}

impl RemoteChange {
    /// The room that it is about; `None` if it is about a user of an app.
    pub fn room(&self) -> Option<&Room> {
        match self {
            Self::Subscriptions { room, .. } | Self::Member { room, .. } => Some(room),
            Self::User { .. } => None,
        }
    }
}
