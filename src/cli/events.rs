//! `gaung events`: what a channel keeps of its events.

use gaung::config::Loaded;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Failure, api, complain,
    line::printable,
    print,
    target::{Target, TargetOptions},
};

/// Events of one page at most: what the API takes.
const PAGE: u64 = 1_000;

/// Which events, and how to print them.
#[derive(clap::Args)]
pub(super) struct Events {
    /// The channel, for example products.42; it must keep a history (GAUNG_APP_HISTORY)
    channel: String,
    /// Only events after this position: the id of the last event that was seen, for example k3x09a-17
    #[arg(long, value_name = "POSITION")]
    since: Option<String>,
    /// Stop after this many events, the oldest first
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print each event as {"id":…,"event":…,"data":…,"accepted_at_us":…} in a line; the data is text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetOptions,
}

/// A page of what the API tells.
#[derive(Deserialize)]
struct Page {
    complete: Option<bool>,
    events: Vec<Value>,
    position: Option<String>,
    more: bool,
}

impl Events {
    /// Events go to stdout, and to stderr what is missing between them and `--since`, and where they end.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.resolve(loaded)?;
        let mut position = self.since.clone();
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut complete = None;
        loop {
            let page = self.page(&target, position.as_deref(), left.min(PAGE)).await?;
            complete = merged(complete, page.complete).filter(|_| self.since.is_some());
            left = left.saturating_sub(page.events.len() as u64);
            page.events.iter().try_for_each(|event| self.show(event))?;
            position = page.position.or(position);
            if !page.more || left == 0 || page.events.is_empty() {
                break;
            }
        }
        complain(summary(complete, position.as_deref()));
        Ok(())
    }

    async fn page(&self, target: &Target, since: Option<&str>, limit: u64) -> Result<Page, Failure> {
        let limit = limit.to_string();
        let mut parameters = vec![("limit", limit.as_str())];
        parameters.extend(since.map(|since| ("since", since)));
        let answer = api::get(target, &["channels", &self.channel, "events"], &parameters).await?;
        serde_json::from_str(&answer)
            .map_err(|error| Failure::new(format!("{} did not answer with events: {error}", target.base())))
    }

    fn show(&self, event: &Value) -> Result<(), Failure> {
        if self.json { print(event) } else { print(line(event)) }
    }
}

/// Whether all pages together are whole.
fn merged(before: Option<bool>, page: Option<bool>) -> Option<bool> {
    match (before, page) {
        (Some(before), Some(page)) => Some(before && page),
        (before, page) => before.or(page),
    }
}

/// One line: the id, the name and the payload.
fn line(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
    printable(&format!("{}  {}  {}", text("id"), text("event"), text("data")))
}

fn summary(complete: Option<bool>, position: Option<&str>) -> String {
    let position = position.map_or_else(|| "none".to_owned(), printable);
    match complete {
        Some(true) => format!("complete  position {position}"),
        Some(false) => format!("incomplete: events may be missing  position {position}"),
        None => format!("position {position}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line_without_control_characters() {
        let event = json!({"id": "k3x09a-17", "event": "product.updated", "data": "{\"a\":1}\n"});
        assert_eq!(line(&event), "k3x09a-17  product.updated  {\"a\":1}\\n");
        assert_eq!(line(&json!({"event": "a", "data": "b"})), "-  a  b");
    }

    #[test]
    fn the_end_says_whether_something_is_missing() {
        assert_eq!(summary(Some(true), Some("k3x09a-17")), "complete  position k3x09a-17");
        assert_eq!(summary(Some(false), Some("k3x09a-17")), "incomplete: events may be missing  position k3x09a-17");
        assert_eq!(summary(None, None), "position none");
    }
}
