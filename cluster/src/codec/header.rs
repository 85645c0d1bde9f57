//! The header of a frame: who sent it, its number, its kind, and where it belongs.

use super::{
    error::DecodeError,
    format::{HEADER, MINOR, NUMBERED, SAMPLED, SAMPLED_HEADER, TRACED_HEADER, VERSION},
    read::Reader,
    write::Writer,
};
use crate::{
    frame::{Body, Frame, Stream},
    room::NodeId,
    trace::TraceContext,
};

pub(super) struct Header {
    /// Whether a later release wrote it.
    pub is_newer: bool,
    pub minor: u8,
    pub kind: u8,
    pub origin: NodeId,
    pub number: u64,
    /// Where a numbered frame belongs; `None` for those that are not numbered.
    pub position: Option<StreamPosition>,
    pub trace: Option<TraceContext>,
}

pub(super) struct StreamPosition {
    pub predecessor: u64,
    pub stream: Stream,
}

pub(super) fn write_header(writer: &mut Writer, (kind, minor): (u8, u8), frame: &Frame) {
    let length = header_length(&frame.body);
    writer.u8(VERSION);
    writer.u8(u8::try_from(length).expect("the header has 61 bytes at most"));
    writer.u8(minor);
    writer.u8(kind);
    writer.u64(frame.origin.bits());
    writer.u64(frame.number);
    let (predecessor, stream) = match &frame.body {
        Body::Numbered { predecessor, content } => (*predecessor, content.stream()),
        Body::Unnumbered(_) => (0, Stream::STATE),
    };
    writer.u64(predecessor);
    writer.u64(stream.bits());
    if let Some(trace) = frame.body.trace() {
        writer.u128(trace.trace());
        writer.u64(trace.span());
        if trace.is_sampled() {
            writer.u8(SAMPLED);
        }
    }
}

pub(super) fn header_length(body: &Body) -> usize {
    match body.trace() {
        Some(trace) if trace.is_sampled() => SAMPLED_HEADER,
        Some(_) => TRACED_HEADER,
        None => HEADER,
    }
}

pub(super) fn read_header(reader: &mut Reader) -> Result<Header, DecodeError> {
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
    let position = is_numbered.then_some(StreamPosition { predecessor, stream });
    Ok(Header { is_newer: minor > MINOR, minor, kind, origin, number, position, trace })
}

/// What a header of minor version 0 does not have.
fn read_later_fields(reader: &mut Reader, minor: u8, length: usize) -> Result<Option<TraceContext>, DecodeError> {
    if length == HEADER {
        return Ok(None);
    }
    let flags = length.checked_sub(TRACED_HEADER).ok_or(DecodeError::Value)?;
    let known = match minor {
        0 => return Err(DecodeError::Value),
        1..4 => TRACED_HEADER,
        4.. => SAMPLED_HEADER,
    };
    if length > known && minor <= MINOR {
        return Err(DecodeError::Value);
    }
    let (trace, span) = (reader.u128()?, reader.u64()?);
    let is_sampled = flags > 0 && known == SAMPLED_HEADER && is_sampled(reader.u8()?, minor)?;
    reader.skip(length.saturating_sub(known))?;
    let context = TraceContext::new(trace, span).map(|context| context.with_sampled(is_sampled));
    if context.is_some() || (trace, span) == (0, 0) { Ok(context) } else { Err(DecodeError::Value) }
}

/// Where a trace is not sampled its flags are not written, but by a later release that has more to say.
fn is_sampled(flags: u8, minor: u8) -> Result<bool, DecodeError> {
    match flags {
        SAMPLED => Ok(true),
        _ if minor > MINOR => Ok(flags & SAMPLED == SAMPLED),
        _ => Err(DecodeError::Value),
    }
}
