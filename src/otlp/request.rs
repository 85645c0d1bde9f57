//! Spans as an OTLP request, and what its answer says. Pure.

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message;

/// What this node is to the collector.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let attribute = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    Resource { attributes: attributes.iter().map(attribute).collect(), ..Resource::default() }
}

/// The body that tells of these spans.
pub(super) fn encode(resource: &Resource, spans: Vec<Span>) -> Bytes {
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let spans =
        ResourceSpans { resource: Some(resource.clone()), scope_spans: vec![spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec().into()
}

/// How many spans a collector that answered 200 has not taken. A body that says nothing, or nothing that can be read, says
/// that it took all.
pub(super) fn rejected(body: &[u8]) -> usize {
    let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let rejected = response.partial_success.map_or(0, |partial| partial.rejected_spans);
    usize::try_from(rejected).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn a_request_says_who_tells_and_what() {
        let resource = resource(&[("service.name".to_owned(), "gaung".to_owned())]);
        let span = Span { name: "publish".to_owned(), ..Span::default() };
        let read = ExportTraceServiceRequest::decode(encode(&resource, vec![span.clone()])).unwrap();
        let [told] = &read.resource_spans[..] else { panic!("{read:?}") };
        assert_eq!(told.resource.as_ref(), Some(&resource));
        assert_eq!(told.scope_spans[0].scope.as_ref().map(|scope| scope.name.as_str()), Some("gaung"));
        assert_eq!(told.scope_spans[0].spans, [span]);
    }

    #[test]
    fn an_answer_may_say_that_some_were_not_taken() {
        let answer = |rejected_spans| ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess { rejected_spans, error_message: "no".to_owned() }),
        };
        assert_eq!(rejected(&answer(3).encode_to_vec()), 3);
        assert_eq!(rejected(&answer(-3).encode_to_vec()), 0);
        assert_eq!(rejected(b""), 0);
        assert_eq!(rejected(b"{}"), 0);
    }
}
