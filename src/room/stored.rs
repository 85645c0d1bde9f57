//! What the stream behind the nodes' memory has of a channel, as a node would tell it. Pure.

use std::time::{Duration, Instant};

use gaung_cluster::{
    NodeId,
    history::{StoredEvent, StoredHistory, StoredSpan},
};

use super::history::{OldEvent, Shared, Span, Stored};
use crate::{
    event::{
        EncodedEvent, Origin,
        wire::{self, Message},
    },
    protocol::{ChannelName, EventId, EventOrigin},
};

/// What it has of a channel. Nodes that nobody asks for are left out: of a day there may be many.
pub(super) fn stored(
    StoredHistory { spans, events, since, now: read_at }: StoredHistory,
    channel: &ChannelName,
    is_wanted: impl Fn(EventOrigin) -> bool,
    now: Instant,
) -> Stored {
    let published = |node: NodeId| events.iter().any(|event| event.node == node);
    let wanted = spans.into_iter().filter(|span| published(span.node) || is_wanted(origin(span.node)));
    let spans = wanted.map(span).collect();
    let old = |event: StoredEvent| old_event(event, channel, read_at, now);
    let shared = Shared { opened: None, spans, events: events.into_iter().filter_map(old).collect() };
    Stored { shared, since: now.checked_sub(read_at.saturating_sub(since)).unwrap_or(now) }
}

/// A node that lives is heard by those who ask: it has not ended then.
fn span(StoredSpan { node, after, last, settled }: StoredSpan) -> Span {
    let settled = settled.into_iter().map(|(node, number)| EventId { origin: origin(node), number }).collect();
    Span { origin: origin(node), after, last, has_ended: true, settled }
}

fn old_event(stored: StoredEvent, channel: &ChannelName, read_at: Duration, now: Instant) -> Option<OldEvent> {
    let StoredEvent { node, numbering, place, payload } = stored;
    match wire::read(payload)? {
        Message::Event(payload) if payload.origin == Origin::BackEnd => Some(OldEvent {
            id: EventId { origin: origin(node), number: numbering.number },
            age: read_at.saturating_sub(place.at),
            event: EncodedEvent::from_peer(channel.clone(), payload, None, now),
        }),
        Message::Event(_) | Message::Terminate | Message::TerminateMember(_) => None,
    }
}

fn origin(node: NodeId) -> EventOrigin {
    EventOrigin::of_node(node.bits())
}
