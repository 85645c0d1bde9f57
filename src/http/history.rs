//! `GET /apps/{id}/channels/{channel}/events`: what the node that answers keeps of a channel's events.

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};

use super::{
    answer,
    error::ApiError,
    signed::{Ask, Signed, Verified},
};
use crate::{
    event::EncodedEvent,
    protocol::{ChannelName, Position},
    room::HistoryPage,
};

/// Events of one page, unless the request says how many.
const USUAL: usize = 100;

/// Events of one page at most.
const MOST: usize = 1_000;

/// A page of a channel's events.
#[derive(Debug)]
pub(super) struct History {
    channel: ChannelName,
    since: Option<Position>,
    limit: usize,
}

#[derive(Deserialize)]
struct Parameters {
    since: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Answer {
    /// Whether nothing is missing between `since` and the first event; absent without `since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
    events: Vec<EventAnswer>,
    /// The `since` of the next request, whether or not more events are there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    more: bool,
}

#[derive(Serialize)]
struct EventAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    event: String,
    data: String,
    /// Microseconds of the Unix epoch.
    accepted_at_us: u64,
}

impl Ask for History {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        let Parameters { since, limit } = verified.query()?;
        let since = since.filter(|since| !since.is_empty()).map(|since| since.parse());
        let since = since.transpose().map_err(|invalid| ApiError::Query(format!("{invalid}")))?;
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::Query(format!("limit is {limit}; it must be from 1 to {MOST}")));
        }
        let channel = verified.channel()?;
        if verified.settings.history.window_of(&channel).is_none() {
            return Err(ApiError::NoHistory(channel.to_string()));
        }
        Ok(Self { channel, since, limit })
    }
}

/// Shows the oldest events first. A channel that is not open on this node has none, and says that it is not whole.
pub(super) async fn events(signed: Signed<History>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: History { channel, since, limit }, .. } = signed;
    let is_relative = since.is_some();
    let page = api.rooms.history(&app, &channel, since, limit).await?;
    Ok(answer::json(&Answer::of(page, is_relative)))
}

impl Answer {
    fn of(HistoryPage { events, is_whole, position, more }: HistoryPage, is_relative: bool) -> Self {
        Self {
            complete: is_relative.then_some(is_whole),
            events: events.iter().filter_map(shown).collect(),
            position: (!position.is_empty()).then(|| position.to_string()),
            more,
        }
    }
}

fn shown(event: &EncodedEvent) -> Option<EventAnswer> {
    let words = event.words()?;
    Some(EventAnswer {
        id: event.id().map(|id| id.to_string()),
        event: words.name.clone(),
        data: words.data.clone(),
        accepted_at_us: u64::try_from(event.accepted_at.as_micros()).unwrap_or(u64::MAX),
    })
}
