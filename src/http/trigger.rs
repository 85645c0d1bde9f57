//! `POST /apps/{id}/events` and `POST /apps/{id}/batch_events` (protocol.md §3.2, §3.3). An answer does not wait for
//! sockets: it says that the rooms have the events.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{HttpResponse, web::Bytes};
use serde::Serialize;

use super::{
    answer,
    api::Api,
    attributes::{Attributes, CountsAnswer},
    error::{self, ApiError},
    invalid_event::InvalidEvent,
    publication::{PostedBatch, PostedEvent},
    signed::{Ask, Signed, Verified},
};
use crate::{
    app::App,
    event::{Counts, Event, Moment, now},
    protocol::ChannelName,
    repeats::{self, Claim, Post},
    trace_log::{self, Taken},
};

/// One event for one or more channels, as it is to be published and answered.
#[derive(Debug)]
pub struct Trigger(Publication);

/// Several events, published together or not at all.
#[derive(Debug)]
pub struct Batch(Publication);

#[derive(Debug)]
struct Publication {
    events: Vec<Event>,
    question: Question,
    once: Once,
}

/// Whether it is published whenever it is posted.
#[derive(Debug)]
enum Once {
    Always,
    /// Unless it is a repeat of what was published under its key.
    Keyed(Post),
    Repeat(Bytes),
}

/// What the publisher wants to know.
#[derive(Debug)]
enum Question {
    Nothing,
    /// About each channel.
    Channels(Vec<ChannelName>, Attributes),
    /// One place for each event of the batch.
    Events(Vec<(ChannelName, Attributes)>),
}

impl Ask for Trigger {
    const TRACED: Option<&'static str> = Some("POST /apps/{app}/events");

    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        let posted = PostedEvent::read(verified.body)?;
        let post = verified.post(posted.idempotency_key()?);
        let posted = posted.sized(verified.settings)?;
        let once = once(verified, post, posted.tokens())?;
        let events = traced(posted.events(verified.settings, verified.arrival)?, verified);
        once.take_of_tenants(verified.app, &events)?;
        let attributes = posted.attributes();
        let channels = || events.iter().map(|event| event.channel.clone()).collect();
        let question =
            if attributes.wants_counts() { Question::Channels(channels(), attributes) } else { Question::Nothing };
        Ok(Self(Publication { events, question, once }))
    }
}

impl Ask for Batch {
    const TRACED: Option<&'static str> = Some("POST /apps/{app}/batch_events");

    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        let batch = PostedBatch::read(verified.body)?;
        let post = verified.post(batch.idempotency_key()?);
        let batch = batch.sized(verified.settings)?;
        let once = once(verified, post, batch.iter().map(super::publication::SizedEvent::tokens).sum())?;
        let mut events = Vec::with_capacity(batch.len());
        let mut asked = Vec::with_capacity(batch.len());
        let (accepted, mut accepted_at) = verified.arrival;
        for posted in batch {
            let mut published = posted.events(verified.settings, (accepted, accepted_at))?;
            // Of two for one cache channel the later one is the last.
            accepted_at += Duration::from_micros(1);
            let attributes = posted.attributes();
            if attributes.wants_counts() && published.len() > 1 {
                return Err(InvalidEvent::InfoOfManyChannels.into());
            }
            // An event without a channel was refused.
            asked.push((published[0].channel.clone(), attributes));
            events.append(&mut published);
        }
        let wants_counts = asked.iter().any(|(_, attributes)| attributes.wants_counts());
        let question = if wants_counts { Question::Events(asked) } else { Question::Nothing };
        once.take_of_tenants(verified.app, &events)?;
        Ok(Self(Publication { events: traced(events, verified), question, once }))
    }
}

impl Once {
    /// Counts the events in what the tenants may be sent whose channels these are, unless they are a repeat.
    fn take_of_tenants(&self, app: &App, events: &[Event]) -> Result<(), ApiError> {
        match self {
            Self::Repeat(_) => Ok(()),
            Self::Always | Self::Keyed(_) => take_of_tenants(app, events),
        }
    }
}

fn take_of_tenants(app: &App, events: &[Event]) -> Result<(), ApiError> {
    if !app.limits_events_of_tenants() {
        return Ok(());
    }
    for event in events {
        let Some(tenant) = app.tenants().of(&event.channel) else { continue };
        let taken = app.take_event_of(&tenant, event.words.data.len(), event.accepted);
        let channel = || Some(event.channel.to_string());
        taken.map_err(|reached| ApiError::LimitReached { reached, channel: channel() })?;
    }
    Ok(())
}

