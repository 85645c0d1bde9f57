//! Frames as bytes. The decoder is total: whatever the bytes are, it returns a frame or a `Refusal` that can be
//! counted, and never takes more memory than a small multiple of what it was given.
//!
//! Header, 26 bytes, numbers big-endian: version (1), kind (1), origin (8), number (8), predecessor (8).

mod read;
mod state;
mod write;

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    frame::{Beat, Body, Frame, Hole, Readiness, RoomEvent, SnapshotPart, Stream, Tail},
    hash::hash,
    room::NodeId,
};
use read::Reader;
use write::Writer;

pub use state::{fact_hash, fact_size, record_hash, record_size};

/// The version of the frames.
pub const VERSION: u8 = 1;

/// Bytes of a frame at most: what a bus with default settings carries.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes of the header.
pub const HEADER: usize = 26;

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// The bytes end before the frame does.
    Short,
    /// The frame ends before the bytes do.
    Trailing,
    /// Another version.
    Version,
    /// No such kind of frame, fact or record.
    Kind,
    /// A name or a number that no node would send.
    Value,
}

/// The bytes of a frame.
pub fn encode(frame: &Frame) -> Bytes {
    let mut writer = Writer::default();
    writer.u8(VERSION);
    writer.u8(kind(&frame.body));
    writer.u64(frame.origin.bits());
    writer.u64(frame.number);
    writer.u64(frame.predecessor);
    write_body(&mut writer, &frame.body);
    writer.finish()
}

/// The frame of some bytes; large payloads are slices of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Frame, Refusal> {
    if bytes.len() > MAX_FRAME {
        return Err(Refusal::TooLong);
    }
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return Err(Refusal::Version);
    }
    let kind = reader.u8()?;
    let (origin, number, predecessor) = (NodeId::from_bits(reader.u64()?), reader.u64()?, reader.u64()?);
    let body = read_body(kind, &mut reader)?;
    reader.end()?;
    let numbers_fit = match body.stream() {
        Some(_) => predecessor < number,
        None => predecessor == 0,
    };
    if numbers_fit { Ok(Frame { origin, number, predecessor, body }) } else { Err(Refusal::Value) }
}

fn kind(body: &Body) -> u8 {
    match body {
        Body::Facts(_) => 1,
        Body::Records(_) => 2,
        Body::Event(_) => 3,
        Body::Beat(_) => 4,
        Body::Bye { .. } => 5,
        Body::Tails(_) => 6,
        Body::AskTails => 7,
        Body::AskResend(_) => 8,
        Body::Gone(_) => 9,
        Body::AskSnapshot => 10,
        Body::Snapshot(_) => 11,
        Body::AskRecords => 12,
        Body::Ledger(_) => 13,
        Body::Barrier { .. } => 14,
    }
}

fn write_body(writer: &mut Writer, body: &Body) {
    match body {
        Body::Facts(facts) => writer.list(facts, state::write_fact),
        Body::Records(records) | Body::Ledger(records) => writer.list(records, state::write_record),
        Body::Event(event) => write_event(writer, event),
        Body::Beat(beat) => write_beat(writer, beat),
        Body::Bye { hold } => writer.u64(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)),
        Body::Tails(tails) => writer.list(tails, |writer, tail| {
            writer.u64(tail.stream.bits());
            writer.u64(tail.number);
        }),
        Body::AskResend(hole) | Body::Gone(hole) => {
            writer.u64(hole.stream.bits());
            writer.u64(hole.after);
            writer.u64(hole.through);
        }
        Body::Snapshot(part) => {
            writer.u64(part.state);
            writer.u32(part.index);
            writer.u32(part.parts);
            writer.list(&part.facts, state::write_fact);
        }
        Body::Barrier { token } => writer.u64(*token),
        Body::AskTails | Body::AskSnapshot | Body::AskRecords => {}
    }
}

fn read_body(kind: u8, reader: &mut Reader) -> Result<Body, Refusal> {
    Ok(match kind {
        1 => Body::Facts(reader.list(state::read_fact)?),
        2 => Body::Records(reader.list(state::read_record)?),
        3 => Body::Event(read_event(reader)?),
        4 => Body::Beat(read_beat(reader)?),
        5 => Body::Bye { hold: Duration::from_millis(reader.u64()?) },
        6 => Body::Tails(reader.list(read_tail)?),
        7 => Body::AskTails,
        8 => Body::AskResend(read_hole(reader)?),
        9 => Body::Gone(read_hole(reader)?),
        10 => Body::AskSnapshot,
        11 => Body::Snapshot(read_part(reader)?),
        12 => Body::AskRecords,
        13 => Body::Ledger(reader.list(state::read_record)?),
        14 => Body::Barrier { token: reader.u64()? },
        _ => return Err(Refusal::Kind),
    })
}

fn write_event(writer: &mut Writer, event: &RoomEvent) {
    writer.room(&event.room);
    writer.u8(u8::from(event.except.is_some()));
    if let Some(socket) = event.except {
        writer.u64(socket);
    }
    writer.rest(&event.payload);
}

fn read_event(reader: &mut Reader) -> Result<RoomEvent, Refusal> {
    let room = reader.room()?;
    let except = match reader.u8()? {
        0 => None,
        1 => Some(reader.u64()?),
        _ => return Err(Refusal::Value),
    };
    Ok(RoomEvent { room, except, payload: reader.rest() })
}

fn write_beat(writer: &mut Writer, beat: &Beat) {
    writer.u8(match beat.readiness {
        Readiness::Learning => 0,
        Readiness::Ready => 1,
        Readiness::Leaving => 2,
    });
    for number in [beat.count, beat.state, beat.facts, beat.bucket, beat.cached, beat.generations] {
        writer.u64(number);
    }
    writer.list(&beat.seen, |writer, (node, number)| {
        writer.u64(node.bits());
        writer.u64(*number);
    });
    writer.text(&beat.version);
}

fn read_beat(reader: &mut Reader) -> Result<Beat, Refusal> {
    let readiness = match reader.u8()? {
        0 => Readiness::Learning,
        1 => Readiness::Ready,
        2 => Readiness::Leaving,
        _ => return Err(Refusal::Value),
    };
    Ok(Beat {
        readiness,
        count: reader.u64()?,
        state: reader.u64()?,
        facts: reader.u64()?,
        bucket: reader.u64()?,
        cached: reader.u64()?,
        generations: reader.u64()?,
        seen: reader.list(|reader| Ok((NodeId::from_bits(reader.u64()?), reader.u64()?)))?,
        version: reader.version()?,
    })
}

fn read_tail(reader: &mut Reader) -> Result<Tail, Refusal> {
    Ok(Tail { stream: Stream::from_bits(reader.u64()?), number: reader.u64()? })
}

fn read_hole(reader: &mut Reader) -> Result<Hole, Refusal> {
    let hole = Hole { stream: Stream::from_bits(reader.u64()?), after: reader.u64()?, through: reader.u64()? };
    if hole.after < hole.through { Ok(hole) } else { Err(Refusal::Value) }
}

fn read_part(reader: &mut Reader) -> Result<SnapshotPart, Refusal> {
    let (state, index, parts) = (reader.u64()?, reader.u32()?, reader.u32()?);
    if index >= parts {
        return Err(Refusal::Value);
    }
    Ok(SnapshotPart { state, index, parts, facts: reader.list(state::read_fact)? })
}

impl fmt::Display for Refusal {
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
