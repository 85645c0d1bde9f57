//! The bodies of frames as bytes. A later release may only append fields to a body; older ones of the same version pass
//! over them.

use std::time::Duration;

use super::{DecodeError, read::Reader, state, write::Writer};
use crate::{
    frame::{Beat, Body, Gap, Head, Publication, Readiness, RecordPage, Rest, RoomEvent, SnapshotPage, Stream, is_key},
    room::NodeId,
    trace::TraceContext,
};

/// Set in the kinds of numbered frames, so that a frame of a kind that only a later release knows still takes its place
/// in its stream.
pub(super) const NUMBERED: u8 = 0x80;

pub(super) fn kind(body: &Body) -> u8 {
    match body {
        Body::Facts(_) => NUMBERED | 1,
        Body::Records(..) => NUMBERED | 2,
        Body::Event(_) => NUMBERED | 3,
        Body::Published(_) => NUMBERED | 4,
        Body::Beat(_) => 1,
        Body::Bye { .. } => 2,
        Body::Heads(_) => 3,
        Body::AskHeads => 4,
        Body::AskResend(_) => 5,
        Body::Gone { .. } => 6,
        Body::AskSnapshot { .. } => 7,
        Body::Snapshot(_) => 8,
        Body::AskRecords { .. } => 9,
        Body::RecordPage(_) => 10,
        Body::Barrier { .. } => 11,
        Body::Unsent(_) => 12,
        Body::Unknown { kind, .. } => *kind,
    }
}

/// The first minor version in which a body has all its fields.
pub(super) fn minor(body: &Body) -> u8 {
    match body {
        Body::Unsent(_) | Body::Published(_) | Body::Gone { events: Some(_), .. } => 2,
        _ if body.trace().is_some() => 1,
        _ => 0,
    }
}

pub(super) fn write_body(writer: &mut Writer, body: &Body) {
    match body {
        Body::Facts(facts) => writer.list(facts, state::write_fact),
        Body::Records(records, _) => writer.list(records, state::write_record),
        Body::Event(event) => write_event(writer, event),
        Body::Published(publication) => write_publication(writer, publication),
        Body::Beat(beat) => write_beat(writer, beat),
        Body::Bye { hold } => writer.u64(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)),
        Body::Heads(heads) => writer.list(heads, |writer, head| {
            writer.u64(head.stream.bits());
            writer.u64(head.number);
        }),
        Body::AskResend(gaps) | Body::Unsent(gaps) => writer.list(gaps, write_gap),
        Body::Gone { gap, events } => {
            write_gap(writer, gap);
            events.iter().for_each(|events| writer.u64(*events));
        }
        Body::AskSnapshot { after } => writer.option(after.as_ref(), state::write_fact_key),
        Body::Snapshot(page) => {
            writer.u64(page.state);
            writer.option(page.after.as_ref(), state::write_fact_key);
            write_rest(writer, page.rest);
            writer.list(&page.facts, state::write_fact);
        }
        Body::AskRecords { after } => writer.option(after.as_ref(), state::write_record_key),
        Body::RecordPage(page) => {
            writer.option(page.after.as_ref(), state::write_record_key);
            write_rest(writer, page.rest);
            writer.list(&page.records, state::write_record);
        }
        Body::Barrier { token } => writer.u64(*token),
        Body::AskHeads | Body::Unknown { .. } => {}
    }
}

/// The body of a kind that this release knows, as a minor version writes it; `None` for others, of whose bytes nothing
/// is read. `trace` is the header's.
pub(super) fn read_body(
    (kind, minor): (u8, u8),
    reader: &mut Reader,
    trace: Option<TraceContext>,
) -> Result<Option<Body>, DecodeError> {
    Ok(Some(match kind {
        0x81 => Body::Facts(reader.list(state::read_fact)?),
        0x82 => Body::Records(reader.list(state::read_record)?, trace),
        0x83 => Body::Event(RoomEvent { room: reader.room()?, payload: reader.chunk()?, trace }),
        0x84 => Body::Published(read_publication(reader)?),
        1 => Body::Beat(read_beat(reader)?),
        2 => Body::Bye { hold: Duration::from_millis(reader.u64()?) },
        3 => Body::Heads(reader.list(read_head)?),
        4 => Body::AskHeads,
        5 => Body::AskResend(reader.list(read_gap)?),
        6 => Body::Gone { gap: read_gap(reader)?, events: (minor >= 2).then(|| reader.u64()).transpose()? },
        7 => Body::AskSnapshot { after: reader.option(state::read_fact_key)? },
        8 => Body::Snapshot(read_snapshot(reader)?),
        9 => Body::AskRecords { after: reader.option(state::read_record_key)? },
        10 => Body::RecordPage(read_record_page(reader)?),
        11 => Body::Barrier { token: reader.u64()? },
        12 => Body::Unsent(reader.list(read_gap)?),
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

fn read_beat(reader: &mut Reader) -> Result<Beat, DecodeError> {
    let readiness = match reader.u8()? {
        0 => Readiness::Learning,
        1 => Readiness::Ready,
        2 => Readiness::Leaving,
        _ => return Err(DecodeError::Value),
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

fn read_head(reader: &mut Reader) -> Result<Head, DecodeError> {
    Ok(Head { stream: Stream::from_bits(reader.u64()?), number: reader.u64()? })
}

fn write_gap(writer: &mut Writer, gap: &Gap) {
    writer.u64(gap.stream.bits());
    writer.u64(gap.after);
    writer.u64(gap.through);
}

fn read_gap(reader: &mut Reader) -> Result<Gap, DecodeError> {
    let gap = Gap { stream: Stream::from_bits(reader.u64()?), after: reader.u64()?, through: reader.u64()? };
    if gap.after < gap.through { Ok(gap) } else { Err(DecodeError::Value) }
}

fn read_snapshot(reader: &mut Reader) -> Result<SnapshotPage, DecodeError> {
    let (state, after, rest) = (reader.u64()?, reader.option(state::read_fact_key)?, read_rest(reader)?);
    let facts = reader.list(state::read_fact)?;
    let goes_on = rest == Rest::Nothing || facts.last().is_some_and(|fact| Some(fact.key()) > after);
    if goes_on { Ok(SnapshotPage { state, after, rest, facts }) } else { Err(DecodeError::Value) }
}

fn read_record_page(reader: &mut Reader) -> Result<RecordPage, DecodeError> {
    let (after, rest) = (reader.option(state::read_record_key)?, read_rest(reader)?);
    let records = reader.list(state::read_record)?;
    let goes_on = rest == Rest::Nothing || records.last().is_some_and(|record| Some(record.key()) > after);
    if goes_on { Ok(RecordPage { after, rest, records }) } else { Err(DecodeError::Value) }
}

fn write_rest(writer: &mut Writer, rest: Rest) {
    writer.u8(match rest {
        Rest::Nothing => 0,
        Rest::More => 1,
    });
}

fn read_rest(reader: &mut Reader) -> Result<Rest, DecodeError> {
    match reader.u8()? {
        0 => Ok(Rest::Nothing),
        1 => Ok(Rest::More),
        _ => Err(DecodeError::Value),
    }
}
