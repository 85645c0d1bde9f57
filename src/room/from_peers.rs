//! What the core of the cluster puts out, as a room of this node hears it. Pure.

use gaung_cluster::{NodeId, TraceContext, fact::CachedEvent, frame::Numbering, remote::RemoteState};

use super::{
    backlog::Permit,
    messages::{FromPeers, Opening},
};
use crate::{
    event::{
        self, EncodedEvent, Moment, Numbered,
        wire::{self, Message},
    },
    protocol::{ChannelName, EventId, EventOrigin},
};

impl FromPeers {
    /// The room is served; how things stand on the other nodes.
    pub fn opened(channel: &ChannelName, state: RemoteState, now: Moment) -> Self {
        let RemoteState { sockets, members, cached, positions, .. } = state;
        let cached = cached.and_then(|record| event::cached(channel.clone(), record, now));
        let positions = positions.into_iter().map(|(node, number)| event_id(node, number)).collect();
        Self::Opened(Opening { subscriptions: clamp(sockets), members, cached, positions })
    }

    /// An event that a node published, in its place on the channel.
    pub fn event(mut event: EncodedEvent, node: NodeId, numbering: Numbering, permit: Permit) -> Self {
        let predecessor = Some(numbering.predecessor);
        event.numbered = Some(Numbered { id: event_id(node, numbering.number), predecessor });
        Self::Event(event, permit)
    }

    /// What a node published is lost, up to a number.
    pub fn lost(node: NodeId, through: u64) -> Self {
        Self::Lost(event_id(node, through))
    }

    /// The other nodes have so many subscribers.
    pub fn subscriptions(sockets: u64) -> Self {
        Self::Subscriptions(clamp(sockets))
    }

    /// An event of a cache channel; `None` if it is none. One that comes so late that its time is over is not kept, but
    /// those who are subscribed hear it all the same.
    pub fn cached(
        channel: &ChannelName,
        record: CachedEvent,
        (trace, permit): (Option<TraceContext>, Permit),
        now: Moment,
    ) -> Option<Self> {
        if let Some(mut cached) = event::cached(channel.clone(), record.clone(), now) {
            cached.event.trace = trace;
            return Some(Self::Cached(cached, permit));
        }
        let Message::Event(payload) = wire::read(record.payload)? else { return None };
        Some(Self::Event(EncodedEvent::from_peer(channel.clone(), payload, trace, now.0), permit))
    }

    /// An event of a cache channel that was missed; `None` if it is none, or its time is over.
    pub fn cache_repaired(channel: &ChannelName, record: CachedEvent, now: Moment) -> Option<Self> {
        event::cached(channel.clone(), record, now).map(Self::CacheRepaired)
    }
}

pub(super) fn event_id(node: NodeId, number: u64) -> EventId {
    EventId { origin: origin(node), number }
}

pub(super) fn origin(node: NodeId) -> EventOrigin {
    EventOrigin::of_node(node.bits())
}

fn clamp(sockets: u64) -> usize {
    usize::try_from(sockets).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        event::{Event, Words},
        room::backlog::{Backlog, Limits},
    };

    /// What a room hears of an event that was to be kept for a second, so many milliseconds later.
    fn heard_after(millis: u64, payload: impl FnOnce(&EncodedEvent) -> bytes::Bytes) -> Option<FromPeers> {
        let channel = ChannelName::parse("cache-a", 200).unwrap();
        let (start, wall) = (Instant::now(), Duration::from_secs(1_000));
        let event = Event::from_back_end(channel.clone(), Words::new("e", "{}"), None, (start, wall)).encode();
        let record = CachedEvent { at: 1_000_000_000, ttl: 1_000_000, payload: payload(&event) };
        let permit = Backlog::new(Limits { events: 1, bytes: 100 }).reserve(&std::sync::Arc::default(), 1, 1).unwrap();
        let later = Duration::from_millis(millis);
        FromPeers::cached(&channel, record, (None, permit), (start + later, wall + later))
    }

    #[test]
    fn an_event_of_a_cache_channel_that_comes_after_its_time_is_heard_and_not_kept() {
        assert!(matches!(heard_after(900, wire::event), Some(FromPeers::Cached(..))));
        assert!(matches!(heard_after(1_100, wire::event), Some(FromPeers::Event(..))));
        assert!(heard_after(900, |_| bytes::Bytes::from_static(b"none")).is_none());
    }
}
