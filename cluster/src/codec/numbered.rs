//! The bodies of numbered frames as bytes. A later release may only append fields to a body; older ones of the same version
//! pass over them.

use super::{error::DecodeError, format::NUMBERED, read::Reader, state, write::Writer};
use crate::{
    frame::{Numbered, Publication, RoomEvent, is_key},
    trace::TraceContext,
};

const FACTS: u8 = NUMBERED | 1;
const RECORDS: u8 = NUMBERED | 2;
const EVENT: u8 = NUMBERED | 3;
const PUBLISHED: u8 = NUMBERED | 4;
const CLAIMS: u8 = NUMBERED | 5;

pub(super) fn kind(body: &Numbered) -> u8 {
    match body {
        Numbered::Facts(_) => FACTS,
        Numbered::Records(..) => RECORDS,
        Numbered::Event(_) => EVENT,
        Numbered::Published(_) => PUBLISHED,
        Numbered::Claims(_) => CLAIMS,
        Numbered::Unknown { kind, .. } => *kind,
    }
}

/// The first minor version in which a body has all its fields.
pub(super) fn minor(body: &Numbered) -> u8 {
    match body {
        Numbered::Claims(_) => 3,
        Numbered::Published(_) => 2,
        _ => match body.trace() {
            Some(trace) if trace.is_sampled() => 4,
            Some(_) => 1,
            None => 0,
        },
    }
}

pub(super) fn write(writer: &mut Writer, body: &Numbered) {
    match body {
        Numbered::Facts(facts) => writer.list(facts, state::write_fact),
        Numbered::Records(records, _) => writer.list(records, state::write_record),
        Numbered::Event(event) => write_event(writer, event),
        Numbered::Published(publication) => write_publication(writer, publication),
        Numbered::Claims(claims) => writer.list(claims, state::write_claim),
        Numbered::Unknown { .. } => {}
    }
}

/// The body of a kind that this release knows; `None` for others, of whose bytes nothing is read. `trace` is the header's.
pub(super) fn read(
    kind: u8,
    reader: &mut Reader,
    trace: Option<TraceContext>,
) -> Result<Option<Numbered>, DecodeError> {
    Ok(Some(match kind {
        FACTS => Numbered::Facts(reader.list(state::read_fact)?),
        RECORDS => Numbered::Records(reader.list(state::read_record)?, trace),
        EVENT => Numbered::Event(RoomEvent { room: reader.room()?, payload: reader.chunk()?, trace }),
        PUBLISHED => Numbered::Published(read_publication(reader)?),
        CLAIMS => Numbered::Claims(reader.list(state::read_claim)?),
        _ => return Ok(None),
    }))
}

pub fn publication_size(publication: &Publication) -> usize {
    let mut writer = Writer::default();
    write_publication(&mut writer, publication);
    writer.bytes().len()
}

fn write_publication(writer: &mut Writer, publication: &Publication) {
    writer.text(&publication.app);
    writer.text(&publication.key);
    writer.u128(publication.body);
    writer.chunk(&publication.answer);
}

fn read_publication(reader: &mut Reader) -> Result<Publication, DecodeError> {
    let (app, key) = (reader.app()?, reader.text()?);
    let publication = Publication { app, key, body: reader.u128()?, answer: reader.chunk()? };
    if is_key(&publication.key) && !publication.answer.is_empty() { Ok(publication) } else { Err(DecodeError::Value) }
}

pub(super) fn event_size(event: &RoomEvent) -> usize {
    let texts = [event.room.app().len(), event.room.channel().len(), event.payload.len()];
    texts.iter().map(|length| size_of::<u32>() + length).sum()
}

fn write_event(writer: &mut Writer, event: &RoomEvent) {
    writer.room(&event.room);
    writer.chunk(&event.payload);
}
