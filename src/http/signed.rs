//! The only way into the API: a request that its app has signed, whose body is within the limits, and that has been
//! parsed into what it asks for. A function that takes a [`Signed`] has nothing left to check.

use std::{borrow::Cow, sync::Arc};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use futures_util::future::LocalBoxFuture;
use gaung_cluster::TraceContext;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    api::Api,
    body,
    error::{self, ApiError},
    server_span, traceparent,
};
use crate::{
    app::App,
    config::AppSettings,
    event::{Moment, now},
    protocol::{
        ChannelName,
        signature::{RequestAuthError, SignedBody, SignedRequest, verify_request},
    },
    repeats::{Key, Post},
    trace_log,
};

/// A verified request of an app, asking for `T`.
pub struct Signed<T> {
    pub api: web::Data<Api>,
    pub app: Arc<App>,
    pub arrival: Moment,
    pub ask: T,
}

/// A request that is authentic, before it is understood.
pub struct Verified<'a> {
    api: &'a Api,
    pub app: &'a App,
    request: &'a HttpRequest,
    pub arrival: Moment,
    pub settings: &'a AppSettings,
    /// The whole body.
    pub body: &'a [u8],
    /// The trace that events of the request belong to.
    pub trace: Option<TraceContext>,
}

/// What a signed request can ask for. Checks sizes (413), then rates (429), then everything else (400).
pub trait Ask: Sized {
    /// Method and path of the request, which is traced by this name; `None` for those that are not.
    const TRACED: Option<&'static str> = None;

    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError>;
}

impl<T: Ask + 'static> FromRequest for Signed<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let arrival = now();
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let api = request.app_data::<web::Data<Api>>().expect("configure() registers the api").clone();
            let admitted = admit(&api, &request, payload, arrival).await;
            let (app, ask) = admitted.inspect_err(|error| tell_refusal(&api, &request, error))?;
            Ok(Self { api, app, arrival, ask })
        })
    }
}

/// The order of the checks is part of the protocol (protocol.md §3.1). Whose request it is stands in the query, so that
/// nothing is read, and nothing held, for who has not signed.
async fn admit<T: Ask>(
    api: &Api,
    request: &HttpRequest,
    payload: Payload,
    arrival: Moment,
) -> Result<(Arc<App>, T), ApiError> {
    let app = find_app(api, request)?;
    let limit = api.limits.max_body_bytes;
    body::check_head(request, limit)?;
    let signed = authenticate(api, &app.settings(), request, arrival)?;
    body::check_coding(request)?;
    let body = body::read(request, payload, limit, &api.bodies).await?;
    signed.verify(&body).map_err(ApiError::Unauthenticated)?;
    let trace = T::TRACED.and_then(|route| server_span::begin(api, request, (route, body.len()), &app, arrival.0));
    let settings = app.settings();
    let ask = T::parse(&Verified { api, app: &app, request, arrival, settings: &settings, body: &body, trace })?;
    drop(settings);
    Ok((app, ask))
}

fn tell_refusal(api: &Api, request: &HttpRequest, error: &ApiError) {
    let app = find_app(api, request).ok();
    api.count(error, app.as_deref());
    if let Some(trace) = traceparent::of(request.headers()) {
        trace_log::refused(trace, app.as_deref(), error.sender(), error.reason());
    }
}

/// By the id in the path; the Python SDK terminates connections without one, so that its key must tell.
pub(super) fn find_app(api: &Api, request: &HttpRequest) -> Result<Arc<App>, ApiError> {
    #[derive(Deserialize)]
    struct Key {
        auth_key: String,
    }
    if let Some(id) = request.match_info().get("app") {
        return api.registry.by_id(id).ok_or_else(|| ApiError::AppUnknown(id.chars().count()));
    }
    let key = web::Query::<Key>::from_query(request.query_string());
    let key = key.map_err(|_| ApiError::Unauthenticated(RequestAuthError::Missing("auth_key")))?;
    let unknown = || RequestAuthError::UnknownKey { characters: key.auth_key.chars().count() };
    api.registry.by_key(&key.auth_key).ok_or_else(|| ApiError::Unauthenticated(unknown()))
}

