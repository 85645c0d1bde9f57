//! Why an event is refused, in the words that its publisher reads. Pure.

use std::fmt;

use gaung_cluster::frame::MAX_KEY;

use crate::protocol::InvalidChannelName;

/// Why an event, or the body that should contain it, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidEvent {
    /// Not JSON, or not of the right shape; the parser's words.
    Json(String),
    Missing(&'static str),
    /// `data` is longer than the app allows.
    TooLarge {
        /// Bytes of `data`.
        bytes: usize,
        /// The app's limit.
        limit: usize,
    },
    NameEmpty,
    /// The name is longer than the app allows.
    NameTooLong {
        /// Characters of the name.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
    /// Only the server sends such names.
    NameReserved(String),
    NoChannels,
    TooManyChannels {
        count: usize,
        /// The app's limit.
        limit: usize,
    },
    /// A channel has no valid name.
    Channel(InvalidChannelName),
    /// More events than the app allows in one batch.
    BatchTooLarge {
        /// Events in the batch.
        count: usize,
        /// The app's limit.
        limit: usize,
    },
    /// The answer to a batch has one place for each event.
    InfoOfManyChannels,
    /// The idempotency key has no characters, or too many.
    Key {
        /// Its characters.
        length: usize,
    },
    /// A batch is published as one, so its events have no keys of their own.
    KeyInBatch,
}

impl InvalidEvent {
    /// Whether the event would do if it were shorter.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(why) => write!(f, "invalid request body: {why}"),
            Self::Missing(field) => write!(f, "the event has no {field}"),
            // The hosted service's words "content of this event" are what SDKs' suites look for.
            Self::TooLarge { bytes, limit } => write!(
                f,
                "the data content of this event has {bytes} bytes, the limit is {limit} (app setting max_event_bytes)"
            ),
            Self::NameEmpty => f.write_str("the event name is empty"),
            Self::NameTooLong { length, limit } => write!(
                f,
                "the event name has {length} characters, the limit is {limit} (app setting max_event_name_length)"
            ),
            Self::NameReserved(name) => {
                write!(f, "the event name {name:?} is reserved: only the server sends pusher: and pusher_internal:")
            }
            Self::NoChannels => f.write_str("the event names no channel"),
            Self::TooManyChannels { count, limit } => {
                write!(f, "the event names {count} channels, the limit is {limit} (app setting max_event_channels)")
            }
            Self::Channel(why) => fmt::Display::fmt(why, f),
            // "Batch too large" is what SDKs' suites look for.
            Self::BatchTooLarge { count, limit } => {
                write!(f, "Batch too large: it has {count} events, the limit is {limit} (app setting max_batch_events)")
            }
            Self::Key { length } => {
                write!(f, "the idempotency_key has {length} characters, allowed are 1 to {MAX_KEY}")
            }
            Self::KeyInBatch => f.write_str(
                "an event of a batch has an idempotency_key; it belongs beside batch, for all events together",
            ),
            Self::InfoOfManyChannels => {
                f.write_str("an event of a batch that asks for info must name exactly one channel")
            }
        }
    }
}
