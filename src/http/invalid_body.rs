//! Why a request's body is not read to its end, in the words that its sender reads. Pure.

use std::{fmt, time::Duration};

/// Why a body is refused before anybody looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidBody {
    /// Longer than `GAUNG_MAX_BODY_BYTES`.
    TooLarge {
        /// Bytes announced, or read before it was given up.
        bytes: u64,
        /// The node's limit.
        limit: usize,
    },
    /// Compressed; how.
    Compressed(String),
    /// The node holds as many bytes of bodies as it may.
    NoSpace(usize),
    /// The connection failed in the middle of it.
    Broken,
    /// It did not arrive in time.
    TooSlow(Duration),
}

impl fmt::Display for InvalidBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => {
                write!(f, "the request body has {bytes} bytes or more, the limit is {limit} (GAUNG_MAX_BODY_BYTES)")
            }
            Self::Compressed(coding) => write!(
                f,
                "the request body is compressed (Content-Encoding: {coding}), which is not supported; send it uncompressed"
            ),
            Self::NoSpace(limit) => {
                write!(f, "the node already holds {limit} bytes of request bodies (GAUNG_MAX_HELD_BODY_BYTES)")
            }
            Self::Broken => f.write_str("the request body ended too early"),
            Self::TooSlow(limit) => write!(f, "the request body did not arrive within {} seconds", limit.as_secs()),
        }
    }
}
