//! Answers to requests that nobody signs: health probes, and whatever has no place here.

use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use super::{Api, answer, error::ApiError};
use crate::session::handshake;

/// `/up`, as Reverb's users probe it.
pub async fn up() -> HttpResponse {
    answer::json(&serde_json::json!({ "health": "OK" }))
}

/// `/`, as Soketi's users probe it.
pub async fn root() -> &'static str {
    "OK"
}

/// `/ready`, as Soketi's users probe it.
pub async fn ready(api: web::Data<Api>) -> HttpResponse {
    if api.readiness.ready() { HttpResponse::Ok().body("OK") } else { ApiError::Draining.error_response() }
}

/// The paths of the sockets, for a request that is no upgrade.
pub async fn upgrade_required(request: HttpRequest, api: web::Data<Api>) -> HttpResponse {
    api.refuse(ApiError::UpgradeMissing(handshake::missing(request.headers())))
}

/// Everything else.
pub async fn path_unknown(api: web::Data<Api>) -> HttpResponse {
    api.refuse(ApiError::PathUnknown)
}
