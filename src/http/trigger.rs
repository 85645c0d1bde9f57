//! `POST /apps/{id}/events` and `POST /apps/{id}/batch_events` (protocol.md §3.2, §3.3). An answer does not wait for
//! sockets: it says that the rooms have the events.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use actix_web::HttpResponse;
use serde::Serialize;

use super::{
    Api, answer,
    attributes::{Attributes, CountsAnswer},
    error::{ApiError, Rate},
    invalid_event::InvalidEvent,
    publication::{PostedBatch, PostedEvent},
    signed::{Ask, Signed, Verified},
};
use crate::{
    app::App,
    protocol::ChannelName,
    room::{
        Counts, Event,
        event::{Moment, now},
    },
    trail::{self, Taken},
};

/// One event for one or more channels.
#[derive(Debug)]
pub struct Trigger {
    events: Vec<Event>,
    attributes: Attributes,
}

/// Several events, published together or not at all.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    /// One place for each event that was posted.
    asked: Vec<(ChannelName, Attributes)>,
}

impl Ask for Trigger {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        let posted = PostedEvent::read(verified.body)?.sized(verified.settings)?;
        verified.take_events(posted.tokens())?;
        let events = traced(posted.events(verified.settings, verified.arrival)?, verified);
        Ok(Self { events, attributes: posted.attributes() })
    }
}

impl Ask for Batch {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        let batch = PostedBatch::read(verified.body, verified.settings)?;
        verified.take_events(batch.iter().map(|posted| posted.tokens()).sum())?;
        let mut events = Vec::with_capacity(batch.len());
        let mut asked = Vec::with_capacity(batch.len());
        for posted in batch {
            let mut published = posted.events(verified.settings, verified.arrival)?;
            let attributes = posted.attributes();
            if attributes.wants_counts() && published.len() > 1 {
                return Err(InvalidEvent::InfoOfManyChannels.into());
            }
            // An event without a channel was refused.
            asked.push((published[0].channel.clone(), attributes));
            events.append(&mut published);
        }
        Ok(Self { events: traced(events, verified), asked })
    }
}

/// The events with the trace of their request.
fn traced(mut events: Vec<Event>, verified: &Verified<'_>) -> Vec<Event> {
    if let Some(trace) = verified.trace() {
        events.iter_mut().for_each(|event| event.trace = Some(trace));
    }
    events
}

#[derive(Serialize)]
struct Triggered<'a> {
    channels: BTreeMap<&'a str, CountsAnswer>,
}

#[derive(Serialize)]
struct Batched {
    batch: Vec<CountsAnswer>,
}

/// Publishes one event.
pub async fn trigger(signed: Signed<Trigger>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, arrival, ask: Trigger { events, attributes } } = signed;
    let mut channels = Vec::new();
    if attributes.wants_counts() {
        channels.extend(events.iter().map(|event| event.channel.clone()));
    }
    // Who cannot be told the counts is told so before anything is published: a second try publishes nothing twice.
    let counts = if channels.is_empty() { Vec::new() } else { api.rooms.counts(&app, &channels).await? };
    publish(&api, &app, events)?;
    let answer =
        if channels.is_empty() { answer::empty() } else { answer::json(&triggered(&channels, counts, attributes)) };
    api.metrics.trigger_seconds.observe(arrival.0.elapsed().as_secs_f64());
    Ok(answer)
}

/// Publishes all events of a batch.
pub async fn batch(signed: Signed<Batch>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, arrival, ask: Batch { events, asked } } = signed;
    let mut counts = None;
    if asked.iter().any(|(_, attributes)| attributes.wants_counts()) {
        let channels: Vec<_> = asked.iter().map(|(channel, _)| channel.clone()).collect();
        counts = Some(api.rooms.counts(&app, &channels).await?);
    }
    publish(&api, &app, events)?;
    let answer = counts.map_or_else(answer::empty, |counts| answer::json(&batched(&asked, counts)));
    api.metrics.trigger_seconds.observe(arrival.0.elapsed().as_secs_f64());
    Ok(answer)
}

/// Publishes an event that an operator wrote, as [`trigger`] would if the app's back end had posted the body.
pub fn by_hand(api: &Api, app_id: &str, body: &[u8]) -> Result<(), ApiError> {
    let arrival = now();
    let unknown = || ApiError::AppUnknown(app_id.chars().count());
    let app = api.registry.by_id(app_id).ok_or_else(unknown).inspect_err(|error| api.count(error, || None))?;
    let events = read_by_hand(api, &app, body, arrival);
    publish(api, &app, events.inspect_err(|error| api.count(error, || Some(app.clone())))?)
}

fn read_by_hand(api: &Api, app: &App, body: &[u8], arrival: Moment) -> Result<Vec<Event>, ApiError> {
    let settings = app.settings();
    if !settings.enabled {
        return Err(ApiError::AppDisabled);
    }
    let posted = PostedEvent::read(body)?.sized(&settings)?;
    api.take(Rate::Events, app, posted.tokens(), arrival.0)?;
    Ok(posted.events(&settings, arrival)?)
}

fn publish(api: &Api, app: &Arc<App>, events: Vec<Event>) -> Result<(), ApiError> {
    let count = events.len() as u64;
    let (trace, taken) = (events.first().and_then(|event| event.trace), Taken::note(&events));
    if let Err(why) = api.rooms.publish(app, events) {
        let error = ApiError::Unpublished(why);
        api.count(&error, || Some(app.clone()));
        trace.inspect(|trace| trail::refused(*trace, Some(app), error.sender(), error.reason()));
        return Err(error);
    }
    app.counters.events_in.fetch_add(count, Ordering::Relaxed);
    if let Some(taken) = taken {
        taken.tell(app);
    }
    Ok(())
}

fn triggered(channels: &[ChannelName], counts: Vec<Counts>, attributes: Attributes) -> Triggered<'_> {
    let mut answers = BTreeMap::new();
    for (channel, counts) in channels.iter().zip(counts) {
        answers.insert(channel.as_str(), attributes.of(channel.kind(), counts));
    }
    Triggered { channels: answers }
}

fn batched(asked: &[(ChannelName, Attributes)], counts: Vec<Counts>) -> Batched {
    let answers = asked.iter().zip(counts).map(|((channel, attributes), counts)| attributes.of(channel.kind(), counts));
    Batched { batch: answers.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_USERS: Counts = Counts { users: 2, subscriptions: 3 };

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    fn check(answer: impl Serialize, expected: &str) {
        assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
    }

    #[test]
    fn a_trigger_tells_of_every_channel_occupied_or_not() {
        let channels = ["presence-room", "orders", "presence-cold"].map(channel);
        check(
            triggered(
                &channels,
                vec![TWO_USERS, Counts { users: 0, subscriptions: 1 }, Counts::default()],
                Attributes::parse("user_count,subscription_count"),
            ),
            concat!(
                r#"{"channels":{"orders":{"subscription_count":1},"#,
                r#""presence-cold":{"user_count":0,"subscription_count":0},"#,
                r#""presence-room":{"user_count":2,"subscription_count":3}}}"#
            ),
        );
    }

    #[test]
    fn a_batch_has_one_place_for_each_event_empty_where_nothing_was_asked() {
        let asked = [
            (channel("orders"), Attributes::parse("subscription_count")),
            (channel("orders"), Attributes::default()),
            (channel("presence-room"), Attributes::parse("user_count")),
        ];
        check(batched(&asked, vec![TWO_USERS; 3]), r#"{"batch":[{"subscription_count":3},{},{"user_count":2}]}"#);
    }
}
