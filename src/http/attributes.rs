//! What `info` asks for, and the counts that answer it (protocol.md §3.2, §3.5, §3.6). Pure.

use serde::Serialize;

use crate::{event::Counts, protocol::ChannelKind};

/// The attributes that a request asks for. Unknown ones are ignored, as the hosted service does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Distinct users; presence channels only.
    pub user_count: bool,
    /// Sockets.
    pub subscription_count: bool,
    /// The event that a cache channel keeps.
    pub cache: bool,
}

impl Attributes {
    /// Reads a comma-separated list.
    pub fn parse(list: &str) -> Self {
        let mut attributes = Self::default();
        for name in list.split(',') {
            match name.trim() {
                "user_count" => attributes.user_count = true,
                "subscription_count" => attributes.subscription_count = true,
                "cache" => attributes.cache = true,
                _ => {}
            }
        }
        attributes
    }

    /// Whether an answer carries counts at all.
    pub fn wants_counts(self) -> bool {
        self.user_count || self.subscription_count
    }

    /// The counts of one channel, as far as they are asked for.
    pub fn of(self, kind: ChannelKind, counts: Counts) -> CountsAnswer {
        CountsAnswer {
            user_count: (self.user_count && kind.is_presence()).then_some(counts.users),
            subscription_count: self.subscription_count.then_some(counts.subscriptions),
        }
    }
}

/// Counts as they stand in an answer; what was not asked for is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountsAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(info: &str, kind: ChannelKind, expected: &str) {
        let answer = Attributes::parse(info).of(kind, Counts { users: 2, subscriptions: 3 });
        assert_eq!(serde_json::to_string(&answer).unwrap(), expected, "{info}");
    }

    #[test]
    fn an_answer_has_what_was_asked_for_and_users_only_where_there_are_members() {
        check("", ChannelKind::Presence, "{}");
        check("user_count", ChannelKind::Presence, r#"{"user_count":2}"#);
        check("user_count", ChannelKind::PresenceCache, r#"{"user_count":2}"#);
        check("user_count", ChannelKind::Private, "{}");
        check("subscription_count", ChannelKind::Public, r#"{"subscription_count":3}"#);
        check("user_count, subscription_count", ChannelKind::Presence, r#"{"user_count":2,"subscription_count":3}"#);
        check("members,subscription_count", ChannelKind::Cache, r#"{"subscription_count":3}"#);
    }

    #[test]
    fn the_cache_is_no_count() {
        let attributes = Attributes::parse("cache");
        assert!(attributes.cache && !attributes.wants_counts());
    }
}
