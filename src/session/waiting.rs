//! Subscriptions that wait until their socket is signed in (protocol.md §1.12). Pure.

use std::{collections::VecDeque, time::Instant};

use crate::protocol::{ChannelName, Since};

/// What a subscription wants: a channel, and from where on.
#[derive(Debug, PartialEq, Eq)]
pub struct WantedChannel {
    pub channel: ChannelName,
    pub since: Option<Since>,
}

/// Those of one socket, each until its time is over. How many there may be is the caller's to limit.
///
/// Invariants: a channel stands once; those whose time is over first stand first.
#[derive(Debug, Default)]
pub struct Waiting {
    subscriptions: VecDeque<(Instant, WantedChannel)>,
}

impl Waiting {
    /// Waits until then. A channel that waits already keeps its place and its time.
    pub fn add(&mut self, wanted: WantedChannel, until: Instant) {
        match self.subscriptions.iter_mut().find(|(_, waiting)| waiting.channel == wanted.channel) {
            Some((_, waiting)) => *waiting = wanted,
            None => self.subscriptions.push_back((until, wanted)),
        }
    }

    /// The client wants the channel no more.
    pub fn forget(&mut self, channel: &ChannelName) {
        self.subscriptions.retain(|(_, waiting)| waiting.channel != *channel);
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether it waits for this channel.
    pub fn contains(&self, channel: &ChannelName) -> bool {
        self.subscriptions.iter().any(|(_, waiting)| waiting.channel == *channel)
    }

    /// When the first has waited for too long.
    pub fn due(&self) -> Option<Instant> {
        self.subscriptions.front().map(|(until, _)| *until)
    }

    /// Takes those who have waited for too long.
    pub fn take_overdue(&mut self, now: Instant) -> Vec<WantedChannel> {
        let overdue = self.subscriptions.iter().take_while(|(until, _)| *until <= now).count();
        self.subscriptions.drain(..overdue).map(|(_, wanted)| wanted).collect()
    }

    /// Takes all, in the order in which they came.
    pub fn take_all(&mut self) -> Vec<WantedChannel> {
        self.subscriptions.drain(..).map(|(_, wanted)| wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wanted(channel: &str) -> WantedChannel {
        WantedChannel { channel: ChannelName::parse(channel, 200).unwrap(), since: None }
    }

    /// These channels, each a second after the one before.
    fn waiting(channels: &[&str], first: Instant) -> Waiting {
        let mut waiting = Waiting::default();
        for (seconds, channel) in (0..).zip(channels) {
            waiting.add(wanted(channel), first + SECOND * seconds);
        }
        waiting
    }

    fn names(wanted: &[WantedChannel]) -> Vec<&str> {
        wanted.iter().map(|wanted| wanted.channel.as_str()).collect()
    }

    #[test]
    fn each_waits_for_its_own_time() {
        let first = Instant::now();
        let mut waiting = waiting(&["private-a", "private-b", "private-c"], first);
        assert_eq!(waiting.due(), Some(first));
        assert_eq!(names(&waiting.take_overdue(first + SECOND)), ["private-a", "private-b"]);
        assert_eq!((waiting.due(), waiting.count()), (Some(first + 2 * SECOND), 1));
        assert!(waiting.take_overdue(first + SECOND).is_empty());
    }

    #[test]
    fn asking_again_for_a_channel_neither_counts_twice_nor_buys_time() {
        let first = Instant::now();
        let mut waiting = waiting(&["private-a", "private-b", "private-a"], first);
        assert_eq!((waiting.count(), waiting.due()), (2, Some(first)));
        assert_eq!(names(&waiting.take_all()), ["private-a", "private-b"]);
        assert_eq!((waiting.count(), waiting.due()), (0, None));
    }

    #[test]
    fn a_channel_that_is_left_waits_no_more() {
        let mut waiting = waiting(&["private-a", "private-b"], Instant::now());
        waiting.forget(&wanted("private-a").channel);
        assert!(!waiting.contains(&wanted("private-a").channel));
        assert_eq!(names(&waiting.take_all()), ["private-b"]);
    }
}
