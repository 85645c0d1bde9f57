//! What rooms tell the webhooks: a change that a back end may want to hear of (protocol.md §4.2). Pure.

use crate::{
    config::WebhookEvent,
    protocol::{ChannelName, SocketId},
};

/// One change in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where it happened. Never a `#` channel.
    pub channel: ChannelName,
    /// What happened.
    pub change: Change,
}

/// What happened in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// 0 → 1 subscribers.
    Occupied,
    /// 1 → 0 subscribers.
    Vacated,
    /// A user's first socket; the user's id.
    MemberAdded(String),
    /// A user's last socket; the user's id.
    MemberRemoved(String),
    /// A client published.
    ClientEvent {
        /// `client-…`
        event: String,
        /// The payload as the client sent it, stringified.
        data: String,
        /// Who sent it.
        socket_id: SocketId,
        /// The sender's user on a presence channel.
        user_id: Option<String>,
    },
    /// A subscriber found the cache empty.
    CacheMiss,
    /// How many are subscribed now.
    SubscriptionCount(usize),
}

impl Edge {
    /// The bytes of all texts in it.
    pub fn text_bytes(&self) -> usize {
        let change = match &self.change {
            Change::MemberAdded(user) | Change::MemberRemoved(user) => user.len(),
            Change::ClientEvent { event, data, user_id, .. } => {
                event.len() + data.len() + user_id.as_ref().map_or(0, String::len)
            }
            Change::Occupied | Change::Vacated | Change::CacheMiss | Change::SubscriptionCount(_) => 0,
        };
        self.channel.as_str().len() + change
    }
}

impl Change {
    /// The name under which an endpoint chooses it.
    pub fn event(&self) -> WebhookEvent {
        match self {
            Self::Occupied => WebhookEvent::ChannelOccupied,
            Self::Vacated => WebhookEvent::ChannelVacated,
            Self::MemberAdded(_) => WebhookEvent::MemberAdded,
            Self::MemberRemoved(_) => WebhookEvent::MemberRemoved,
            Self::ClientEvent { .. } => WebhookEvent::ClientEvent,
            Self::CacheMiss => WebhookEvent::CacheMiss,
            Self::SubscriptionCount(_) => WebhookEvent::SubscriptionCount,
        }
    }
}
