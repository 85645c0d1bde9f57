//! Webhook events: what happens in channels and back ends can be told of (protocol.md §4.2). Pure.
//!
//! All kinds stand in one table, at the end of the types. The compiler leads from a new row to its fields; where it
//! happens, nothing finds.

use serde::{Deserialize, Serialize};

use super::{ChannelName, SocketId};

/// One event in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// Where it happened. Never a `#` channel.
    pub channel: ChannelName,
    pub detail: WebhookDetail,
}

/// When an event is posted (protocol.md §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebounceRule {
    /// After a delay in which a return cancels it.
    Departure,
    /// At once, or never where it cancels a departure.
    Return,
    /// At once, and then not again for a while in the same channel.
    Throttled,
    /// At once.
    Immediate,
}

/// Makes [`WebhookKind`] and [`WebhookDetail`] of rows of a kind, its name on the wire, its [`DebounceRule`] and its fields.
macro_rules! webhook_events {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $debounce:ident $({ $($(#[$note:meta])* $field:ident: $type:ty,)* })?;)*) => {
        /// A kind of event, which endpoints choose by its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
        pub enum WebhookKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        /// What happened. As JSON it is what nodes store for one another (`webhook::stored_event`), so fields keep their
        /// names.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum WebhookDetail {
            $($(#[$doc])* #[serde(rename = $name)] $kind $({ $($(#[$note])* $field: $type,)* })?,)*
        }

        impl WebhookKind {
            /// All kinds, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// When events of this kind are posted.
            pub fn debounce(self) -> DebounceRule {
                match self { $(Self::$kind => DebounceRule::$debounce,)* }
            }
        }

        impl WebhookDetail {
            pub fn kind(&self) -> WebhookKind {
                match self { $(Self::$kind { .. } => WebhookKind::$kind,)* }
            }
        }
    };
}

webhook_events! {
    /// The first subscriber came.
    ChannelOccupied = "channel_occupied", Return;
    /// The last subscriber left.
    ChannelVacated = "channel_vacated", Departure;
    /// A user's first socket joined a presence channel.
    MemberAdded = "member_added", Return { user_id: String, };
    /// A user's last socket left a presence channel.
    MemberRemoved = "member_removed", Departure { user_id: String, };
    /// A client published an event.
    ClientEvent = "client_event", Immediate {
        /// `client-…`
        event: String,
        /// The payload as the client sent it, stringified.
        data: String,
        /// Who sent it.
        socket_id: SocketId,
        /// The sender's user on a presence channel.
        user_id: Option<String>,
    };
    /// A subscriber found a cache channel empty.
    CacheMiss = "cache_miss", Throttled;
    /// The number of subscribers changed.
    SubscriptionCount = "subscription_count", Immediate {
        /// On all nodes together.
        count: usize,
    };
}

impl WebhookEvent {
    pub fn kind(&self) -> WebhookKind {
        self.detail.kind()
    }

    /// The bytes of all texts in it.
    pub fn text_bytes(&self) -> usize {
        let detail = match &self.detail {
            WebhookDetail::MemberAdded { user_id } | WebhookDetail::MemberRemoved { user_id } => user_id.len(),
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
    /// The user that has come or gone.
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::MemberAdded { user_id } | Self::MemberRemoved { user_id } => Some(user_id),
            Self::ChannelOccupied
            | Self::ChannelVacated
            | Self::ClientEvent { .. }
            | Self::CacheMiss
            | Self::SubscriptionCount { .. } => None,
        }
    }
}
