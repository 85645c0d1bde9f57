//! Why bytes are not a frame.

use std::fmt;

use super::format::{MAX_FRAME, VERSION};

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DecodeError {
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// The bytes end before the frame does.
    Short,
    /// The frame ends before the bytes do.
    Trailing,
    Version,
    /// No such kind of frame, fact or record.
    Kind,
    /// A name or a number that no node would send.
    Value,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the frame is longer than {MAX_FRAME} bytes"),
            Self::Short => f.write_str("the frame is cut short"),
            Self::Trailing => f.write_str("bytes follow the frame"),
            Self::Version => write!(f, "the frame's version is not {VERSION}"),
            Self::Kind => f.write_str("the frame is of an unknown kind"),
            Self::Value => f.write_str("the frame has a value that no node sends"),
        }
    }
}
