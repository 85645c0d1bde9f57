//! Settings of the stream.

use crate::bus::BusSettings;

/// Settings of the stream.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// Servers, login and subjects. The stream has a connection of its own.
    pub bus: BusSettings,
    /// Replicas of the stream, where the node creates it: `GAUNG_HISTORY_STREAM_REPLICAS`.
    pub replicas: usize,
    /// Bytes of the stream, where the node creates it: `GAUNG_HISTORY_STREAM_MB`. Beyond it the oldest events go.
    pub max_bytes: usize,
    /// Bytes that may wait in memory while the stream accepts nothing; beyond it the oldest events are not stored.
    pub max_waiting_bytes: usize,
}
