//! Frames as bytes. The decoder is total: whatever the bytes are, it returns a frame or a `DecodeError` that can be
//! counted, and never takes more memory than a small multiple of what it was given.
//!
//! Header, numbers big-endian: version (1), length of the header (1), minor version (1), kind (1), origin (8), number
//! (8), predecessor (8), stream (8); since minor version 1, where there is one, the trace (16) and span (8) that an
//! event or a record comes of. Then the body: since minor version 2 `Unsent`, and how many events are gone with `Gone`.
//!
//! What releases of one version may do, so that they can live in one cluster:
//! - A later one has a higher minor version. It may append fields to the header and to bodies: earlier ones pass over
//!   them. To facts, records and the fields that are there it does nothing.
//! - It may have new kinds. Those of numbered frames have the highest bit set, and the header names their stream: an
//!   earlier release counts such a frame, and its stream goes on behind it.
//! - A frame of our own minor version or an earlier one has nothing that we do not know; if it has, it is refused.
//! - A frame carries the first minor version that has all its fields, so that most frames are those of minor version 0.
//!   Where a field is absent before one that is there, it is zero.
//!
//! Everything else needs another version, which has other subjects.

mod body;
mod read;
mod state;
mod write;

use std::fmt;

use bytes::Bytes;

use crate::{
    frame::{Body, Frame, Stream},
    hash::hash,
    room::{MAX_APP, MAX_CHANNEL, NodeId},
    trace::TraceContext,
};
use body::NUMBERED;
use read::Reader;
use write::Writer;

pub use body::publication_size;
pub use state::{fact_hash, fact_size, record_hash, record_size};

pub const VERSION: u8 = 1;

pub const MINOR: u8 = 2;

/// Bytes of a frame at most: what a bus with default settings carries.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes of the header without a trace.
pub const HEADER: usize = 36;

/// Bytes of the header with a trace.
pub const TRACED_HEADER: usize = HEADER + 24;

/// Bytes that a frame has beside an event's payload at most: header, names, and in the 64 the trace and all lengths.
pub const ENVELOPE: usize = HEADER + MAX_APP + MAX_CHANNEL + 64;

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

pub fn encode(frame: &Frame) -> Bytes {
    // Events are many: they take the memory that they need at once.
    let body = if let Body::Event(event) = &frame.body { body::event_size(event) } else { 0 };
    let trace = frame.body.trace();
    let header = if trace.is_some() { TRACED_HEADER } else { HEADER };
    let mut writer = Writer::with_room_for(header + body);
    writer.u8(VERSION);
    writer.u8(u8::try_from(header).expect("the header has 60 bytes at most"));
    writer.u8(body::minor(&frame.body));
    writer.u8(body::kind(&frame.body));
    writer.u64(frame.origin.bits());
    writer.u64(frame.number);
    writer.u64(frame.predecessor);
    writer.u64(frame.body.stream().unwrap_or(Stream::STATE).bits());
    if let Some(trace) = trace {
        writer.u128(trace.trace());
        writer.u64(trace.span());
    }
    body::write_body(&mut writer, &frame.body);
    writer.finish()
}

/// The frame of some bytes; large payloads are slices of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Frame, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let header = read_header(&mut reader)?;
    let Some(body) = body::read_body((header.kind, header.minor), &mut reader, header.trace)? else {
        return header.unknown();
    };
    if !reader.is_at_end() && !header.is_newer {
        return Err(DecodeError::Trailing);
    }
    if body.trace() != header.trace && !header.is_newer {
        return Err(DecodeError::Value);
    }
    if body.stream() == header.stream { Ok(header.frame(body)) } else { Err(DecodeError::Value) }
}

struct Header {
    /// Whether a later release wrote it.
    is_newer: bool,
    minor: u8,
    kind: u8,
    origin: NodeId,
    number: u64,
    predecessor: u64,
    stream: Option<Stream>,
    trace: Option<TraceContext>,
}

fn read_header(reader: &mut Reader) -> Result<Header, DecodeError> {
    if reader.u8()? != VERSION {
        return Err(DecodeError::Version);
    }
    let (length, minor, kind) = (usize::from(reader.u8()?), reader.u8()?, reader.u8()?);
    let (origin, number) = (NodeId::from_bits(reader.u64()?), reader.u64()?);
    let (predecessor, stream) = (reader.u64()?, Stream::from_bits(reader.u64()?));
    let trace = read_later_fields(reader, minor, length)?;
    let is_numbered = kind & NUMBERED != 0;
    let fits = if is_numbered { predecessor < number } else { predecessor == 0 && stream == Stream::STATE };
    if !fits {
        return Err(DecodeError::Value);
    }
    let stream = is_numbered.then_some(stream);
    Ok(Header { is_newer: minor > MINOR, minor, kind, origin, number, predecessor, stream, trace })
}

/// What a header of minor version 0 does not have.
fn read_later_fields(reader: &mut Reader, minor: u8, length: usize) -> Result<Option<TraceContext>, DecodeError> {
    if length == HEADER {
        return Ok(None);
    }
    let unknown = length.checked_sub(TRACED_HEADER).ok_or(DecodeError::Value)?;
    if minor == 0 || (unknown > 0 && minor <= MINOR) {
        return Err(DecodeError::Value);
    }
    let (trace, span) = (reader.u128()?, reader.u64()?);
    reader.skip(unknown)?;
    let context = TraceContext::new(trace, span);
    if context.is_some() || (trace, span) == (0, 0) { Ok(context) } else { Err(DecodeError::Value) }
}

impl Header {
    fn frame(self, body: Body) -> Frame {
        Frame { origin: self.origin, number: self.number, predecessor: self.predecessor, body }
    }

    fn unknown(self) -> Result<Frame, DecodeError> {
        let body = Body::Unknown { kind: self.kind, stream: self.stream };
        if self.is_newer { Ok(self.frame(body)) } else { Err(DecodeError::Kind) }
    }
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

/// The hash of something written as `write` does it.
fn hash_of<T>(value: &T, write: impl Fn(&mut Writer, &T)) -> u64 {
    let mut writer = Writer::default();
    write(&mut writer, value);
    hash(writer.bytes())
}

#[cfg(test)]
mod tests;
