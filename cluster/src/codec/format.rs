//! The numbers that every release of one version shares: versions and sizes.

use crate::room::{MAX_APP, MAX_CHANNEL};

pub const VERSION: u8 = 1;

pub const MINOR: u8 = 4;

/// The first minor version whose releases answer questions.
pub const QUESTIONS: u8 = 3;

/// The first minor version whose releases say which pages they have.
pub const CLAIMS: u8 = 3;

/// The first minor version whose releases measure how long their events take.
pub const DELIVERIES: u8 = 4;

/// Set in the kinds of numbered frames, so that a frame of a kind that only a later release knows still takes its place
/// in its stream.
pub(super) const NUMBERED: u8 = 0x80;

/// Bytes of a frame at most: what a bus with default settings carries.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes of the header without a trace.
pub const HEADER: usize = 36;

/// Bytes of the header with a trace.
pub const TRACED_HEADER: usize = HEADER + 24;

/// Bytes of the header with a trace that is sampled.
pub const SAMPLED_HEADER: usize = TRACED_HEADER + 1;

/// The flags of a trace that is sampled, as W3C Trace Context §3.2.2.5 has them.
pub(super) const SAMPLED: u8 = 1;

/// Bytes that a frame has beside an event's payload at most: header, names, and in the 64 the trace and all lengths.
pub const ENVELOPE: usize = HEADER + MAX_APP + MAX_CHANNEL + 64;
