//! How far a page has heard its channels, and what of that it has claimed by subscribing. Pure.

use std::collections::{HashMap, HashSet};

use crate::protocol::{ChannelName, Since};

/// How far a page has heard its channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    /// By channel.
    pub channels: HashMap<ChannelName, Since>,
    /// Channels to which it has subscribed since, or which it does not want any more.
    pub(super) claimed: HashSet<ChannelName>,
    /// Whether it may have had other channels too, of which nothing is known.
    pub has_unknown: bool,
}

impl Positions {
    /// Nothing is known but that there may be something.
    pub(super) fn unknown() -> Self {
        Self { has_unknown: true, ..Self::default() }
    }

    /// How far the page has heard a channel to which it subscribes, told once; `None` for a channel that is new to it.
    pub fn claim(&mut self, channel: &ChannelName) -> Option<Since> {
        let known = self.channels.get(channel).cloned().or(self.has_unknown.then_some(Since::Unknown))?;
        self.claimed.insert(channel.clone()).then_some(known)
    }

    /// The page wants the channel no longer.
    pub fn forget(&mut self, channel: &ChannelName) {
        if self.channels.remove(channel).is_some() || self.has_unknown {
            self.claimed.insert(channel.clone());
        }
    }

    /// For the page's next session, which begins before its rooms have answered this one.
    pub(super) fn unclaimed(self) -> Self {
        Self { claimed: HashSet::new(), ..self }
    }
}
