//! Webhook events: what happens in channels and back ends can be told of (protocol.md §4.2). Pure.

use serde::Deserialize;

use super::{ChannelName, SocketId};

/// The kinds, by which endpoints choose what they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// The first subscriber came.
    ChannelOccupied,
    /// The last subscriber left.
    ChannelVacated,
    /// A user's first socket joined a presence channel.
    MemberAdded,
    /// A user's last socket left a presence channel.
    MemberRemoved,
    /// A client published an event.
    ClientEvent,
    /// A subscriber found a cache channel empty.
    CacheMiss,
    /// The number of subscribers changed.
    SubscriptionCount,
}

/// One event in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// Where it happened. Never a `#` channel.
    pub channel: ChannelName,
    /// What happened.
    pub detail: WebhookDetail,
}

/// What happened in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookDetail {
    /// 0 → 1 subscribers.
    ChannelOccupied,
    /// 1 → 0 subscribers.
    ChannelVacated,
    /// A user's first socket.
    MemberAdded {
        /// The user.
        user_id: String,
    },
    /// A user's last socket.
    MemberRemoved {
        /// The user.
        user_id: String,
    },
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
    /// The number of subscribers changed.
    SubscriptionCount {
        /// On all nodes together.
        count: usize,
    },
}

impl WebhookEvent {
    /// The bytes of all texts in it.
    pub fn text_bytes(&self) -> usize {
        let detail = match &self.detail {
            WebhookDetail::MemberAdded { user_id: user } | WebhookDetail::MemberRemoved { user_id: user } => user.len(),
            WebhookDetail::ClientEvent { event, data, user_id, .. } => {
                event.len() + data.len() + user_id.as_ref().map_or(0, String::len)
            }
            WebhookDetail::ChannelOccupied
            | WebhookDetail::ChannelVacated
            | WebhookDetail::CacheMiss
            | WebhookDetail::SubscriptionCount { .. } => 0,
        };
        self.channel.as_str().len() + detail
    }
}

impl WebhookDetail {
    /// Its kind.
    pub fn kind(&self) -> WebhookKind {
        match self {
            Self::ChannelOccupied => WebhookKind::ChannelOccupied,
            Self::ChannelVacated => WebhookKind::ChannelVacated,
            Self::MemberAdded { .. } => WebhookKind::MemberAdded,
            Self::MemberRemoved { .. } => WebhookKind::MemberRemoved,
            Self::ClientEvent { .. } => WebhookKind::ClientEvent,
            Self::CacheMiss => WebhookKind::CacheMiss,
            Self::SubscriptionCount { .. } => WebhookKind::SubscriptionCount,
        }
    }
}
