//! What the other nodes of the cluster hold, as it is told to the rooms and sessions of this one, which know their own
//! sockets best and add the two up.

use std::sync::Arc;

use crate::{
    fact::{CachedEvent, Member},
    room::Room,
};

/// What all live peers together hold of one thing: an absolute value, told when it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// Subscriptions of a room.
    Subscriptions {
        /// Where.
        room: Room,
        /// How many.
        sockets: u64,
    },
    /// A user in a presence channel.
    Member {
        /// Where.
        room: Room,
        /// Who.
        user: Arc<str>,
        /// The eldest by [`Member::seniority`], with the sockets of the node that holds it; `None` if the user is
        /// nowhere else.
        member: Option<Member>,
    },
    /// Sockets that are signed in as a user.
    User {
        /// The app's id.
        app: Arc<str>,
        /// Who.
        user: Arc<str>,
        /// How many.
        sockets: u64,
    },
}

/// What a room begins with when it is served: the state elsewhere at that moment. Every later change follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which room.
    pub room: Room,
    /// Its subscriptions elsewhere.
    pub sockets: u64,
    /// Its members elsewhere, ordered by id; of each the eldest. Of very many only the last: the others were told before.
    pub members: Vec<Member>,
    /// The last event of a cache channel.
    pub cached: Option<CachedEvent>,
}

impl Elsewhere {
    /// The room that it is about; `None` if it is about a user of an app.
    pub fn room(&self) -> Option<&Room> {
        match self {
            Self::Subscriptions { room, .. } | Self::Member { room, .. } => Some(room),
            Self::User { .. } => None,
        }
    }
}
