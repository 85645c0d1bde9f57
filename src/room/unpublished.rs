//! Why a back end's events were not published. The back end must act, or the operator who set the limit. Pure.

use std::fmt;

use gaung_cluster::bus::Full;

use super::backlog;

/// Why events were not published; none of the request's was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpublished {
    /// More events wait for the rooms than `GAUNG_MAX_QUEUED_EVENTS`.
    RoomsFull {
        /// The limit.
        limit: usize,
    },
    /// The events that wait for the rooms have more bytes than `GAUNG_MAX_QUEUED_EVENT_BYTES`.
    RoomsFullOfBytes {
        /// The limit.
        limit: usize,
    },
    /// More events wait for the other nodes than `GAUNG_MAX_QUEUED_BUS_EVENTS`.
    BusFull {
        /// The limit.
        limit: usize,
    },
    /// What waits for the other nodes has more bytes than `GAUNG_MAX_QUEUED_BUS_EVENT_BYTES`.
    BusFullOfBytes {
        /// The limit.
        limit: usize,
    },
    /// An event is larger than what the other nodes can be sent (`max_payload` of the NATS server).
    TooLarge {
        /// Bytes of the event, encoded.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Unpublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoomsFull { limit } => {
                write!(f, "{limit} events wait for delivery already, which is the limit (GAUNG_MAX_QUEUED_EVENTS)")
            }
            Self::RoomsFullOfBytes { limit } => write!(
                f,
                "events of {limit} bytes wait for delivery already, which is the limit (GAUNG_MAX_QUEUED_EVENT_BYTES)"
            ),
            Self::BusFull { limit } => write!(
                f,
                "{limit} events wait for the other nodes already, which is the limit (GAUNG_MAX_QUEUED_BUS_EVENTS)"
            ),
            Self::BusFullOfBytes { limit } => write!(
                f,
                "events of {limit} bytes wait for the other nodes already, which is the limit \
                 (GAUNG_MAX_QUEUED_BUS_EVENT_BYTES)"
            ),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "the encoded event has {bytes} bytes, and the nodes of this cluster can send one another {limit} \
                 (max_payload of the NATS server)"
            ),
        }
    }
}

impl From<backlog::Full> for Unpublished {
    fn from(full: backlog::Full) -> Self {
        match full {
            backlog::Full::Events(limit) => Self::RoomsFull { limit },
            backlog::Full::Bytes(limit) => Self::RoomsFullOfBytes { limit },
        }
    }
}

impl From<Full> for Unpublished {
    fn from(full: Full) -> Self {
        match full {
            Full::Events(limit) => Self::BusFull { limit },
            Full::Bytes(limit) => Self::BusFullOfBytes { limit },
        }
    }
}
