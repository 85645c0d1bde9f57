//! How a client is told that its session ends: an error frame in its own protocol, then the close frame. protocol.md §1.1
//! wants both, because clients of protocols 5 and 6 look at the frame alone.

use super::Outbox;
use crate::{
    protocol::{Close, outbound},
    tenant,
};

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProtocol {
    /// The Pusher protocol.
    Pusher,
    /// Plain frames of a tenant.
    Tenant,
    /// The same as server-sent events.
    Stream,
}

/// Why a session lets its page go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAway {
    /// Its node ends.
    NodeEnds,
    /// Other nodes have fewer sockets.
    Rebalanced,
    /// The page has a newer session.
    Superseded,
}

impl ClientProtocol {
    /// Closes a session for a reason from the table.
    pub fn close(self, outbox: &Outbox, close: Close) {
        self.close_with_text(outbox, close, close.text());
    }

    /// Closes a session with a text of its own in the error frame. WebSocket's own codes need no error frame.
    pub fn close_with_text(self, outbox: &Outbox, close: Close, text: &str) {
        if close.code() >= 4000 {
            outbox.send(&match self {
                Self::Pusher => outbound::error(Some(close.code()), text, None),
                Self::Tenant => tenant::outbound::error(close.code(), text, None),
                Self::Stream => tenant::stream::message(&tenant::outbound::error(close.code(), text, None)),
            });
        }
        outbox.close(close);
    }

    /// How sessions are closed whose page is gone, or is to come back to another node: Pusher clients come back at once after 4200, tenant
    /// clients know the standard's 1001, and those of streams come back of themselves.
    pub fn sent_away(self, why: SentAway) -> Close {
        match (self, why) {
            (_, SentAway::Superseded) => Close::Superseded,
            (Self::Pusher, SentAway::NodeEnds) => Close::Draining,
            (Self::Pusher, SentAway::Rebalanced) => Close::Rebalanced,
            (Self::Tenant | Self::Stream, _) => Close::GoingAway,
        }
    }
}
