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

/// Counts the app's sockets.
pub async fn count(signed: Signed<Connections>) -> HttpResponse {
    answer::json(&ConnectionsAnswer { connections: signed.app.counters.connections() })
}

/// Closes the user's sockets; a user without any is fine.
pub async fn terminate(signed: Signed<Termination>) -> HttpResponse {
    signed.api.rooms.terminate(&signed.app, &signed.ask.user_id);
    answer::empty()
}
