//! Which channels keep a history, and how much of it: `products.*=120s:1000`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::text;
use crate::protocol::{ChannelName, pattern};

/// Rules of one app at most: each new room compares its name with them.
const MAX_RULES: usize = 100;

/// Seconds that an event is kept at most. A node forgets after ten minutes what it published last in a channel.
const MAX_SECONDS: u64 = 600;

/// Events of one channel that are kept at most.
const MAX_EVENTS: usize = 100_000;

/// What is wrong with a text of rules.
pub(super) const FORM: &str = "channel patterns with seconds and events kept, for example products.*=120s:1000,private-orders.*=60s:500, \
                        of 1 to 600 seconds and 1 to 100000 events; at most 100";

/// The rules of an app. The first that matches a channel decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryRules(Vec<HistoryRule>);

/// How much is kept of the channels whose names match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HistoryRule {
    /// A name, prefix included, in which `*` stands for any characters, dots too.
    channels: String,
    window: HistoryWindow,
}

/// How much of a channel is kept; what exceeds either goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryWindow {
    /// For how long.
    pub time: Duration,
    /// How many events.
    pub events: usize,
}

/// A rule as it stands in the apps file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    channels: String,
    seconds: u64,
    events: usize,
}

impl HistoryRules {
    /// Reads `pattern=seconds:events` several times, separated by commas; the `s` behind seconds may be missing. `None` if
    /// the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let rules = text::pieces(text).map(HistoryRule::parse).collect::<Option<Vec<_>>>()?;
        (rules.len() <= MAX_RULES).then_some(Self(rules))
    }

    /// The same text for the JSON list of the apps file; JSON that is no such list comes back as it is.
    pub(super) fn text_of(value: &Value) -> String {
        let Ok(rules) = serde_json::from_value::<Vec<Form>>(value.clone()) else { return value.to_string() };
        let texts = rules.iter().map(|rule| format!("{}={}s:{}", rule.channels, rule.seconds, rule.events));
        texts.collect::<Vec<_>>().join(",")
    }

    /// How much is kept of a channel; `None` if nothing. What is published for a user is not kept.
    pub fn window_of(&self, channel: &ChannelName) -> Option<HistoryWindow> {
        if self.0.is_empty() || channel.kind().is_server_to_user() {
            return None;
        }
        self.0.iter().find(|rule| pattern::fits(&rule.channels, channel.as_str())).map(|rule| rule.window)
    }

    /// For how long an event is kept at most; `None` where none is.
    pub fn longest(&self) -> Option<Duration> {
        self.0.iter().map(|rule| rule.window.time).max()
    }

    /// The rules as they are set.
    pub fn text(&self) -> String {
        let texts = self
            .0
            .iter()
            .map(|HistoryRule { channels, window }| format!("{channels}={}s:{}", window.time.as_secs(), window.events));
        texts.collect::<Vec<_>>().join(",")
    }
}

impl HistoryRule {
    fn parse(text: &str) -> Option<Self> {
        // A channel's name may have an equals sign, too.
        let (channels, window) = text.rsplit_once('=')?;
        let is_pattern = channels.chars().all(|c| c.is_ascii_alphanumeric() || "_-=@.;*".contains(c));
        let (seconds, events) = window.split_once(':')?;
        let seconds: u64 = seconds.strip_suffix('s').unwrap_or(seconds).parse().ok()?;
        let events: usize = events.parse().ok()?;
        let is_within = (1..=MAX_SECONDS).contains(&seconds) && (1..=MAX_EVENTS).contains(&events);
        let window = HistoryWindow { time: Duration::from_secs(seconds), events };
        (is_pattern && !channels.is_empty() && is_within).then(|| Self { channels: channels.to_owned(), window })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(seconds: u64, events: usize) -> Option<HistoryWindow> {
        Some(HistoryWindow { time: Duration::from_secs(seconds), events })
    }

    fn check(rules: &str, channel: &str, expected: Option<HistoryWindow>) {
        let rules = HistoryRules::parse(rules).expect(rules);
        let channel = ChannelName::parse(channel, 200).unwrap();
        assert_eq!(rules.window_of(&channel), expected, "{channel} by {}", rules.text());
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        const RULES: &str = "products.*=120s:1000, *.audit=600:5 ,*=1s:1";
        check(RULES, "products.42", window(120, 1000));
        check(RULES, "products.audit", window(120, 1000));
        check(RULES, "orders.7.audit", window(600, 5));
        check(RULES, "private-products.42", window(1, 1));
    }

    #[test]
    fn a_star_stands_for_dots_too_and_a_name_is_matched_with_its_prefix() {
        check("products.*=9s:9", "products.eu.42", window(9, 9));
        check("products.*=9s:9", "private-products.42", None);
        check("", "products.42", None);
    }

    #[test]
    fn what_is_published_for_a_user_is_not_kept() {
        check("*=9s:9", "#server-to-user-7", None);
    }

    #[test]
    fn rules_are_told_as_they_were_set() {
        let rules = HistoryRules::parse("a=b=60s:5 , c*=1:2").unwrap();
        assert_eq!(rules.text(), "a=b=60s:5,c*=1s:2");
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in
            ["x", "x=", "=1s:1", "x=1s", "x=1s:", "x=0s:1", "x=601s:1", "x=1s:0", "x=1s:100001", "x y=1s:1", "#x=1s:1"]
        {
            assert_eq!(HistoryRules::parse(text), None, "{text:?}");
        }
        assert_eq!(HistoryRules::parse(&vec!["x=1s:1"; 101].join(",")), None);
    }
}