/// Whether the request is a repeat; what is not known to be one counts in the app's rate.
fn once(verified: &Verified<'_>, post: Option<Post>, tokens: usize) -> Result<Once, ApiError> {
    if let Some(answer) = verified.published(post.as_ref())? {
        return Ok(Once::Repeat(answer));
    }
    verified.take_events(tokens)?;
    Ok(post.map_or(Once::Always, Once::Keyed))
}

/// The events with the trace of their request.
fn traced(mut events: Vec<Event>, verified: &Verified<'_>) -> Vec<Event> {
    if let Some(trace) = verified.trace {
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

pub async fn trigger(signed: Signed<Trigger>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, arrival, ask: Trigger(publication) } = signed;
    respond(&api, &app, arrival, publication).await
}

pub async fn batch(signed: Signed<Batch>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, arrival, ask: Batch(publication) } = signed;
    respond(&api, &app, arrival, publication).await
}

async fn respond(
    api: &Api,
    app: &Arc<App>,
    arrival: Moment,
    publication: Publication,
) -> Result<HttpResponse, ApiError> {
    let Publication { events, question, once } = publication;
    let answer = match turn(api, app, once).await? {
        Turn::Repeat(answer) => answer,
        Turn::First(claim) => {
            // Who cannot be told the counts is told so before anything is published.
            let answer = question.answer(api, app).await?;
            publish(api, app, events)?;
            if let Some(claim) = claim {
                claim.published(answer.clone());
            }
            answer
        }
    };
    app.counters.outcomes.trigger_seconds.observe(arrival.0.elapsed());
    Ok(answer::text(answer))
}

/// Whose turn a post is among those of its key.
enum Turn {
    First(Option<Claim>),
    Repeat(Bytes),
}

async fn turn(api: &Api, app: &Arc<App>, once: Once) -> Result<Turn, ApiError> {
    let repeat = match once {
        Once::Always => return Ok(Turn::First(None)),
        Once::Repeat(answer) => answer,
        Once::Keyed(post) => {
            let turn = api.repeats.claim(post).await.map_err(ApiError::from);
            match turn.inspect_err(|error| api.count(error, Some(app)))? {
                repeats::Turn::First(claim) => return Ok(Turn::First(Some(claim))),
                repeats::Turn::Repeat(answer) => answer,
            }
        }
    };
    api.metrics.repeats.inc();
    Ok(Turn::Repeat(repeat))
}

impl Question {
    async fn answer(&self, api: &Api, app: &Arc<App>) -> Result<Bytes, ApiError> {
        Ok(match self {
            Self::Nothing => Bytes::from_static(b"{}"),
            Self::Channels(channels, attributes) => {
                let counts = api.rooms.counts(app, channels).await?;
                answer::text_of(&triggered(channels, counts, *attributes))
            }
            Self::Events(asked) => {
                let channels: Vec<_> = asked.iter().map(|(channel, _)| channel.clone()).collect();
                let counts = api.rooms.counts(app, &channels).await?;
                answer::text_of(&batched(asked, counts))
            }
        })
    }
}

/// Publishes an event that an operator wrote, as [`trigger`] would if the app's back end had posted the body.
pub fn by_hand(api: &Api, app_id: &str, body: &[u8]) -> Result<(), ApiError> {
    let arrival = now();
    let unknown = || ApiError::AppUnknown(app_id.chars().count());
    let app = api.registry.by_id(app_id).ok_or_else(unknown).inspect_err(|error| api.count(error, None))?;
    let events = read_by_hand(&app, body, arrival);
    publish(api, &app, events.inspect_err(|error| api.count(error, Some(&app)))?)
}

fn read_by_hand(app: &App, body: &[u8], arrival: Moment) -> Result<Vec<Event>, ApiError> {
    let settings = app.settings();
    if !settings.enabled {
        return Err(ApiError::AppDisabled);
    }
    let posted = PostedEvent::read(body)?.sized(&settings)?;
    app.take_events(posted.tokens(), arrival.0).map_err(|reached| error::of_events(reached, posted.tokens()))?;
    let events = posted.events(&settings, arrival)?;
    take_of_tenants(app, &events)?;
    Ok(events)
}

fn publish(api: &Api, app: &Arc<App>, events: Vec<Event>) -> Result<(), ApiError> {
    let count = events.len() as u64;
    let (trace, taken) = (events.first().and_then(|event| event.trace), Taken::note(&events));
    if let Err(why) = api.rooms.publish(app, events) {
        let error = ApiError::Unpublished(why);
        api.count(&error, Some(app));
        trace.inspect(|trace| trace_log::refused(*trace, Some(app), error.sender(), error.reason()));
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
