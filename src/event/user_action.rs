//! What a back end does to the connections of a user. Pure.

use std::sync::Arc;

use crate::protocol::{ChannelName, ChannelPattern, Close};

/// What becomes of a user's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserAction {
    /// They end, and do not come back by themselves.
    Terminate,
    /// They come back as new ones, so that the application decides anew.
    Reconnect,
    /// The same for those that are subscribed to a channel that one of these matches.
    Unsubscribe(Arc<[ChannelPattern]>),
}

impl UserAction {
    /// What the clients are told.
    pub fn close(&self) -> Close {
        match self {
            Self::Terminate => Close::Terminated,
            Self::Reconnect | Self::Unsubscribe(_) => Close::RightsChanged,
        }
    }

    /// Whether connections end that are subscribed to this channel.
    pub fn concerns(&self, channel: &ChannelName) -> bool {
        match self {
            Self::Terminate | Self::Reconnect => true,
            Self::Unsubscribe(patterns) => patterns.iter().any(|pattern| pattern.matches(channel)),
        }
    }
}
