//! The HTTP transports of pusher-js (docs/http-transports.md): what its clients are sent, what they send, and which pages may.

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    dev::Payload as Body,
    http::{
        ConnectionType, Method,
        header::{self, HeaderMap, HeaderValue},
    },
    web::{self, Data},
};

use super::{
    api::Api,
    asking::{asking, shared_connection},
    body,
    error::ApiError,
    invalid_body::InvalidBody,
};
use crate::{
    app::App,
    protocol::xhr,
    readiness::Stage,
    session::{
        origin,
        services::Services,
        xhr::{
            Received, Unsent, XhrSessions,
            path::{Act, XhrPath},
            receive,
        },
    },
};

/// Answers a request of a client, a browser's question whether its page may send one, or says that nothing is here.
pub(super) async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    api: Data<Api>,
    services: Data<Rc<Services>>,
) -> HttpResponse {
    let Some(path) = XhrPath::parse(request.path(), &api.path_prefix) else {
        return api.refuse(ApiError::PathUnknown);
    };
    let app = api.registry.by_key(path.app_key());
    let grant = Grant::of(request.headers(), app.as_deref());
    let is_served = app.as_ref().is_none_or(|app| app.settings().http_transports);
    let mut answer = match path.act {
        _ if request.method() == Method::OPTIONS => Ok(grant.preflight(request.headers())),
        _ if request.method() != Method::POST => Err(ApiError::MethodRefused("POST")),
        _ if !is_served => Err(ApiError::TransportsOff),
        Act::Send => {
            let sent = send(&request, payload.into_inner(), &path, &api, &services.shared.xhr).await;
            sent.map(|()| HttpResponse::NoContent().finish())
        }
        Act::Stream | Act::Poll => Ok(events(&request, &path, services.get_ref().clone()).await),
    }
    .unwrap_or_else(|error| {
        api.count(&error, app.as_deref());
        error.error_response()
    });
    grant.sign(answer.headers_mut());
    if let Stage::Leaving | Stage::Draining = api.readiness.stage() {
        // The client's next request is to find another node.
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    answer
}

/// A page that may read the answers: one of the app's origins. What no app is for, any page may read.
struct Grant(Option<HeaderValue>);

impl Grant {
    fn of(headers: &HeaderMap, app: Option<&App>) -> Self {
        let asking = headers.get(header::ORIGIN);
        let is_allowed = |asking: &&HeaderValue| {
            app.is_none_or(|app| origin::is_allowed(asking.to_str().ok(), &app.settings().allowed_origins))
        };
        Self(asking.filter(is_allowed).cloned())
    }

    /// The address of each request is another one, so that there is nothing for a browser to remember.
    fn preflight(&self, headers: &HeaderMap) -> HttpResponse {
        let mut answer = HttpResponse::NoContent();
        if self.0.is_some() {
            answer.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "POST"));
            if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
            }
        }
        answer.finish()
    }

    fn sign(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.0 {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
}

/// The answer that a client hears its session in.
async fn events(request: &HttpRequest, path: &XhrPath<'_>, services: Rc<Services>) -> HttpResponse {
    let shared = shared_connection(request);
    let asking = asking(request, shared.as_ref());
    let received = receive(asking, path, number(request), services).await;
    let mut answer = HttpResponse::Ok();
    if path.act == Act::Stream {
        // What comes behind it on its connection would not be counted among those of HTTP.
        answer.force_close();
    }
    answer
        .insert_header((header::CONTENT_TYPE, "application/javascript; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx passes on at once what it would collect otherwise.
        .insert_header(("X-Accel-Buffering", "no"));
    match received {
        Received::Body(body) => answer.body(body),
        Received::Lines(lines) => answer.body(lines),
    }
}

/// Takes what a client sends.
async fn send(
    request: &HttpRequest,
    payload: Body,
    path: &XhrPath<'_>,
    api: &Api,
    all: &XhrSessions,
) -> Result<(), ApiError> {
    let (key, limit) = (path.key(), xhr::max_body(api.limits.max_frame_bytes));
    if !all.may_have(&key) {
        return Err(Unsent::Unknown.into());
    }
    let read = match body::check_head(request, limit) {
        Ok(()) => body::read(request, payload, limit, &api.bodies).await,
        Err(invalid) => Err(invalid),
    };
    match read {
        Ok(body) => Ok(all.send(key, number(request), &body).await?),
        Err(InvalidBody::TooLarge { .. }) => {
            all.break_off(key).await;
            Err(Unsent::TooLarge { limit }.into())
        }
        Err(invalid) => Err(invalid.into()),
    }
}

/// The count of the page's requests.
fn number(request: &HttpRequest) -> Option<u64> {
    request.query_string().split('&').find_map(|pair| pair.strip_prefix("n=")?.parse().ok())
}
