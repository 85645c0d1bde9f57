//! What the page has to say, and the answers to what it asks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::history::{self, Kept};
use crate::{
    admin::shown::Admin,
    app::App,
    event::Counts,
    http::{error::ApiError, trigger},
    protocol::ChannelName,
};

/// The most rooms in one answer.
const MAX_ROOMS: usize = 500;

/// A message of the page.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Ask {
    /// Show what happens from now on: of one app or all, of some channels or of everything.
    Watch {
        app: Option<String>,
        channel: Option<String>,
    },
    /// Show it no more.
    Unwatch,
    /// Which rooms of the cluster have this in their name?
    Rooms(Search),
    /// What does a channel keep of its events on this node?
    History(history::Channel),
    Publish(Draft),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Search {
    pub(super) query: u64,
    app: String,
    search: String,
    limit: usize,
}

/// An event that an operator wrote.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Draft {
    pub(super) query: u64,
    app: String,
    channel: String,
    event: String,
    data: String,
}

/// An answer to the page.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer {
    /// The rooms that a search has found: how many, and the largest of them.
    Rooms {
        query: u64,
        total: usize,
        rooms: Vec<Room>,
    },
    /// The newest events that a channel keeps, the oldest of them first.
    History {
        query: u64,
        events: Vec<Kept>,
    },
    Published {
        query: u64,
    },
    /// It could not be done, or was not understood; why.
    Failed {
        query: Option<u64>,
        message: String,
    },
}

/// One room on all nodes.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Room {
    channel: String,
    subscribers: usize,
    /// `None` in a channel that has no members.
    members: Option<usize>,
}

impl Ask {
    /// Understands a text frame.
    pub(super) fn parse(text: &str) -> Result<Self, Answer> {
        serde_json::from_str(text)
            .map_err(|error| Answer::Failed { query: None, message: format!("invalid console message: {error}") })
    }
}

/// The app of an id, or why there is none.
pub(super) fn find_app(admin: &Admin, id: &str) -> Result<Arc<App>, String> {
    admin.registry.by_id(id).ok_or_else(|| ApiError::AppUnknown(id.chars().count()).to_string())
}

impl Search {
    /// Asks the whole cluster.
    pub(super) async fn answer(self, admin: &Admin) -> Answer {
        let app = match find_app(admin, &self.app) {
            Ok(app) => app,
            Err(message) => return Answer::Failed { query: Some(self.query), message },
        };
        let (mut found, mut after) = (Found::new(self.search, self.limit), None);
        loop {
            let page = match admin.rooms.occupied(&app, "", after).await {
                Ok(page) => page,
                Err(error) => return Answer::Failed { query: Some(self.query), message: error.to_string() },
            };
            found.look_through(page.channels);
            after = page.next;
            if after.is_none() {
                return found.answer(self.query);
            }
        }
    }
}

/// What a search has found so far: how many, and of the largest not many more than are shown.
struct Found {
    search: String,
    limit: usize,
    total: usize,
    largest: Vec<(ChannelName, Counts)>,
}

impl Found {
    fn new(search: String, limit: usize) -> Self {
        Self { search, limit: limit.min(MAX_ROOMS), total: 0, largest: Vec::new() }
    }

    fn look_through(&mut self, mut rooms: Vec<(ChannelName, Counts)>) {
        rooms.retain(|(channel, _)| channel.as_str().contains(&self.search));
        self.total += rooms.len();
        self.largest.append(&mut rooms);
        self.choose();
    }

    /// The largest first, equals by name.
    fn choose(&mut self) {
        self.largest.sort_unstable_by(|(one, its), (other, others)| {
            others.subscriptions.cmp(&its.subscriptions).then_with(|| one.cmp(other))
        });
        self.largest.truncate(self.limit);
    }

    fn answer(self, query: u64) -> Answer {
        Answer::Rooms { query, total: self.total, rooms: self.largest.into_iter().map(Room::from).collect() }
    }
}

impl From<(ChannelName, Counts)> for Room {
    fn from((channel, counts): (ChannelName, Counts)) -> Self {
        let members = channel.kind().is_presence().then_some(counts.users);
        Self { channel: channel.to_string(), subscribers: counts.subscriptions, members }
    }
}

impl Draft {
    /// Publishes it as if the app's back end had posted it.
    pub(super) fn publish(self, admin: &Admin) -> Answer {
        let Self { query, app, channel, event, data } = self;
        let body = json!({ "name": event, "channel": channel, "data": data }).to_string();
        match trigger::by_hand(&admin.console.api, &app, body.as_bytes()) {
            Ok(()) => Answer::Published { query },
            Err(error) => Answer::Failed { query: Some(query), message: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(search: &str, limit: usize) -> (usize, Vec<String>) {
        let room =
            |name: &str, subscriptions| (ChannelName::parse(name, 200).unwrap(), Counts { subscriptions, users: 1 });
        let pages =
            [vec![room("orders.1", 2), room("presence-orders.2", 7)], vec![room("news", 9), room("orders.0", 2)]];
        let mut found = Found::new(search.to_owned(), limit);
        pages.into_iter().for_each(|page| found.look_through(page));
        let Answer::Rooms { total, rooms, .. } = found.answer(1) else { panic!("rooms are found") };
        (total, rooms.iter().map(|room| format!("{} {} {:?}", room.channel, room.subscribers, room.members)).collect())
    }

    #[test]
    fn rooms_are_found_by_a_part_of_their_name_the_largest_first() {
        let orders = ["presence-orders.2 7 Some(1)", "orders.0 2 None", "orders.1 2 None"].map(str::to_owned).to_vec();
        assert_eq!(search("orders", 500), (3, orders.clone()));
        assert_eq!(search("orders", 1), (3, orders[..1].to_vec()));
        assert_eq!(search("", 0), (4, Vec::new()));
        assert_eq!(search("Orders", 500), (0, Vec::new()));
    }

    #[test]
    fn no_answer_has_more_rooms_than_the_limit() {
        let room = |number| (ChannelName::parse(&format!("a{number}"), 200).unwrap(), Counts::default());
        let mut found = Found::new(String::new(), usize::MAX);
        found.look_through((0..MAX_ROOMS + 1).map(room).collect());
        let Answer::Rooms { total, rooms, .. } = found.answer(1) else { panic!("rooms are found") };
        assert_eq!((total, rooms.len()), (MAX_ROOMS + 1, MAX_ROOMS));
    }

    #[test]
    fn the_page_is_understood() {
        let watch = |app: Option<&str>, channel: Option<&str>| Ask::Watch {
            app: app.map(str::to_owned),
            channel: channel.map(str::to_owned),
        };
        for (text, ask) in [
            (r#"{"type":"watch","app":null,"channel":null}"#, watch(None, None)),
            (r#"{"type":"watch","app":"1","channel":"orders.*"}"#, watch(Some("1"), Some("orders.*"))),
            (r#"{"type":"unwatch"}"#, Ask::Unwatch),
        ] {
            assert_eq!(Ask::parse(text), Ok(ask), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_of_the_page_is_told_so_without_a_query() {
        for text in [
            "",
            "null",
            "{}",
            r#"{"type":"dance"}"#,
            r#"{"type":"rooms","query":7}"#,
            r#"{"type":"publish","query":"7"}"#,
        ] {
            let Err(Answer::Failed { query: None, message }) = Ask::parse(text) else { panic!("{text}") };
            assert!(message.starts_with("invalid console message: "), "{message}");
        }
    }
}
