//! What requests are told that the admin port does not serve.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use serde_json::json;

pub(super) fn refusal(status: StatusCode, error: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": error }))
}

pub(super) async fn unknown(request: HttpRequest) -> HttpResponse {
    refusal(StatusCode::NOT_FOUND, &format!("nothing is served at {}; GET / lists what is", request.path()))
}
