//! Why a request's body is not read to its end, in the words that its sender reads. Pure.

use std::time::Duration;

/// Why a body is refused before anybody looks into it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    #[error("the request body has {bytes} bytes or more, the limit is {limit} (GAUNG_MAX_BODY_BYTES)")]
    TooLarge {
        /// Bytes announced, or read before it was given up.
        bytes: u64,
        limit: usize,
    },
    #[error("the request body is compressed (Content-Encoding: {0}), which is not supported; send it uncompressed")]
    Compressed(String),
    #[error("the node already holds {0} bytes of request bodies (GAUNG_MAX_HELD_BODY_BYTES)")]
    NoSpace(usize),
    #[error("the request body ended too early")]
    Broken,
    #[error("the request body did not arrive within {} seconds", .0.as_secs())]
    TooSlow(Duration),
}
