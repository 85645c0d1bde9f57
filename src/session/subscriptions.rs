//! The channels of one session, as far as it knows. Pure.
//!
//! Invariant: a channel is here exactly while its room has the socket, or may still take it.

use std::collections::HashMap;

use crate::{
    outbox::RefusedJoin,
    protocol::{ChannelName, ChannelPattern},
};

/// Channels, each with the latest attempt to join it and its permit `P`, which is dropped with it.
#[derive(Debug)]
pub struct Subscriptions<P> {
    channels: HashMap<ChannelName, (u32, P)>,
    attempts: u32,
}

impl<P> Default for Subscriptions<P> {
    fn default() -> Self {
        Self { channels: HashMap::new(), attempts: 0 }
    }
}

impl<P> Subscriptions<P> {
    /// The socket is about to join with a permit. Returns the number of the attempt.
    pub fn begin(&mut self, channel: ChannelName, permit: P) -> u32 {
        self.attempts = self.attempts.wrapping_add(1);
        self.channels.insert(channel, (self.attempts, permit));
        self.attempts
    }

    /// The socket is about to join once more, with the permit that it has. Returns the number of the attempt.
    pub fn repeat(&mut self, channel: &ChannelName) -> Option<u32> {
        let (attempt, _) = self.channels.get_mut(channel)?;
        self.attempts = self.attempts.wrapping_add(1);
        *attempt = self.attempts;
        Some(self.attempts)
    }

    /// The permits of all channels.
    pub fn permits(&self) -> impl Iterator<Item = &P> {
        self.channels.values().map(|(_, permit)| permit)
    }

    /// A room did not take the socket. That undoes no later attempt, which may have succeeded.
    pub fn refuse(&mut self, RefusedJoin { channel, attempt }: &RefusedJoin) {
        if self.channels.get(channel).is_some_and(|(latest, _)| latest == attempt) {
            self.channels.remove(channel);
        }
    }

    /// The socket leaves; returns whether there is anything to leave.
    pub fn end(&mut self, channel: &ChannelName) -> bool {
        self.channels.remove(channel).is_some()
    }

    /// The socket leaves all channels.
    pub fn end_all(&mut self) -> impl Iterator<Item = ChannelName> {
        self.channels.drain().map(|(channel, _)| channel)
    }

    /// Whether one of the channels matches.
    pub fn match_any(&self, patterns: &[ChannelPattern]) -> bool {
        self.channels.keys().any(|channel| patterns.iter().any(|pattern| pattern.matches(channel)))
    }

    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.keys()
    }

    pub fn count(&self) -> usize {
        self.channels.len()
    }

    /// Whether the channel is one of them.
    pub fn contains(&self, channel: &ChannelName) -> bool {
        self.channels.contains_key(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelName {
        ChannelName::parse("presence-a", 200).unwrap()
    }

    fn refused(attempt: u32) -> RefusedJoin {
        RefusedJoin { channel: channel(), attempt }
    }

    #[test]
    fn a_refused_join_leaves_nothing_behind() {
        let mut subscriptions = Subscriptions::default();
        let attempt = subscriptions.begin(channel(), ());
        subscriptions.refuse(&refused(attempt));
        assert_eq!((subscriptions.count(), subscriptions.end(&channel())), (0, false));
    }

    #[test]
    fn a_refusal_that_comes_late_does_not_undo_a_later_attempt() {
        let mut subscriptions = Subscriptions::default();
        let first = subscriptions.begin(channel(), ());
        assert!(subscriptions.end(&channel()));
        let second = subscriptions.begin(channel(), ());
        subscriptions.refuse(&refused(first));
        assert!(subscriptions.contains(&channel()));
        subscriptions.refuse(&refused(second));
        assert!(!subscriptions.contains(&channel()));
    }

    #[test]
    fn a_channel_that_is_joined_once_more_keeps_its_permit() {
        let mut subscriptions = Subscriptions::default();
        assert_eq!(subscriptions.repeat(&channel()), None);
        let first = subscriptions.begin(channel(), "permit");
        assert!(subscriptions.repeat(&channel()).is_some_and(|second| second != first));
        assert_eq!(subscriptions.permits().collect::<Vec<_>>(), [&"permit"]);
        assert!(subscriptions.end(&channel()));
        assert_eq!(subscriptions.permits().count(), 0);
    }

    #[test]
    fn a_socket_that_goes_leaves_every_channel() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.begin(channel(), ());
        subscriptions.begin(channel(), ());
        assert_eq!(subscriptions.end_all().collect::<Vec<_>>(), [channel()]);
        assert_eq!(subscriptions.count(), 0);
    }
}
