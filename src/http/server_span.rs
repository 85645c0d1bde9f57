//! The span of a request that its app has signed: it begins when the request has come, and ends with its answer. A request
//! that is not signed has none, because anybody could fill the collector with those.

use std::time::Instant;

use actix_web::{HttpMessage, HttpRequest, dev::ServiceResponse};
use gaung_cluster::TraceContext;

use super::{api::Api, traceparent};
use crate::{
    app::App,
    spans::{Kind, OpenSpan},
};

/// Begins a request's span, which stays with the request; `route` is its method and path, `bytes` what its body has.
/// Returns the trace that goes on with what the request publishes, whether it has a span or not.
pub fn begin(
    api: &Api,
    request: &HttpRequest,
    (route, bytes): (&'static str, usize),
    app: &App,
    arrival: Instant,
) -> Option<TraceContext> {
    let (spans, caller) = (&api.metrics.spans, traceparent::of(request.headers()));
    let Some(span) = spans.begin((route, Kind::Server), caller, arrival) else {
        // What this node does not record, the others do not either. Where it exports nothing it is not asked.
        return if spans.are_wanted() { caller.map(|caller| caller.with_sampled(false)) } else { caller };
    };
    let context = span.context();
    let (method, path) = route.split_once(' ').unwrap_or_default();
    let span = span.text("http.request.method", method).text("http.route", path);
    let span = span.number("http.request.body.size", bytes).text("gaung.app", &**app.id());
    request.extensions_mut().insert(span);
    Some(context)
}

/// Ends the span of a request that has one.
pub fn end(answer: &ServiceResponse) {
    let Some(span) = answer.request().extensions_mut().remove::<OpenSpan>() else { return };
    let status = answer.status();
    let span = span.number("http.response.status_code", status.as_u16().into());
    let span = if status.is_server_error() { span.failed(status.as_str()) } else { span };
    span.end();
}
