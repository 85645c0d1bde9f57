//! `GET /apps/{id}/connections` and `POST /apps/{id}/users/{user}/terminate_connections` (protocol.md §3.8, §3.9).

use actix_web::HttpResponse;
use serde::Serialize;

use super::{
    answer,
    error::ApiError,
    signed::{Ask, Signed, Verified},
};

/// How many sockets the app has.
#[derive(Debug)]
pub struct Connections;

/// The end of all sockets of one signed-in user.
#[derive(Debug)]
pub struct Termination {
    user_id: String,
}

impl Ask for Connections {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        verified.take_read()?;
        Ok(Self)
    }
}

impl Ask for Termination {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        Ok(Self { user_id: verified.segment("user").into_owned() })
    }
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
    let Signed { api, app, ask: Termination { user_id }, .. } = signed;
    api.rooms
        .terminate(&app, &user_id)
        .map_err(ApiError::Unpublished)
        .inspect_err(|error| api.count(error, Some(&app)))?;
    Ok(answer::empty())
}
