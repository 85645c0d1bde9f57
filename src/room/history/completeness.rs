//! Whether a replay holds everything that was missed, and why not. Pure.

/// Whether a replay holds everything that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    Whole,
    /// Not: something may be missing.
    Partial(Cause),
}

/// Why a replay is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The window begins after the position.
    Window,
    /// So does the time for which this node knows the room.
    Opened,
    /// Events went early, because the node keeps no more bytes.
    Memory,
    /// The position names a node of which nothing is known here, or what a node sent was lost on the way.
    NodeLost,
    /// More was missed than a socket takes at once.
    TooMuch,
    /// What other nodes do not have could not be read from the stream behind them.
    StreamAway,
    /// Nobody knows how far the client has heard the channel.
    Unknown,
}

impl Completeness {
    /// As metrics show it.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial(Cause::Window | Cause::Opened) => "window",
            Self::Partial(Cause::Memory) => "memory",
            Self::Partial(Cause::NodeLost) => "node_lost",
            Self::Partial(Cause::TooMuch) => "too_much",
            Self::Partial(Cause::StreamAway) => "stream_away",
            Self::Partial(Cause::Unknown) => "unknown",
        }
    }
}

impl Cause {
    /// Whether other nodes may have what is missing here.
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::Opened | Self::NodeLost)
    }

    /// Whether others than this node may have what is missing, or know how far the client has heard the channel.
    pub(in crate::room) fn is_elsewhere(self) -> bool {
        self.is_local() || self == Self::Unknown
    }
}
