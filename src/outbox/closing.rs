//! How a session is told that it ends: an error frame in its own words, then the close frame. protocol.md §1.1 wants both,
//! because clients of protocols 5 and 6 look at the frame alone.

use super::Outbox;
use crate::{
    protocol::{Close, outbound},
    tenant,
};

/// In whose words a session is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The Pusher protocol's.
    Pusher,
    /// The tenant dialect's.
    Tenant,
}

impl Words {
    /// Closes a session for a reason from the table.
    pub fn close(self, outbox: &Outbox, close: Close) {
        self.close_saying(outbox, close, close.text());
    }

    /// Closes a session with a text of its own in the error frame. WebSocket's own codes need no error frame.
    pub fn close_saying(self, outbox: &Outbox, close: Close, text: &str) {
        if close.code() >= 4000 {
            outbox.send(&match self {
                Self::Pusher => outbound::error(Some(close.code()), text, None),
                Self::Tenant => tenant::outbound::error(close.code(), text, None),
            });
        }
        outbox.close(close);
    }

    /// Why sessions are closed when the node goes away: Pusher clients come back at once after 4200, tenant clients know
    /// the standard's 1001.
    pub fn going_away(self) -> Close {
        match self {
            Self::Pusher => Close::Draining,
            Self::Tenant => Close::GoingAway,
        }
    }
}
