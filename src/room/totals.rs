//! What rooms hold, and what they add up to. Pure.

/// How many hold a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sockets subscribed.
    pub subscriptions: usize,
    /// Distinct users of a presence channel; 0 on others.
    pub users: usize,
}

/// What the rooms of one app add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppTotals {
    /// Rooms, also those that only keep a cached event.
    pub rooms: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Members of presence channels, a user counted once per channel.
    pub members: usize,
}

impl AppTotals {
    /// With one more room that holds so much.
    pub fn with_room(self, counts: Counts) -> Self {
        self.plus(Self { rooms: 1, subscriptions: counts.subscriptions, members: counts.users })
    }

    /// The sum of both.
    pub fn plus(self, more: Self) -> Self {
        Self {
            rooms: self.rooms + more.rooms,
            subscriptions: self.subscriptions + more.subscriptions,
            members: self.members + more.members,
        }
    }
}
