//! Which channels anybody on this node may care for, readable from every thread without asking a shard. It spares the
//! room threads the many events that nobody hears.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// How many counters there are: 256 KiB of them.
const BUCKETS: u64 = 65_536;

/// Counts rooms and users by the hash of their channel. Two channels may share a counter, so it may say yes too often,
/// but never no where somebody has been answered: a shard counts a room before the room exists.
#[derive(Debug, Clone)]
pub(super) struct Interest(Arc<[AtomicU32]>);

/// The hash of a channel of an app: decides its shard and its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChannelHash(u64);

impl ChannelHash {
    /// The hash of a channel of an app.
    pub(super) fn of(app_id: &str, channel: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (app_id, channel).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Which of `count` shards keeps the channel.
    pub(super) fn shard(self, count: usize) -> usize {
        (self.0 % count as u64) as usize
    }

    fn bucket(self) -> usize {
        ((self.0 >> 32) % BUCKETS) as usize
    }
}

impl Interest {
    /// Nobody cares for anything.
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU32::new(0)).collect())
    }

    /// A room or a user begins.
    pub(super) fn begin(&self, channel: ChannelHash) {
        self.0[channel.bucket()].fetch_add(1, Ordering::Release);
    }

    /// A room or a user that had begun ends.
    pub(super) fn end(&self, channel: ChannelHash) {
        self.0[channel.bucket()].fetch_sub(1, Ordering::Release);
    }

    /// Whether an event may find somebody.
    pub(super) fn is_possible(&self, channel: ChannelHash) -> bool {
        self.0[channel.bucket()].load(Ordering::Acquire) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_of_interest_from_its_first_room_to_the_end_of_its_last() {
        let interest = Interest::new();
        let channel = ChannelHash::of("app", "products.1");
        assert!(!interest.is_possible(channel));
        interest.begin(channel);
        interest.begin(channel);
        interest.end(channel);
        assert!(interest.is_possible(channel));
        interest.end(channel);
        assert!(!interest.is_possible(channel));
    }

    #[test]
    fn apps_have_places_of_their_own() {
        assert_ne!(ChannelHash::of("a", "b"), ChannelHash::of("ab", ""));
        assert_ne!(ChannelHash::of("a", "channel"), ChannelHash::of("b", "channel"));
    }
}
