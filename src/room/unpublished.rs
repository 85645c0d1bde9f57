//! Why a back end's events were not published. The back end must act, or the operator who set the limit. Pure.

use gaung_cluster::bus::Full;

use super::backlog;

/// Why events were not published; none of the request's was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    #[error("{limit} events wait for delivery already, which is the limit (GAUNG_MAX_QUEUED_EVENTS)")]
    RoomsFull { limit: usize },
    #[error("events of {limit} bytes wait for delivery already, which is the limit (GAUNG_MAX_QUEUED_EVENT_BYTES)")]
    RoomsFullOfBytes { limit: usize },
    #[error("{limit} events wait for the other nodes already, which is the limit (GAUNG_MAX_QUEUED_BUS_EVENTS)")]
    BusFull { limit: usize },
    #[error(
        "events of {limit} bytes wait for the other nodes already, which is the limit \
        (GAUNG_MAX_QUEUED_BUS_EVENT_BYTES)"
    )]
    BusFullOfBytes { limit: usize },
    #[error(
        "the encoded event has {bytes} bytes, and the nodes of this cluster can send one another {limit} \
        (max_payload of the NATS server)"
    )]
    TooLarge { bytes: usize, limit: usize },
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
