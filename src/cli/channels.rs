//! `gaung channels`: the channels that have subscribers.

use std::collections::BTreeMap;

use gaung::config::Loaded;
use serde::{Deserialize, Serialize};

use super::{Failure, api, print, table::table, target::TargetOptions};

/// Only these channels have users to count.
const PRESENCE: &str = "presence-";

/// Which channels, and how to print them.
#[derive(clap::Args)]
pub(super) struct Channels {
    /// Only channels whose name starts with this, for example presence-
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Print {"channels":{NAME:{"subscription_count":N,"user_count":N}}}; only presence channels have a user_count
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetOptions,
}

/// What the API tells of all channels.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Occupied {
    channels: BTreeMap<String, Counts>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Counts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_count: Option<u64>,
}

impl Channels {
    /// Succeeds if the server tells of its channels, also if there is none.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.resolve(loaded)?;
        let mut occupied = Occupied::default();
        for (prefix, info) in questions(&self.prefix) {
            let answer = api::get(&target, &["channels"], &[("filter_by_prefix", prefix), ("info", info)]).await?;
            let answer: Occupied = serde_json::from_str(&answer).map_err(|error| {
                Failure::new(format!("{} did not answer with a list of channels: {error}", target.base()))
            })?;
            occupied.channels.extend(answer.channels);
        }
        if self.json { print(serde_json::json!(occupied)) } else { print(list(&occupied)) }
    }
}

/// What to ask for: prefixes and counts. The API counts users only where all that is asked for are presence channels.
fn questions(prefix: &str) -> Vec<(&str, &'static str)> {
    let counts_of_all = "subscription_count,user_count";
    match prefix {
        _ if prefix.starts_with(PRESENCE) => vec![(prefix, counts_of_all)],
        _ if PRESENCE.starts_with(prefix) => vec![(prefix, "subscription_count"), (PRESENCE, counts_of_all)],
        _ => vec![(prefix, "subscription_count")],
    }
}

fn list(occupied: &Occupied) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let rows = occupied.channels.iter();
    let rows = rows.map(|(name, counts)| [name.clone(), count(counts.subscription_count), count(counts.user_count)]);
    table(["CHANNEL", "SUBSCRIPTIONS", "USERS"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_asked_for_only_where_the_api_counts_them() {
        let both = "subscription_count,user_count";
        assert_eq!(questions(""), [("", "subscription_count"), ("presence-", both)]);
        assert_eq!(questions("pre"), [("pre", "subscription_count"), ("presence-", both)]);
        assert_eq!(questions("presence-a"), [("presence-a", both)]);
        assert_eq!(questions("orders"), [("orders", "subscription_count")]);
    }

    #[test]
    fn a_channel_is_a_line_and_what_was_not_told_is_a_dash() {
        let occupied = r#"{"channels":{"presence-a":{"subscription_count":3,"user_count":2},"b":{}}}"#;
        let expected = "CHANNEL     SUBSCRIPTIONS  USERS\nb           -              -\npresence-a  3              2";
        assert_eq!(list(&serde_json::from_str(occupied).unwrap()), expected);
    }
}
