//! What the core of the cluster puts out, as a room of this node hears it. Pure.

use gaung_cluster::{TraceContext, fact::CachedEvent, remote::RemoteState};

use super::{
    backlog::Permit,
    messages::{FromPeers, Opening},
};
use crate::{
    event::{self, Moment},
    protocol::ChannelName,
};

impl FromPeers {
    /// The room is served; how things stand on the other nodes.
    pub fn opened(channel: &ChannelName, state: RemoteState, now: Moment) -> Self {
        let RemoteState { sockets, members, cached, .. } = state;
        let cached = cached.and_then(|record| event::cached(channel.clone(), record, now));
        Self::Opened(Opening { subscriptions: clamp(sockets), members, cached })
    }

    /// The other nodes have so many subscribers.
    pub fn subscriptions(sockets: u64) -> Self {
        Self::Subscriptions(clamp(sockets))
    }

    /// An event of a cache channel; `None` if it is none, or its time is over.
    pub fn cached(
        channel: &ChannelName,
        record: CachedEvent,
        (trace, permit): (Option<TraceContext>, Permit),
        now: Moment,
    ) -> Option<Self> {
        let mut cached = event::cached(channel.clone(), record, now)?;
        cached.event.trace = trace;
        Some(Self::Cached(cached, permit))
    }

    /// An event of a cache channel that was missed; `None` if it is none, or its time is over.
    pub fn cache_repaired(channel: &ChannelName, record: CachedEvent, now: Moment) -> Option<Self> {
        event::cached(channel.clone(), record, now).map(Self::CacheRepaired)
    }
}

fn clamp(sockets: u64) -> usize {
    usize::try_from(sockets).unwrap_or(usize::MAX)
}
