//! Patterns of channel names, as tokens and back ends write them. Pure.

use std::fmt;

use super::ChannelName;

/// A channel name in which `*` stands for any number of characters other than the dot, also none. It must match the whole
/// name, prefix included: `private-orders.*` does not match `private-orders.7.lines`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPattern(String);

/// Several patterns. One text holds them all: every socket that is signed in keeps its own.
///
/// Invariant: between the patterns stands a blank, which none of them has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelPatterns(Box<str>);

const BETWEEN: char = ' ';

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
        matches(&self.0, channel)
    }
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ChannelPatterns {
    /// Parses each pattern.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let mut joined = String::new();
        for pattern in patterns {
            if !joined.is_empty() {
                joined.push(BETWEEN);
            }
            joined.push_str(&ChannelPattern::parse(pattern)?.0);
        }
        Ok(Self(joined.into()))
    }

    /// Whether any of them fits the whole name.
    pub fn match_any(&self, channel: &ChannelName) -> bool {
        self.0.split(BETWEEN).any(|pattern| matches(pattern, channel))
    }

    /// Whether there may be a channel that both these and one of the others fit: rather yes than no.
    pub fn may_share(&self, others: &[ChannelPattern]) -> bool {
        let mut patterns = self.0.split(BETWEEN).filter(|pattern| !pattern.is_empty());
        patterns.any(|pattern| others.iter().any(|other| may_share(pattern, &other.0)))
    }
}

fn matches(pattern: &str, channel: &ChannelName) -> bool {
    let mut segments = channel.as_str().split('.');
    pattern.split('.').all(|pattern| segments.next().is_some_and(|segment| fits(pattern, segment)))
        && segments.next().is_none()
}

fn may_share(one: &str, other: &str) -> bool {
    let mut segments = other.split('.');
    one.split('.').all(|one| segments.next().is_some_and(|other| may_share_segment(one, other)))
        && segments.next().is_none()
}

/// Of two segments with stars only what stands before the first and behind the last of each is compared.
fn may_share_segment(one: &str, other: &str) -> bool {
    let (Some((one_start, _)), Some((other_start, _))) = (one.split_once('*'), other.split_once('*')) else {
        return fits(one, other) || fits(other, one);
    };
    let end = |segment: &str| segment.rfind('*').map_or(0, |star| segment.len() - star - 1);
    let (one_end, other_end) = (&one[one.len() - end(one)..], &other[other.len() - end(other)..]);
    (one_start.starts_with(other_start) || other_start.starts_with(one_start))
        && (one_end.ends_with(other_end) || other_end.ends_with(one_end))
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
    fn any_of_several_patterns_may_match() {
        let patterns = ChannelPatterns::parse(["private-a", "presence-*.7"]).unwrap();
        for (channel, matches) in
            [("private-a", true), ("presence-b.7", true), ("private-a.7", false), ("presence-b", false)]
        {
            assert_eq!(patterns.match_any(&ChannelName::parse(channel, 200).unwrap()), matches, "{channel}");
        }
        assert_eq!(ChannelPatterns::parse(["private-a", ""]), Err(InvalidPattern::Empty));
        assert_eq!(ChannelPatterns::parse(["private-a private-b"]), Err(InvalidPattern::Character(' ')));
    }

    #[test]
    fn two_patterns_may_share_a_channel_unless_their_names_rule_it_out() {
        for (one, other, may) in [
            ("private-a", "private-a", true),
            ("private-a", "private-b", false),
            ("private-orders.*", "private-orders.7", true),
            ("private-*.7", "private-orders.*", true),
            ("private-*.7", "private-orders.*8", false),
            ("private-orders.*", "private-invoices.*", false),
            ("private-orders.*", "private-orders.*.lines", false),
            ("private-orders.*", "private-orders", false),
            ("*", "presence-room", true),
            ("*a", "b*", true),
            ("a*x*b", "a*y*b", true),
        ] {
            let others = [ChannelPattern::parse(other).unwrap()];
            assert_eq!(ChannelPatterns::parse([one]).unwrap().may_share(&others), may, "{one} and {other}");
            let others = [ChannelPattern::parse(one).unwrap()];
            assert_eq!(ChannelPatterns::parse([other]).unwrap().may_share(&others), may, "{other} and {one}");
        }
        assert!(!ChannelPatterns::default().may_share(&[ChannelPattern::parse("*").unwrap()]));
    }

    #[test]
    fn no_pattern_matches_no_channel() {
        let none = ChannelPatterns::parse([]).unwrap();
        assert_eq!(none, ChannelPatterns::default());
        assert!(!none.match_any(&ChannelName::parse("private-a", 200).unwrap()));
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
