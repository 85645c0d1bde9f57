//! The names that cross the bus: nodes and rooms. Both are valid once they exist, so nothing behind this file checks
//! them again. Knows nothing of the meaning of a channel's prefix.

use std::{fmt, str::FromStr, sync::Arc};

/// Characters of an app id at most.
pub const MAX_APP: usize = 200;

/// Characters of a channel name at most; well above what any app may allow, and well below the 4 KiB at which the bus
/// closes a connection over a long subject.
pub const MAX_CHANNEL: usize = 1024;

/// Names one run of one process: drawn at random at its start, so a restarted process is another node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u64);

/// One channel of one app. Its app id and its channel name have only characters that cannot harm a subject. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Room {
    app: Arc<str>,
    channel: Arc<str>,
}

/// Why a room was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoom {
    #[error("an app id on the bus has 1 to {MAX_APP} letters, digits, . _ ~ and -")]
    App,
    #[error("a channel name on the bus has 1 to {MAX_CHANNEL} letters, digits and _ - = @ , . ;")]
    Channel,
}

impl NodeId {
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for NodeId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Room {
    /// The room of a channel of an app.
    pub fn new(app: &str, channel: &str) -> Result<Self, InvalidRoom> {
        if !is_app(app) {
            return Err(InvalidRoom::App);
        }
        if !is_channel(channel) {
            return Err(InvalidRoom::Channel);
        }
        Ok(Self { app: app.into(), channel: channel.into() })
    }

    /// What sorts before all rooms of an app. Not a room: its channel has no name.
    pub(crate) fn first_of(app: &str) -> Self {
        Self { app: app.into(), channel: "".into() }
    }

    pub fn app(&self) -> &Arc<str> {
        &self.app
    }

    pub fn channel(&self) -> &Arc<str> {
        &self.channel
    }
}

/// Whether a text may be an app's id on the bus.
pub fn is_app(app: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    (1..=MAX_APP).contains(&app.len()) && app.bytes().all(allowed)
}

fn is_channel(channel: &str) -> bool {
    let rest = channel.strip_prefix("#server-to-user-").unwrap_or(channel);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte);
    !channel.is_empty() && channel.len() <= MAX_CHANNEL && rest.bytes().all(allowed)
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_nodes_are_sixteen_hexadecimal_digits_that_parse_back() {
        for bits in [0, 1, 0xdead_beef, u64::MAX] {
            let text = NodeId::from_bits(bits).to_string();
            assert_eq!((text.len(), text.parse()), (16, Ok(NodeId::from_bits(bits))));
        }
    }

    #[test]
    fn names_at_the_limit_pass_and_one_character_more_does_not() {
        let (app, channel) = ("a".repeat(MAX_APP), "c".repeat(MAX_CHANNEL));
        assert!(Room::new(&app, &channel).is_ok());
        assert_eq!(Room::new(&format!("{app}a"), &channel), Err(InvalidRoom::App));
        assert_eq!(Room::new(&app, &format!("{channel}c")), Err(InvalidRoom::Channel));
    }
}
