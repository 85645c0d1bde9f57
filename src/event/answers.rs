//! What rooms answer: what they hold, and what they add up to. Pure.

use std::{sync::Arc, time::Duration};

use crate::protocol::ChannelName;

/// The last event of a cache channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEvent {
    pub data: String,
    /// What is left of its time.
    pub ttl: Duration,
}

/// A member of a presence channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The stringified user id.
    pub id: String,
    /// `user_info` as JSON text.
    pub info: String,
}

/// Some occupied channels, ordered by name.
#[derive(Debug, Default)]
pub struct Page {
    pub channels: Vec<(ChannelName, Counts)>,
    /// After which name the next page begins; `None` if this is the last one.
    pub next: Option<Arc<str>>,
}

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
    pub subscriptions: usize,
    /// Members of presence channels, a user counted once per channel.
    pub members: usize,
    /// Age of the oldest event of their histories; zero if they keep none.
    pub oldest_event: Duration,
}

impl AppTotals {
    /// With one more room that holds so much.
    pub fn with_room(self, counts: Counts) -> Self {
        let (subscriptions, members) = (counts.subscriptions, counts.users);
        self.plus(Self { rooms: 1, subscriptions, members, ..Self::default() })
    }

    /// The sum of both, and the older event.
    pub fn plus(self, more: Self) -> Self {
        Self {
            rooms: self.rooms + more.rooms,
            subscriptions: self.subscriptions + more.subscriptions,
            members: self.members + more.members,
            oldest_event: self.oldest_event.max(more.oldest_event),
        }
    }
}

impl Page {
    /// One page of those of several threads: it ends where the first of them does that has more.
    pub fn merge(pages: Vec<Self>) -> Self {
        let next = pages.iter().filter_map(|page| page.next.clone()).min();
        let mut channels: Vec<_> = pages.into_iter().flat_map(|page| page.channels).collect();
        channels.retain(|(channel, _)| next.as_deref().is_none_or(|next| channel.as_str() <= next));
        channels.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self { channels, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[&str], next: Option<&str>) -> Page {
        let named = |name: &&str| (ChannelName::parse(name, 200).unwrap(), Counts { subscriptions: 1, users: 0 });
        Page { channels: names.iter().map(named).collect(), next: next.map(Arc::from) }
    }

    #[test]
    fn pages_of_several_threads_are_one_that_ends_with_the_first_that_has_more() {
        let merged = Page::merge(vec![page(&["b", "d"], Some("d")), page(&["a", "e"], Some("e")), page(&["c"], None)]);
        let names: Vec<&str> = merged.channels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, merged.next.as_deref()), (vec!["a", "b", "c", "d"], Some("d")));
        let last = Page::merge(vec![page(&["b"], None), page(&[], None)]);
        assert_eq!((last.channels.len(), last.next), (1, None));
    }
}
