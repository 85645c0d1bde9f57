//! `GET /apps/{id}/connections`, and what a back end does to the connections of a user: `POST
//! /apps/{id}/users/{user}/terminate_connections`, `/reconnect` and `/unsubscribe` (protocol.md §3.8, §3.9).

use std::sync::Arc;

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};

use super::{
    answer,
    api::Api,
    error::ApiError,
    signed::{Ask, Signed, Verified},
};
use crate::{app::App, event::UserAction, protocol::ChannelPattern};

/// How many sockets the app has.
#[derive(Debug)]
pub struct Connections;

/// Patterns of one request at most.
const MAX_PATTERNS: usize = 100;

/// The end of all sockets of one user.
#[derive(Debug)]
pub struct Termination(User);

/// All sockets of one user are to come back as new ones.
#[derive(Debug)]
pub struct Reconnection(User);

/// The same for those that are subscribed to certain channels.
#[derive(Debug)]
pub struct Revocation(User, Arc<[ChannelPattern]>);

#[derive(Debug)]
struct User(String);

impl Ask for Connections {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        Ok(Self)
    }
}

impl Ask for Termination {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        Ok(Self(User::of(verified)))
    }
}

impl Ask for Reconnection {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        Ok(Self(User::of(verified)))
    }
}

impl Ask for Revocation {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        Ok(Self(User::of(verified), patterns(verified.body)?))
    }
}

impl User {
    fn of(verified: &Verified<'_>) -> Self {
        Self(verified.segment("user").into_owned())
    }
}

fn patterns(body: &[u8]) -> Result<Arc<[ChannelPattern]>, ApiError> {
    #[derive(Deserialize)]
    struct Body {
        channels: Vec<String>,
    }
    let Body { channels } = serde_json::from_slice(body).map_err(|error| ApiError::Patterns(error.to_string()))?;
    if !(1..=MAX_PATTERNS).contains(&channels.len()) {
        return Err(ApiError::Patterns(format!("it has {} channels, allowed are 1 to {MAX_PATTERNS}", channels.len())));
    }
    let parse =
        |pattern: &String| ChannelPattern::parse(pattern).map_err(|invalid| ApiError::Patterns(invalid.to_string()));
    channels.iter().map(parse).collect()
}

#[derive(Serialize)]
struct ConnectionsAnswer {
    connections: usize,
}

/// Counts the app's sockets on all nodes.
pub async fn count(signed: Signed<Connections>) -> HttpResponse {
    let counters = &signed.app.counters;
    answer::json(&ConnectionsAnswer { connections: counters.connections() + counters.remote_connections() })
}

/// Closes the user's sockets on all nodes; a user without any is fine.
pub async fn terminate(signed: Signed<Termination>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Termination(user), .. } = signed;
    act(&api, &app, &user, &UserAction::Terminate)
}

/// Lets the user's sockets come back, so that the application decides anew what they may hear.
pub async fn reconnect(signed: Signed<Reconnection>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Reconnection(user), .. } = signed;
    act(&api, &app, &user, &UserAction::Reconnect)
}

/// The same for those of the user's sockets that are subscribed to some channels.
pub async fn unsubscribe(signed: Signed<Revocation>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: Revocation(user, patterns), .. } = signed;
    act(&api, &app, &user, &UserAction::Unsubscribe(patterns))
}

fn act(api: &Api, app: &Arc<App>, User(user): &User, action: &UserAction) -> Result<HttpResponse, ApiError> {
    let acted = api.rooms.act_on_user(app, user, action).map_err(ApiError::Unpublished);
    acted.inspect_err(|error| api.count(error, Some(app)))?;
    Ok(answer::empty())
}
