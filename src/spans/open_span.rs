//! A span until it ends. It never holds a payload, a token or anything of a user.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use gaung_cluster::TraceContext;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};

use super::Recorder;

/// What a span stands for among those of other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request is answered.
    Server,
    /// A request is made.
    Client,
    /// A message is sent.
    Producer,
    /// A message is received.
    Consumer,
    Internal,
}

/// A span that has begun. Dropped before its end it is told to nobody.
#[derive(Debug)]
pub struct OpenSpan {
    recorder: Arc<Recorder>,
    context: TraceContext,
    began: Instant,
    span: Span,
}

impl OpenSpan {
    pub(super) fn new(
        recorder: &Arc<Recorder>,
        (name, kind): (&'static str, Kind),
        trace: u128,
        parent: Option<TraceContext>,
        began: Instant,
    ) -> Self {
        let context = TraceContext::new(trace, rand::random_range(1..=u64::MAX)).expect("neither id is zero");
        let context = context.with_sampled(true);
        let span = Span {
            trace_id: trace.to_be_bytes().into(),
            span_id: context.span().to_be_bytes().into(),
            parent_span_id: parent.map(|parent| parent.span().to_be_bytes().into()).unwrap_or_default(),
            name: name.to_owned(),
            kind: kind.as_proto() as i32,
            // The flags of its trace: sampled.
            flags: 1,
            ..Span::default()
        };
        Self { recorder: recorder.clone(), context, began, span }
    }

    /// What those are told who follow it.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Adds a text.
    pub fn text(mut self, key: &'static str, text: impl Into<String>) -> Self {
        self.add(key, Value::StringValue(text.into()));
        self
    }

    /// Adds a number.
    pub fn number(mut self, key: &'static str, number: usize) -> Self {
        self.add(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)));
        self
    }

    /// What it stands for has failed, of this kind.
    pub fn failed(mut self, kind: &str) -> Self {
        self.span.status = Some(Status { message: String::new(), code: StatusCode::Error as i32 });
        self.text("error.type", kind)
    }

    /// It ends now, and goes to who exports it.
    pub fn end(mut self) {
        let end = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let start = end.saturating_sub(self.began.elapsed());
        self.span.start_time_unix_nano = nanos(start);
        self.span.end_time_unix_nano = nanos(end);
        self.recorder.take(self.span);
    }

    fn add(&mut self, key: &'static str, value: Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Kind {
    fn as_proto(self) -> SpanKind {
        match self {
            Self::Server => SpanKind::Server,
            Self::Client => SpanKind::Client,
            Self::Producer => SpanKind::Producer,
            Self::Consumer => SpanKind::Consumer,
            Self::Internal => SpanKind::Internal,
        }
    }
}
