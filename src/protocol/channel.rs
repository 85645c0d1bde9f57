//! Channel names and the kinds that their prefixes give them (protocol.md §1.8). Pure.

use std::{borrow::Borrow, fmt, sync::Arc};

/// What a channel's prefix says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// No prefix: anyone may subscribe.
    Public,
    /// `cache-`
    Cache,
    /// `private-`
    Private,
    /// `private-cache-`
    PrivateCache,
    /// `private-encrypted-`
    Encrypted,
    /// `private-encrypted-cache-`
    EncryptedCache,
    /// `presence-`
    Presence,
    /// `presence-cache-`
    PresenceCache,
    /// `#server-to-user-`: only the signed-in user of that id may hold it.
    ServerToUser,
}

/// Prefixes, the longest first, so that the first match is the right one.
const PREFIXES: [(&str, ChannelKind); 8] = [
    ("private-encrypted-cache-", ChannelKind::EncryptedCache),
    ("private-encrypted-", ChannelKind::Encrypted),
    ("#server-to-user-", ChannelKind::ServerToUser),
    ("presence-cache-", ChannelKind::PresenceCache),
    ("private-cache-", ChannelKind::PrivateCache),
    ("presence-", ChannelKind::Presence),
    ("private-", ChannelKind::Private),
    ("cache-", ChannelKind::Cache),
];

impl ChannelKind {
    /// Whether a subscription must carry a signature.
    pub fn needs_auth(self) -> bool {
        !matches!(self, Self::Public | Self::Cache | Self::ServerToUser)
    }

    /// Whether the channel has members.
    pub fn is_presence(self) -> bool {
        matches!(self, Self::Presence | Self::PresenceCache)
    }

    /// Whether the last server event is kept for late subscribers.
    pub fn is_cached(self) -> bool {
        matches!(self, Self::Cache | Self::PrivateCache | Self::EncryptedCache | Self::PresenceCache)
    }

    /// Whether only its subscribers can read what is published.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Encrypted | Self::EncryptedCache)
    }

    /// Whether it is the private line of one signed-in user.
    pub fn is_server_to_user(self) -> bool {
        matches!(self, Self::ServerToUser)
    }
}

/// A valid channel name: allowed characters only, so that it can neither forge a string to sign (protocol.md §2.3)
/// nor reach a bus subject unescaped. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChannelName {
    #[error("the channel name is empty")]
    Empty,
    #[error("the channel name has {length} characters, the limit is {limit} (app setting max_channel_name_length)")]
    TooLong { length: usize, limit: usize },
    #[error("the channel name contains {0:?}; allowed are letters, digits and _ - = @ , . ;")]
    Character(char),
}

impl ChannelName {
    /// Parses a name as a client or a back end sent it. `limit` is the app's limit in characters.
    pub fn parse(name: &str, limit: usize) -> Result<Self, InvalidChannelName> {
        if name.is_empty() {
            return Err(InvalidChannelName::Empty);
        }
        let rest = name.strip_prefix("#server-to-user-").unwrap_or(name);
        if let Some(character) = rest.chars().find(|c| !is_allowed(*c)) {
            return Err(InvalidChannelName::Character(character));
        }
        // Every allowed character is one byte.
        if name.len() > limit {
            return Err(InvalidChannelName::TooLong { length: name.len(), limit });
        }
        Ok(Self(name.into()))
    }

    /// The channel on which events for one signed-in user travel. The user id was never a channel name before, so it is
    /// checked here.
    pub fn of_user(user_id: &str) -> Result<Self, InvalidChannelName> {
        Self::parse(&format!("#server-to-user-{user_id}"), usize::MAX)
    }

    /// The name as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the prefix says.
    pub fn kind(&self) -> ChannelKind {
        self.split().0
    }

    /// The name without the prefix of its kind.
    pub fn without_prefix(&self) -> &str {
        self.split().1
    }

    fn split(&self) -> (ChannelKind, &str) {
        split(&self.0)
    }
}

/// The kind of a channel's name, and the name without its prefix.
pub fn split(name: &str) -> (ChannelKind, &str) {
    PREFIXES
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))
        .unwrap_or((ChannelKind::Public, name))
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-=@,.;".contains(character)
}

/// Names sort and hash as their text does.
impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, kind: ChannelKind, rest: &str) {
        let name = ChannelName::parse(name, 200).expect(name);
        assert_eq!((name.kind(), name.without_prefix()), (kind, rest), "{name}");
    }

    #[test]
    fn the_longest_prefix_decides_the_kind() {
        check("orders", ChannelKind::Public, "orders");
        check("cache-news", ChannelKind::Cache, "news");
        check("private-a", ChannelKind::Private, "a");
        check("private-cache-a", ChannelKind::PrivateCache, "a");
        check("private-encrypted-a", ChannelKind::Encrypted, "a");
        check("private-encrypted-cache-a", ChannelKind::EncryptedCache, "a");
        check("presence-a", ChannelKind::Presence, "a");
        check("presence-cache-a", ChannelKind::PresenceCache, "a");
        check("#server-to-user-7", ChannelKind::ServerToUser, "7");
    }

    #[test]
    fn a_prefix_counts_only_with_its_hyphen_and_at_the_start() {
        check("presenter", ChannelKind::Public, "presenter");
        check("cached", ChannelKind::Public, "cached");
        check("my-private-x", ChannelKind::Public, "my-private-x");
        check("a-cache-b", ChannelKind::Public, "a-cache-b");
    }

    #[test]
    fn names_that_could_forge_a_signature_or_a_subject_are_refused() {
        for (name, character) in [
            ("presence-a:{}", ':'),
            (":user:", ':'),
            ("a b", ' '),
            ("a*", '*'),
            ("a>", '>'),
            ("a/b", '/'),
            ("a\n", '\n'),
            ("#other", '#'),
            ("é", 'é'),
        ] {
            assert_eq!(ChannelName::parse(name, 200), Err(InvalidChannelName::Character(character)), "{name:?}");
        }
    }

    #[test]
    fn the_length_limit_includes_the_prefix() {
        let name = format!("private-{}", "x".repeat(192));
        assert!(ChannelName::parse(&name, 200).is_ok());
        assert_eq!(
            ChannelName::parse(&format!("{name}x"), 200),
            Err(InvalidChannelName::TooLong { length: 201, limit: 200 })
        );
        assert_eq!(ChannelName::parse("", 200), Err(InvalidChannelName::Empty));
    }
}
