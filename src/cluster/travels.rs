//! The spans of an event on its way between nodes: published on one, received on each that serves its room.

use std::time::Instant;

use gaung_cluster::{Room, TraceContext};

use crate::spans::{Kind, OpenSpan, Spans};

/// An event of so many bytes is handed to the bus.
pub fn publish(spans: &Spans, room: &Room, bytes: usize, trace: Option<TraceContext>) -> Option<OpenSpan> {
    over_the_bus(spans, ("publish", Kind::Producer), room, bytes, trace)
}

/// An event of so many bytes has come.
pub fn receive(spans: &Spans, room: &Room, bytes: usize, trace: Option<TraceContext>) -> Option<OpenSpan> {
    over_the_bus(spans, ("receive", Kind::Consumer), room, bytes, trace)
}

/// What goes on with the event: the trace below its span, or what it came with.
pub fn carried(span: Option<&OpenSpan>, trace: Option<TraceContext>) -> Option<TraceContext> {
    span.map(OpenSpan::context).or(trace)
}

fn over_the_bus(
    spans: &Spans,
    (operation, kind): (&'static str, Kind),
    room: &Room,
    bytes: usize,
    trace: Option<TraceContext>,
) -> Option<OpenSpan> {
    let span = spans.follow((operation, kind), trace, Instant::now())?;
    let span = span.text("messaging.system", "nats").text("messaging.operation.name", operation);
    let span = span.text("gaung.app", &**room.app()).text("gaung.channel", &**room.channel());
    Some(span.number("messaging.message.body.size", bytes))
}
