//! How far a page has heard its channels, and what of that it has claimed by subscribing. Pure.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use crate::protocol::{ChannelName, Since};

/// Channels that one page may have had before, beside those that it subscribes to.
const MOST: usize = 1_000;

/// How far a page has heard its channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    /// By channel.
    pub channels: HashMap<ChannelName, Since>,
    /// Channels to which it has subscribed since, or which it does not want any more.
    pub(super) claimed: HashSet<ChannelName>,
    /// How far it has heard other channels, if it may have had some.
    pub others: Option<Since>,
}

impl Positions {
    /// How far a page has heard some channels, and all others if it may have had some.
    pub(super) fn of(channels: HashMap<ChannelName, Since>, others: Option<Since>) -> Self {
        Self { channels, others, ..Self::default() }
    }

    /// The same of all channels.
    pub(super) fn all(since: Since) -> Self {
        Self { others: Some(since), ..Self::default() }
    }

    /// Nothing is known but that there may be something.
    pub(super) fn unknown() -> Self {
        Self::all(Since::Unknown)
    }

    /// How far the page has heard a channel to which it subscribes, told once; `None` for a channel that is new to it.
    pub fn claim(&mut self, channel: &ChannelName) -> Option<Since> {
        let known = self.channels.get(channel).cloned().or_else(|| self.others.clone())?;
        self.claimed.insert(channel.clone()).then_some(known)
    }

    /// The page wants the channel no longer.
    pub fn forget(&mut self, channel: &ChannelName) {
        if self.channels.remove(channel).is_some() || self.others.is_some() {
            self.claimed.insert(channel.clone());
        }
    }

    /// No channel is claimed any more but those that are still known by name.
    pub fn let_claimed_go(&mut self) {
        self.others = None;
        let claimed = mem::take(&mut self.claimed);
        if !claimed.is_empty() {
            self.channels.retain(|channel, _| !claimed.contains(channel));
            self.channels.shrink_to_fit();
        }
    }

    /// Whether nothing of the kind is known, or may be.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.others.is_none()
    }

    /// Whether the page has subscribed to all of them, or does not want them any more. Others it may have had for a while.
    pub fn are_claimed(&self) -> bool {
        self.others.is_none() && self.channels.keys().all(|channel| self.claimed.contains(channel))
    }

    /// For the page's next session, which begins before its rooms have answered this one. One that had ever-new channels
    /// and was never answered is known by name alone.
    pub(super) fn unclaimed(self) -> Self {
        if self.channels.len() > MOST { Self::unknown() } else { Self { claimed: HashSet::new(), ..self } }
    }

    /// How many channels are named.
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }
}
