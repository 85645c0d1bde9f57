//! `GET /sse`: server-sent events for clients without a library (docs/server-sent-events.md). `EventSource` gives up for good
//! after any status but 200, so that only what can never be served gets another one.

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
    web::Data,
};
use serde_json::json;

use super::{
    answer,
    asking::{asking, shared_connection},
};
use crate::{
    config::TenantAccess,
    protocol::Close,
    session::{answer::open, refusal::StreamRefusal, services::Services},
    tenant::{outbound, stream},
};

/// Refusals that no later attempt changes. After any other one the client is told to come back.
const FINAL: [(Close, StatusCode); 6] = [
    (Close::TenantInvalid, StatusCode::BAD_REQUEST),
    (Close::TenantRefused, StatusCode::UNAUTHORIZED),
    (Close::OriginRefused, StatusCode::FORBIDDEN),
    (Close::AppDisabled, StatusCode::FORBIDDEN),
    (Close::TenantNotServed, StatusCode::NOT_FOUND),
    (Close::PathUnknown, StatusCode::NOT_FOUND),
];

/// Opens a stream, or says why not.
pub(super) async fn events(request: HttpRequest, services: Data<Rc<Services>>) -> HttpResponse {
    let shared = shared_connection(&request);
    let asking = asking(&request, shared.as_ref());
    let services = services.get_ref();
    let mut answer = match open(asking, services.clone()).await {
        Ok(body) => event_stream().body(body),
        Err(StreamRefusal::Invalid(invalid)) => {
            let status = StatusCode::from_u16(invalid.status()).unwrap_or(StatusCode::BAD_REQUEST);
            refused(status, &invalid.to_string())
        }
        Err(StreamRefusal::Close(refusal)) => match FINAL.iter().find(|(close, _)| *close == refusal.close) {
            Some((_, status)) => refused(*status, &refusal.text),
            None => put_off(refusal.close, &refusal.text),
        },
    };
    if answer.status() == StatusCode::OK {
        allow_origin(&request, services.shared.tenant.access, answer.headers_mut());
    }
    answer
}

/// `Connection: close`: what comes behind a stream on its connection would not be counted among those of HTTP.
fn event_stream() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .force_close()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx passes on at once what it would collect otherwise.
        .insert_header(("X-Accel-Buffering", "no"));
    response
}

/// The client is told why, and comes back in a while.
pub(super) fn put_off(close: Close, text: &str) -> HttpResponse {
    let told = stream::message(&outbound::error(close.code(), text, None));
    let retry = stream::retry(stream::pause(Some(close), rand::random()));
    event_stream().body([told, retry].concat())
}

fn refused(status: StatusCode, text: &str) -> HttpResponse {
    answer::json_with(HttpResponse::build(status), &json!({"error": text, "code": status.as_u16()}))
}

/// The page was found to be allowed when the stream was admitted. Where the application looks at cookies, it may send some.
fn allow_origin(request: &HttpRequest, access: TenantAccess, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.headers().get(header::ORIGIN) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if access == TenantAccess::Callback {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}
