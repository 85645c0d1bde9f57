//! Why an event is refused, in the words that its publisher reads. Pure.

use gaung_cluster::frame::MAX_KEY;

use crate::protocol::InvalidChannelName;

/// Why an event, or the body that should contain it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// Not JSON, or not of the right shape; the parser's words.
    #[error("invalid request body: {0}")]
    Json(String),
    #[error("the event has no {0}")]
    Missing(&'static str),
    // The hosted service's words "content of this event" are what SDKs' suites look for.
    #[error("the data content of this event has {bytes} bytes, the limit is {limit} (app setting max_event_bytes)")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the event name is empty")]
    NameEmpty,
    #[error("the event name has {length} characters, the limit is {limit} (app setting max_event_name_length)")]
    NameTooLong { length: usize, limit: usize },
    #[error("the event name {0:?} is reserved: only the server sends pusher: and pusher_internal:")]
    NameReserved(String),
    #[error("the event names no channel")]
    NoChannels,
    #[error("the event names {count} channels, the limit is {limit} (app setting max_event_channels)")]
    TooManyChannels { count: usize, limit: usize },
    #[error(transparent)]
    Channel(InvalidChannelName),
    // "Batch too large" is what SDKs' suites look for.
    #[error("Batch too large: it has {count} events, the limit is {limit} (app setting max_batch_events)")]
    BatchTooLarge { count: usize, limit: usize },
    /// The answer to a batch has one place for each event.
    #[error("an event of a batch that asks for info must name exactly one channel")]
    InfoOfManyChannels,
    #[error("the idempotency_key has {length} characters, allowed are 1 to {MAX_KEY}")]
    Key { length: usize },
    /// A batch is published as one, so its events have no keys of their own.
    #[error("an event of a batch has an idempotency_key; it belongs beside batch, for all events together")]
    KeyInBatch,
}

impl InvalidEvent {
    /// Whether the event would do if it were shorter.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}
