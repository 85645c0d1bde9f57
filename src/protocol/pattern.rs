//! Patterns of channel names, as tokens and back ends write them. Pure.

use std::fmt;

use super::ChannelName;

/// A channel name in which `*` stands for any number of characters other than the dot, also none. It must match the whole
/// name, prefix included: `private-orders.*` does not match `private-orders.7.lines`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPattern(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a channel pattern is empty")]
    Empty,
    #[error("a channel pattern contains {0:?}; allowed are letters, digits and _ - = @ , . ; *")]
    Character(char),
}

impl ChannelPattern {
    /// Parses a pattern: the characters of channel names and `*`.
    pub fn parse(pattern: &str) -> Result<Self, InvalidPattern> {
        let foreign = pattern.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-=@,.;*".contains(*c));
        match foreign {
            Some(character) => Err(InvalidPattern::Character(character)),
            None if pattern.is_empty() => Err(InvalidPattern::Empty),
            None => Ok(Self(pattern.to_owned())),
        }
    }

    /// Whether the whole name fits.
    pub fn matches(&self, channel: &ChannelName) -> bool {
        let mut segments = channel.as_str().split('.');
        self.0.split('.').all(|pattern| segments.next().is_some_and(|segment| fits(pattern, segment)))
            && segments.next().is_none()
    }
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first part of the pattern must stand at the start of the segment, the last at its end, the others in between in
/// their order. Taking each at its first place is enough, so the time is linear.
pub fn fits(pattern: &str, segment: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == segment };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(middle) = segment.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    between.split('*').try_fold(middle, |left, part| left.find(part).map(|at| &left[at + part.len()..])).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, channel: &str, matches: bool) {
        let parsed = ChannelPattern::parse(pattern).expect(pattern);
        let name = ChannelName::parse(channel, 200).expect(channel);
        assert_eq!(parsed.matches(&name), matches, "{pattern} and {channel}");
    }

    #[test]
    fn a_pattern_without_a_star_is_a_name() {
        check("private-orders.7", "private-orders.7", true);
        check("private-orders.7", "private-orders.77", false);
        check("private-orders.7", "orders.7", false);
        check("private-orders.7", "private-orders.7.x", false);
    }

    #[test]
    fn a_star_stays_within_its_segment() {
        check("private-orders.*", "private-orders.7", true);
        check("private-orders.*", "private-orders.", true);
        check("private-orders.*", "private-orders", false);
        check("private-orders.*", "private-orders.7.lines", false);
        check("private-*.7", "private-orders.7", true);
        check("private-*.7", "private-a.b.7", false);
        check("*", "private-orders", true);
        check("*", "private-orders.7", false);
    }

    #[test]
    fn stars_match_any_run_of_characters() {
        check("a*b*c", "abc", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("a*bc*bc", "abc", false);
        check("a*bc*bc", "abcbc", true);
        check("ab*ba", "aba", false);
        check("**", "x", true);
    }

    #[test]
    fn characters_that_no_channel_has_are_refused() {
        let refused = |pattern| ChannelPattern::parse(pattern).unwrap_err();
        assert_eq!(refused(""), InvalidPattern::Empty);
        for (pattern, character) in [("a b", ' '), ("#server-to-user-*", '#'), ("a>", '>')] {
            assert_eq!(refused(pattern), InvalidPattern::Character(character), "{pattern:?}");
        }
    }
}
