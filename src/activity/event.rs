//! One thing that happened. It holds what its reporter has at hand; formatting is left to the console.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    event::EncodedEvent,
    protocol::{ChannelName, Close, SocketId},
};

/// Characters at most of a text that came from outside.
const MAX_TEXT: usize = 300;

/// Something that happened on this node.
#[derive(Debug, Clone)]
pub struct ActivityEvent {
    /// When, as time since the Unix epoch.
    pub at: Duration,
    /// The app's id, as far as it is known.
    pub app: Option<Arc<str>>,
    /// What happened.
    pub kind: ActivityKind,
}

/// The kinds of activity.
#[derive(Debug, Clone)]
pub enum ActivityKind {
    /// A socket was opened.
    Connected {
        /// The socket.
        socket: SocketId,
        /// Where its client is.
        address: Option<IpAddr>,
    },
    /// A socket was closed.
    Closed {
        /// The socket.
        socket: SocketId,
        /// Why; `None` if it was lost.
        close: Option<Close>,
    },
    /// A socket joined a channel.
    Subscribed {
        /// The socket.
        socket: SocketId,
        /// The channel.
        channel: ChannelName,
    },
    /// A socket left a channel, perhaps because it is gone.
    Unsubscribed {
        /// The socket.
        socket: SocketId,
        /// The channel.
        channel: ChannelName,
    },
    /// A socket signed in.
    SignedIn {
        /// The socket.
        socket: SocketId,
        /// As this user.
        user: String,
    },
    /// Somebody was turned away.
    Refused(Refusal),
    /// An event was handed to all of this node's sockets that are to have it.
    Published {
        /// The event.
        event: EncodedEvent,
        /// How many sockets those were.
        sockets: usize,
        /// Since this node took the event.
        took: Duration,
    },
    /// A webhook was posted.
    Webhook {
        /// The names of its events.
        events: Vec<String>,
        /// Where to, without what may be secret: user, password and query.
        url: String,
        /// The outcome, as the label of the metric.
        outcome: &'static str,
        /// The endpoint's answer, if there was one.
        status: Option<u16>,
        /// How long that took.
        took: Duration,
    },
}

/// What was refused, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    asked: Asked,
    reason: &'static str,
    detail: String,
    socket: Option<SocketId>,
    channel: Option<String>,
}

/// What can be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A socket.
    Socket,
    /// A request of the API.
    Request,
    /// A message of a socket.
    Message,
}

impl ActivityEvent {
    /// It happened just now to one of the app's.
    pub fn of(app: Arc<str>, kind: ActivityKind) -> Self {
        Self::now(Some(app), kind)
    }

    /// It happened just now.
    pub fn now(app: Option<Arc<str>>, kind: ActivityKind) -> Self {
        Self { at: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(), app, kind }
    }

    /// An event has reached so many sockets.
    pub fn published(app: Arc<str>, event: EncodedEvent, sockets: usize) -> Self {
        let took = event.accepted.elapsed();
        Self::of(app, ActivityKind::Published { event, sockets, took })
    }

    /// The channel that it is about.
    pub fn channel(&self) -> Option<&str> {
        match &self.kind {
            ActivityKind::Subscribed { channel, .. } | ActivityKind::Unsubscribed { channel, .. } => {
                Some(channel.as_str())
            }
            ActivityKind::Published { event, .. } => Some(event.channel.as_str()),
            ActivityKind::Refused(refusal) => refusal.channel(),
            ActivityKind::Connected { .. }
            | ActivityKind::Closed { .. }
            | ActivityKind::SignedIn { .. }
            | ActivityKind::Webhook { .. } => None,
        }
    }
}

impl Refusal {
    /// `reason` is the label of the metric, `detail` what the client is told; it is cut if it is very long, for it
    /// may quote what was sent.
    pub fn new(asked: Asked, reason: &'static str, detail: &str) -> Self {
        Self { asked, reason, detail: cut(detail), socket: None, channel: None }
    }

    /// Who asked, and for which channel, if any.
    pub fn by(self, socket: SocketId, channel: Option<&str>) -> Self {
        Self { socket: Some(socket), channel: channel.map(cut), ..self }
    }

    /// What was asked for.
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// The label of the metric.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What the client was told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Who asked.
    pub fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    /// The channel that was asked for, as it was written.
    pub fn channel(&self) -> Option<&str> {
        self.channel.as_deref()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_is_cut() {
        let long = "é".repeat(MAX_TEXT + 1);
        let refusal = Refusal::new(Asked::Message, "subscription", &long).by(SocketId::from_bits(1), Some(&long));
        assert_eq!(refusal.detail(), "é".repeat(MAX_TEXT));
        assert_eq!(refusal.channel(), Some(refusal.detail()));
    }
}
