//! The last event of a cache channel, as nodes compare it and sockets see it (protocol.md §1.10). Pure.

use std::time::{Duration, Instant};

use gaung_cluster::fact::CachedEvent;

use super::{
    EncodedEvent,
    wire::{self, Message},
};
use crate::protocol::ChannelName;

/// What an event takes beside its texts where only its room keeps it: most of it is the room.
const OVERHEAD: usize = 2_048;

/// An event that later subscribers are shown.
#[derive(Debug)]
pub struct Cached {
    pub event: EncodedEvent,
    /// The same event as nodes compare it: the newest is kept, on every node the same one.
    pub record: CachedEvent,
    /// When it is over, on this node's clock.
    pub expires: Instant,
}

impl Cached {
    /// The bytes that it takes on a node that is alone.
    pub fn bytes(&self, channel: &ChannelName) -> usize {
        OVERHEAD + self.event.bytes() + channel.as_str().len()
    }
}

/// A record as this node's sockets see it; `None` if it is none or its time is over.
pub fn cached(channel: ChannelName, record: CachedEvent, (now, wall): (Instant, Duration)) -> Option<Cached> {
    let Message::Event(payload) = wire::read(record.payload.clone())? else { return None };
    let expires = now + Duration::from_micros(record.ends()).checked_sub(wall)?;
    Some(Cached { event: EncodedEvent::from_peer(channel, payload, None, now), record, expires })
}
