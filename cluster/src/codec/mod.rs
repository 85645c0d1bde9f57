//! Frames as bytes. The decoder is total: whatever the bytes are, it returns a frame or a `DecodeError` that can be
//! counted, and never takes more memory than a small multiple of what it was given.
//!
//! Header, numbers big-endian: version (1), length of the header (1), minor version (1), kind (1), origin (8), number
//! (8), predecessor (8), stream (8); since minor version 1, where there is one, the trace (16) and span (8) that an
//! event or a record comes of. Then the body: since minor version 2 `Unsent`, and how many events are gone with `Gone`;
//! since minor version 3 `Question` and `Answer`, everything about claims, and in `Beat` the minor version that its node reads
//! and the hash of its claims; since minor version 4 `Delivered`, and the flags (1) of a trace that is sampled stand behind its
//! span.
//!
//! What releases of one version may do, so that they can live in one cluster:
//! - A later one has a higher minor version. It may append fields to the header and to bodies: earlier ones pass over
//!   them. To facts, records and the fields that are there it does nothing.
//! - It may have new kinds. Those of numbered frames have the highest bit set, and the header names their stream: an
//!   earlier release counts such a frame, and its stream goes on behind it.
//! - A frame of our own minor version or an earlier one has nothing that we do not know; if it has, it is refused.
//! - A beat says which minor version its origin reads, so that nobody waits for an answer of a release that gives none.
//! - A frame carries the first minor version that has all its fields, so that most frames are those of minor version 0.
//!   Where a field is absent before one that is there, it is zero.
//!
//! Everything else needs another version, which has other subjects.

mod error;
mod format;
mod header;
mod numbered;
mod read;
mod state;
mod unnumbered;
mod write;

use bytes::Bytes;

use crate::frame::{Body, Frame, Numbered, Unnumbered};
use header::{Header, read_header, write_header};
use read::Reader;
use write::Writer;

pub use error::DecodeError;
pub use format::{
    CLAIMS, DELIVERIES, ENVELOPE, HEADER, MAX_FRAME, MINOR, QUESTIONS, SAMPLED_HEADER, TRACED_HEADER, VERSION,
};
pub use numbered::publication_size;
pub use state::{CLAIM, LOST_CLAIM, claim_hash, fact_hash, fact_size, record_hash, record_size};

pub fn encode(frame: &Frame) -> Bytes {
    let mut writer = Writer::with_room_for(header::header_length(&frame.body) + body_capacity(&frame.body));
    match &frame.body {
        Body::Numbered { content, .. } => {
            write_header(&mut writer, (numbered::kind(content), numbered::minor(content)), frame);
            numbered::write(&mut writer, content);
        }
        Body::Unnumbered(body) => {
            write_header(&mut writer, (unnumbered::kind(body), unnumbered::minor(body)), frame);
            unnumbered::write(&mut writer, body);
        }
    }
    writer.finish()
}

/// Events are many: they take the memory that they need at once.
fn body_capacity(body: &Body) -> usize {
    match body {
        Body::Numbered { content: Numbered::Event(event), .. } => numbered::event_size(event),
        Body::Numbered { .. } | Body::Unnumbered(_) => 0,
    }
}

/// The frame of some bytes; large payloads are slices of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Frame, DecodeError> {
    if bytes.len() > MAX_FRAME {
        return Err(DecodeError::TooLong);
    }
    let mut reader = Reader::new(bytes);
    let header = read_header(&mut reader)?;
    let Some(body) = read_body(&header, &mut reader)? else { return unknown(&header) };
    if !reader.is_at_end() && !header.is_newer {
        return Err(DecodeError::Trailing);
    }
    if body.trace() != header.trace && !header.is_newer {
        return Err(DecodeError::Value);
    }
    if body.stream() == header.position.as_ref().map(|position| position.stream) {
        Ok(frame(&header, body))
    } else {
        Err(DecodeError::Value)
    }
}

/// The body of a kind that this release knows; `None` for others, of whose bytes nothing is read.
fn read_body(header: &Header, reader: &mut Reader) -> Result<Option<Body>, DecodeError> {
    Ok(match &header.position {
        Some(position) => {
            let content = numbered::read(header.kind, reader, header.trace)?;
            content.map(|content| content.after(position.predecessor))
        }
        None => unnumbered::read((header.kind, header.minor), reader)?.map(Body::from),
    })
}

/// A frame of a kind that only a later release knows.
fn unknown(header: &Header) -> Result<Frame, DecodeError> {
    let kind = header.kind;
    let body = match &header.position {
        Some(position) => Numbered::Unknown { kind, stream: position.stream }.after(position.predecessor),
        None => Unnumbered::Unknown { kind }.into(),
    };
    if header.is_newer { Ok(frame(header, body)) } else { Err(DecodeError::Kind) }
}

fn frame(header: &Header, body: Body) -> Frame {
    Frame { origin: header.origin, number: header.number, body }
}

#[cfg(test)]
mod tests;
