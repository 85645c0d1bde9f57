//! scaffold
pub mod event;
use crate::{app::App, protocol::ChannelName};
pub use event::{Event, Origin};
use std::{sync::Arc, time::Duration};

/// How many hold a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sockets subscribed.
    pub subscriptions: usize,
    /// Distinct users of a presence channel; 0 on others.
    pub users: usize,
}

/// The last event of a cache channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEvent {
    /// The event's data.
    pub data: String,
    /// What is left of its time.
    pub ttl: Duration,
}

/// A member of a presence channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The stringified user id.
    pub id: String,
    /// `user_info` as JSON text.
    pub info: String,
}

/// All rooms of this node: the facade for everybody who is not a room.
#[derive(Clone)]
pub struct Rooms;

/// More events wait for the rooms than `GAUNG_MAX_QUEUED_EVENTS`; none of the events was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded {
    /// The limit.
    pub limit: usize,
}

impl Rooms {
    /// Hands events to their rooms, all or none; does not wait for sockets.
    pub fn publish(&self, _app: &Arc<App>, _events: Vec<Event>) -> Result<(), Overloaded> {
        todo!()
    }
    /// Counts of the given channels, in their order; unknown ones are zero.
    pub async fn counts(&self, _app: &Arc<App>, _channels: &[ChannelName]) -> Vec<Counts> {
        todo!()
    }
    /// All channels with subscribers whose name starts with `prefix`, without `#` channels.
    pub async fn occupied(&self, _app: &Arc<App>, _prefix: &str) -> Vec<(ChannelName, Counts)> {
        todo!()
    }
    /// The cached event of a channel.
    pub async fn cached(&self, _app: &Arc<App>, _channel: &ChannelName) -> Option<CachedEvent> {
        todo!()
    }
    /// The members of a presence channel.
    pub async fn members(&self, _app: &Arc<App>, _channel: &ChannelName) -> Vec<Member> {
        todo!()
    }
    /// Closes every session signed in as the user with 4009.
    pub fn terminate(&self, _app: &Arc<App>, _user_id: &str) {
        todo!()
    }
}
