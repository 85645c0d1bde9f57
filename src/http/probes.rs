//! Answers to requests that nobody signs: health probes, and whatever has no place here.

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::header, web};

use super::{Api, answer, error::ApiError};

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
    api.refuse(ApiError::UpgradeMissing(missing(&request)))
}

/// Everything else.
pub async fn path_unknown(api: web::Data<Api>) -> HttpResponse {
    api.refuse(ApiError::PathUnknown)
}

/// What RFC 6455 §4.2.1 wants and the request does not have.
fn missing(request: &HttpRequest) -> Vec<&'static str> {
    let names = |header: header::HeaderName, value: &str| {
        let values = request.headers().get_all(header);
        let mut options = values.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        options.any(|option| option.trim().eq_ignore_ascii_case(value))
    };
    let has = |header: header::HeaderName| request.headers().contains_key(header);
    [
        ("Upgrade: websocket", names(header::UPGRADE, "websocket")),
        ("Connection: Upgrade", names(header::CONNECTION, "upgrade")),
        ("Sec-WebSocket-Version: 13", names(header::SEC_WEBSOCKET_VERSION, "13")),
        ("Sec-WebSocket-Key", has(header::SEC_WEBSOCKET_KEY)),
    ]
    .into_iter()
    .filter_map(|(header, is_there)| (!is_there).then_some(header))
    .collect()
}
