//! What the stream behind the nodes' memory has of a channel, as a node would tell it. Pure.

use std::time::{Duration, Instant};

use gaung_cluster::{
    NodeId,
    history::{StoredEvent, StoredHistory, StoredSpan},
};

use super::{
    from_peers::{event_id, origin},
    history::{OldEvent, Shared, Span, Stored},
};
use crate::{
    event::{
        EncodedEvent, Origin,
        wire::{self, Message},
    },
    protocol::{ChannelName, EventOrigin, Position},
};

/// What it has of a channel. Of a day there may be many nodes: those are left out that neither live nor published there, and
/// that neither this node nor who asks has heard.
pub(super) fn stored(
    StoredHistory { spans, events, since, now: read_at }: StoredHistory,
    channel: &ChannelName,
    (lives, heard): (impl Fn(EventOrigin) -> bool, &Position),
    now: Instant,
) -> Stored {
    let published = |node: NodeId| events.iter().any(|event| event.node == node);
    let spans = spans.into_iter().filter_map(|StoredSpan { node, after, last, settled }| {
        let origin = origin(node);
        let heard = heard.number_of(origin);
        let is_wanted = lives(origin) || heard.is_some() || published(node);
        let settled = settled.into_iter().map(|(node, number)| event_id(node, number)).collect();
        is_wanted.then_some(Span { origin, after, last, has_ended: false, settled })
    });
    let spans = spans.collect();
    let old = |event: StoredEvent| old_event(event, channel, read_at, now);
    let shared = Shared { opened: None, spans, events: events.into_iter().filter_map(old).collect() };
    let since = now.checked_sub(read_at.saturating_sub(since)).unwrap_or(now);
    let assumed = heard.events().filter(|event| !lives(event.origin)).collect();
    Stored { shared, since, assumed, silent: Vec::new() }
}

fn old_event(stored: StoredEvent, channel: &ChannelName, read_at: Duration, now: Instant) -> Option<OldEvent> {
    let StoredEvent { node, numbering, place, payload } = stored;
    match wire::read(payload)? {
        Message::Event(payload) if payload.origin == Origin::BackEnd => Some(OldEvent {
            id: event_id(node, numbering.number),
            age: read_at.saturating_sub(place.at),
            event: EncodedEvent::from_peer(channel.clone(), payload, None, now),
        }),
        Message::Event(_) | Message::User(_) | Message::Member(..) => None,
    }
}
