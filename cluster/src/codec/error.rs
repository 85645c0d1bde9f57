//! Why bytes are not a frame.

use super::format::{MAX_FRAME, VERSION};

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    #[error("the frame is longer than {MAX_FRAME} bytes")]
    TooLong,
    #[error("the frame is cut short")]
    Short,
    #[error("bytes follow the frame")]
    Trailing,
    #[error("the frame's version is not {VERSION}")]
    Version,
    /// No such kind of frame, fact or record.
    #[error("the frame is of an unknown kind")]
    Kind,
    /// A name or a number that no node would send.
    #[error("the frame has a value that no node sends")]
    Value,
}