fn authenticate(
    api: &Api,
    settings: &AppSettings,
    request: &HttpRequest,
    (_, now): Moment,
) -> Result<SignedBody, ApiError> {
    let paths = signed_paths(request.uri().path(), &api.path_prefix);
    let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
    let (method, query) = (request.method().as_str(), request.query_string());
    let signed = SignedRequest { method, paths: &paths, query };
    let verified = verify_request(&settings.keys, &signed, now, api.limits.signature_window);
    let body = verified.map_err(ApiError::Unauthenticated)?;
    if settings.enabled { Ok(body) } else { Err(ApiError::AppDisabled) }
}

/// The paths that the caller may have signed: as received or decoded, with or without the node's prefix, which some
/// SDKs do not sign and some proxies take off (protocol.md §2.4).
fn signed_paths<'a>(path: &'a str, prefix: &str) -> Vec<Cow<'a, str>> {
    let mut forms = vec![Cow::Borrowed(path)];
    if path.contains('%') {
        forms.push(percent_decode_str(path).decode_utf8_lossy());
    }
    if prefix.is_empty() {
        return forms;
    }
    let other = |form: &Cow<'a, str>| match form.strip_prefix(prefix) {
        Some(bare) => bare.to_owned().into(),
        None => format!("{prefix}{form}").into(),
    };
    let others: Vec<_> = forms.iter().map(other).collect();
    forms.extend(others);
    forms
}

impl Verified<'_> {
    /// A segment of the path, decoded.
    pub fn segment(&self, name: &str) -> Cow<'_, str> {
        // The router has decoded everything but `%`, `/` and `+`, so that this decodes nothing twice.
        percent_decode_str(self.request.match_info().query(name)).decode_utf8_lossy()
    }

    /// The channel that the path names.
    pub fn channel(&self) -> Result<ChannelName, ApiError> {
        ChannelName::parse(&self.segment("channel"), self.settings.max_channel_name_length).map_err(ApiError::Channel)
    }

    /// The parameters besides those of the signature.
    pub fn query<Q: DeserializeOwned>(&self) -> Result<Q, ApiError> {
        let query = web::Query::from_query(self.request.query_string());
        query.map(web::Query::into_inner).map_err(|error| ApiError::Query(error.to_string()))
    }

    /// The post that a key makes of the request.
    pub fn post(&self, key: Option<&str>) -> Option<Post> {
        let hash = || {
            let digest =
                Sha256::new().chain_update(self.request.match_pattern().unwrap_or_default()).chain_update(self.body);
            digest.finalize().first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
        };
        key.map(|key| Post { key: Key::new(self.app.id(), key), body: hash() })
    }

    /// What was published under the post's key. A repeat that is known to be one counts in no rate.
    pub fn published(&self, post: Option<&Post>) -> Result<Option<web::Bytes>, ApiError> {
        let Some(post) = post else { return Ok(None) };
        Ok(self.api.repeats.published(post)?)
    }

    /// Counts events in what the app may publish.
    pub fn take_events(&self, events: usize) -> Result<(), ApiError> {
        self.app.take_events(events, self.arrival.0).map_err(|reached| error::of_events(reached, events))
    }

    /// Counts one request in the app's `reads_per_second`.
    pub fn take_read(&self) -> Result<(), ApiError> {
        self.api.take_read(self.app, self.arrival.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, prefix: &str, expected: &[&str]) {
        assert_eq!(signed_paths(path, prefix), expected, "{path} under {prefix:?}");
    }

    #[test]
    fn the_prefix_may_be_signed_or_not_and_the_path_raw_or_decoded() {
        check("/apps/1/events", "", &["/apps/1/events"]);
        check("/ws/apps/1/events", "/ws", &["/ws/apps/1/events", "/apps/1/events"]);
        check("/apps/1/events", "/ws", &["/apps/1/events", "/ws/apps/1/events"]);
        check("/apps/1/channels/a%40b", "", &["/apps/1/channels/a%40b", "/apps/1/channels/a@b"]);
        check("/ws/a%40", "/ws", &["/ws/a%40", "/ws/a@", "/a%40", "/a@"]);
    }
}
