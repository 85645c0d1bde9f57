//! What the log tells of an event on its way, if the request that it comes of belongs to a trace (W3C Trace Context):
//! taken, delivered here, or refused. Each line carries the trace's ids, so that the lines of all nodes are found together.
//! Without a trace nothing is told, and nobody pays for it.

use gaung_cluster::TraceContext;
use tracing::{debug, enabled, warn};

use crate::{
    app::App,
    event::{EncodedEvent, Event},
};

/// Events that are about to be published, as the log tells of them.
pub struct Taken {
    trace: TraceContext,
    /// Each name once where several events in a row have it, with their channels.
    events: Vec<(String, String)>,
}

impl Taken {
    /// Notes events of one request; `None` where the log does not want to know.
    pub fn note(events: &[Event]) -> Option<Self> {
        let trace = events.first()?.trace?;
        enabled!(tracing::Level::DEBUG).then(|| {
            let noted = |events: &[Event]| {
                let channels: Vec<_> = events.iter().map(|event| event.channel.as_str()).collect();
                (events[0].words.name.clone(), channels.join(" "))
            };
            Self { trace, events: events.chunk_by(|one, next| one.words.name == next.words.name).map(noted).collect() }
        })
    }

    /// They are published.
    pub fn tell(self, app: &App) {
        let (trace_id, span_id) = (self.trace.trace_id(), self.trace.span_id());
        for (event, channels) in self.events {
            debug!(%trace_id, %span_id, app = %app.id(), event, channels, "event accepted");
        }
    }
}

/// An event is sent to so many sockets of this node.
pub fn delivered(app: &App, event: &EncodedEvent, sockets: usize) {
    let Some(trace) = event.trace.filter(|_| sockets > 0) else { return };
    debug!(trace_id = %trace.trace_id(), span_id = %trace.span_id(), app = %app.id(), channel = %event.channel, sockets, "event delivered");
}

/// Whether a request that is refused is known to come from its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// It was signed by the app, whose operator wants to know.
    App,
    /// Anybody may have sent it, as often as they like.
    Anybody,
}

/// A request is refused, for the reason that metrics have for it. The text of the refusal may quote what was sent, and
/// has no place in the log.
pub fn refused(trace: TraceContext, app: Option<&App>, sender: Sender, reason: &str) {
    let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
    let app = app.map(|app| &**app.id());
    match sender {
        Sender::App => warn!(%trace_id, %span_id, app, reason, "request refused"),
        Sender::Anybody => debug!(%trace_id, %span_id, app, reason, "request refused"),
    }
}
