//! What happened so far, for metrics.

use std::collections::BTreeMap;

use crate::codec::DecodeError;

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes given to the bus.
    pub bytes_out: u64,
    /// Bytes taken from the bus.
    pub bytes_in: u64,
    /// Messages that were no frames, by reason.
    pub refused: BTreeMap<DecodeError, u64>,
    /// Frames of a kind that only a later release knows.
    pub unknown: u64,
    /// Frames on a subject where they do not belong, among them events of another room.
    pub misdirected: u64,
    /// Frames of new nodes beyond the most that are known at once.
    pub crowded: u64,
    /// Events and facts that are too large for the bus.
    pub oversized: u64,
    /// Cached events that were evicted by newer ones.
    pub cache_evicted: u64,
    /// Frames received twice.
    pub duplicates: u64,
    /// Gaps in what peers published, each counted once.
    pub gaps: u64,
    /// Requests for a resend.
    pub asked: u64,
    /// Frames sent again to peers that asked.
    pub resent: u64,
    /// Frames published again after a reconnect.
    pub republished: u64,
    /// Gaps that were marked lost.
    pub gaps_lost: u64,
    /// Events that were lost in them, as far as they could be counted.
    pub events_lost: u64,
    /// Events of peers that died, which came from the stream alone.
    pub events_recovered: u64,
    /// Snapshots that were applied.
    pub snapshots: u64,
    /// Views whose hash differed from their node's.
    pub mismatches: u64,
    /// Peers that were marked dead.
    pub deaths: u64,
}
