//! What a channel keeps of its events, as the page asks for it.

use serde::{Deserialize, Serialize};

use super::ask::{Answer, find_app};
use crate::{admin::shown::Admin, event::EncodedEvent, http::error::ApiError, protocol::ChannelName};

/// The most events in one answer: the newest.
const MAX_EVENTS: usize = 200;

/// Which channel.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Channel {
    query: u64,
    app: String,
    channel: String,
}

/// An event that is kept.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Kept {
    id: Option<String>,
    event: String,
    /// Milliseconds of the Unix epoch.
    at: u64,
    bytes: usize,
    /// `None` where payloads are not shown.
    data: Option<String>,
}

impl Channel {
    /// Asks the room of this node.
    pub(super) async fn answer(self, admin: &Admin) -> Answer {
        let query = self.query;
        match self.newest(admin).await {
            Ok(events) => {
                let shows_payloads = admin.console.shows_payloads;
                let events = events.iter().filter_map(|event| Kept::of(event, shows_payloads)).collect();
                Answer::History { query, events }
            }
            Err(message) => Answer::Failed { query: Some(query), message },
        }
    }

    async fn newest(self, admin: &Admin) -> Result<Vec<EncodedEvent>, String> {
        let app = find_app(admin, &self.app)?;
        let limit = app.settings().max_channel_name_length;
        let channel = ChannelName::parse(&self.channel, limit).map_err(|invalid| invalid.to_string())?;
        if app.settings().history.window_of(&channel).is_none() {
            return Err(ApiError::NoHistory(channel.to_string()).to_string());
        }
        admin.rooms.newest_events(&app, &channel, MAX_EVENTS).await.map_err(|error| error.to_string())
    }
}

impl Kept {
    fn of(event: &EncodedEvent, shows_payloads: bool) -> Option<Self> {
        let words = event.words()?;
        Some(Self {
            id: event.id().map(|id| id.to_string()),
            event: words.name.clone(),
            at: u64::try_from(event.accepted_at.as_millis()).unwrap_or(u64::MAX),
            bytes: words.data.len(),
            data: shows_payloads.then(|| words.data.clone()),
        })
    }
}
