//! The bodies of unnumbered frames as bytes. A later release may only append fields to a body; older ones of the same
//! version pass over them.

use std::time::Duration;

use super::{error::DecodeError, read::Reader, state, write::Writer};
use crate::{
    fact::Keyed,
    frame::{Beat, Gap, Head, LostClaimsPage, Readiness, RecordPage, Rest, SnapshotPage, Stream, Unnumbered},
    room::NodeId,
};

const BEAT: u8 = 1;
const BYE: u8 = 2;
const HEADS: u8 = 3;
const ASK_HEADS: u8 = 4;
const ASK_RESEND: u8 = 5;
const GONE: u8 = 6;
const ASK_SNAPSHOT: u8 = 7;
const SNAPSHOT: u8 = 8;
const ASK_RECORDS: u8 = 9;
const RECORD_PAGE: u8 = 10;
const BARRIER: u8 = 11;
const UNSENT: u8 = 12;
const QUESTION: u8 = 13;
const ANSWER: u8 = 14;
const ASK_CLAIMS: u8 = 15;
const CLAIMS: u8 = 16;
const ASK_LOST_CLAIMS: u8 = 17;
const LOST_CLAIMS: u8 = 18;
const DELIVERED: u8 = 19;

pub(super) fn kind(body: &Unnumbered) -> u8 {
    match body {
        Unnumbered::Beat(_) => BEAT,
        Unnumbered::Bye { .. } => BYE,
        Unnumbered::Heads(_) => HEADS,
        Unnumbered::AskHeads => ASK_HEADS,
        Unnumbered::AskResend(_) => ASK_RESEND,
        Unnumbered::Gone { .. } => GONE,
        Unnumbered::AskSnapshot { .. } => ASK_SNAPSHOT,
        Unnumbered::Snapshot(_) => SNAPSHOT,
        Unnumbered::AskRecords { .. } => ASK_RECORDS,
        Unnumbered::RecordPage(_) => RECORD_PAGE,
        Unnumbered::Barrier { .. } => BARRIER,
        Unnumbered::Unsent(_) => UNSENT,
        Unnumbered::Question { .. } => QUESTION,
        Unnumbered::Answer { .. } => ANSWER,
        Unnumbered::AskClaims { .. } => ASK_CLAIMS,
        Unnumbered::Claims(_) => CLAIMS,
        Unnumbered::AskLostClaims { .. } => ASK_LOST_CLAIMS,
        Unnumbered::LostClaims(_) => LOST_CLAIMS,
        Unnumbered::Delivered { .. } => DELIVERED,
        Unnumbered::Unknown { kind } => *kind,
    }
}

/// The first minor version in which a body has all its fields.
pub(super) fn minor(body: &Unnumbered) -> u8 {
    match body {
        Unnumbered::Delivered { .. } => 4,
        Unnumbered::Question { .. } | Unnumbered::Answer { .. } => 3,
        Unnumbered::AskClaims { .. } | Unnumbered::Claims(_) => 3,
        Unnumbered::AskLostClaims { .. } | Unnumbered::LostClaims(_) => 3,
        Unnumbered::Beat(beat) if beat.minor > 0 => 3,
        Unnumbered::Unsent(_) | Unnumbered::Gone { events: Some(_), .. } => 2,
        _ => 0,
    }
}

pub(super) fn write(writer: &mut Writer, body: &Unnumbered) {
    match body {
        Unnumbered::Beat(beat) => write_beat(writer, beat),
        Unnumbered::Bye { hold } => writer.u64(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)),
        Unnumbered::Heads(heads) => writer.list(heads, |writer, head| {
            writer.u64(head.stream.bits());
            writer.u64(head.number);
        }),
        Unnumbered::AskResend(gaps) | Unnumbered::Unsent(gaps) => writer.list(gaps, write_gap),
        Unnumbered::Gone { gap, events } => {
            write_gap(writer, gap);
            events.iter().for_each(|events| writer.u64(*events));
        }
        Unnumbered::AskSnapshot { after } => writer.option(after.as_ref(), state::write_fact_key),
        Unnumbered::Snapshot(page) => {
            writer.u64(page.state);
            writer.option(page.after.as_ref(), state::write_fact_key);
            write_rest(writer, page.rest);
            writer.list(&page.facts, state::write_fact);
        }
        Unnumbered::AskClaims { after } => writer.option(after.as_ref(), state::write_page),
        Unnumbered::Claims(page) => {
            writer.u64(page.state);
            writer.option(page.after.as_ref(), state::write_page);
            write_rest(writer, page.rest);
            writer.list(&page.facts, state::write_claim);
        }
        Unnumbered::AskLostClaims { after } => writer.option(after.as_ref(), state::write_lost_key),
        Unnumbered::LostClaims(page) => {
            writer.option(page.after.as_ref(), state::write_lost_key);
            write_rest(writer, page.rest);
            writer.list(&page.claims, state::write_lost_claim);
        }
        Unnumbered::AskRecords { after } => writer.option(after.as_ref(), state::write_record_key),
        Unnumbered::RecordPage(page) => {
            writer.option(page.after.as_ref(), state::write_record_key);
            write_rest(writer, page.rest);
            writer.list(&page.records, state::write_record);
        }
        Unnumbered::Barrier { token } => writer.u64(*token),
        Unnumbered::Question { number, question: text } | Unnumbered::Answer { number, answer: text } => {
            writer.u64(*number);
            writer.chunk(text);
        }
        Unnumbered::Delivered { number, held } => write_delivered(writer, *number, *held),
        Unnumbered::AskHeads | Unnumbered::Unknown { .. } => {}
    }
}

/// The body of a kind that this release knows, as a minor version writes it; `None` for others, of whose bytes nothing
/// is read.
pub(super) fn read((kind, minor): (u8, u8), reader: &mut Reader) -> Result<Option<Unnumbered>, DecodeError> {
    Ok(Some(match kind {
        BEAT => Unnumbered::Beat(read_beat(reader, minor)?),
        BYE => Unnumbered::Bye { hold: Duration::from_millis(reader.u64()?) },
        HEADS => Unnumbered::Heads(reader.list(read_head)?),
        ASK_HEADS => Unnumbered::AskHeads,
        ASK_RESEND => Unnumbered::AskResend(reader.list(read_gap)?),
        GONE => Unnumbered::Gone { gap: read_gap(reader)?, events: (minor >= 2).then(|| reader.u64()).transpose()? },
        ASK_SNAPSHOT => Unnumbered::AskSnapshot { after: reader.option(state::read_fact_key)? },
        SNAPSHOT => Unnumbered::Snapshot(read_snapshot(reader, (state::read_fact_key, state::read_fact))?),
        ASK_RECORDS => Unnumbered::AskRecords { after: reader.option(state::read_record_key)? },
        RECORD_PAGE => Unnumbered::RecordPage(read_record_page(reader)?),
        BARRIER => Unnumbered::Barrier { token: reader.u64()? },
        UNSENT => Unnumbered::Unsent(reader.list(read_gap)?),
        QUESTION => Unnumbered::Question { number: reader.u64()?, question: reader.chunk()? },
        ANSWER => Unnumbered::Answer { number: reader.u64()?, answer: reader.chunk()? },
        ASK_CLAIMS => Unnumbered::AskClaims { after: reader.option(state::read_page)? },
        CLAIMS => Unnumbered::Claims(read_snapshot(reader, (state::read_page, state::read_claim))?),
        ASK_LOST_CLAIMS => Unnumbered::AskLostClaims { after: reader.option(state::read_lost_key)? },
        LOST_CLAIMS => Unnumbered::LostClaims(read_lost_claims(reader)?),
        DELIVERED => Unnumbered::Delivered { number: reader.u64()?, held: Duration::from_micros(reader.u64()?) },
        _ => return Ok(None),
    }))
}

fn write_delivered(writer: &mut Writer, number: u64, held: Duration) {
    writer.u64(number);
    writer.u64(u64::try_from(held.as_micros()).unwrap_or(u64::MAX));
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
    if beat.minor > 0 {
        writer.u8(beat.minor);
        writer.u64(beat.claims);
    }
}

fn read_beat(reader: &mut Reader, minor: u8) -> Result<Beat, DecodeError> {
    let readiness = match reader.u8()? {
        0 => Readiness::Learning,
        1 => Readiness::Ready,
        2 => Readiness::Leaving,
        _ => return Err(DecodeError::Value),
    };
    let mut beat = Beat {
        readiness,
        count: reader.u64()?,
        state: reader.u64()?,
        facts: reader.u64()?,
        bucket: reader.u64()?,
        cached: reader.u64()?,
        generations: reader.u64()?,
        seen: reader.list(|reader| Ok((NodeId::from_bits(reader.u64()?), reader.u64()?)))?,
        version: reader.version()?,
        minor: 0,
        claims: 0,
    };
    if minor >= 3 {
        (beat.minor, beat.claims) = (reader.u8()?, reader.u64()?);
    }
    // A node that says what it reads says no zero: those of earlier releases end before it.
    if minor < 3 || beat.minor > 0 { Ok(beat) } else { Err(DecodeError::Value) }
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

fn read_snapshot<T: Keyed>(
    reader: &mut Reader,
    (read_key, read): (
        impl Fn(&mut Reader) -> Result<T::Key, DecodeError>,
        impl Fn(&mut Reader) -> Result<T, DecodeError>,
    ),
) -> Result<SnapshotPage<T>, DecodeError> {
    let (state, after, rest) = (reader.u64()?, reader.option(read_key)?, read_rest(reader)?);
    let facts = reader.list(read)?;
    let goes_on = rest == Rest::Nothing || facts.last().is_some_and(|fact| Some(fact.key()) > after);
    if goes_on { Ok(SnapshotPage { state, after, rest, facts }) } else { Err(DecodeError::Value) }
}

fn read_lost_claims(reader: &mut Reader) -> Result<LostClaimsPage, DecodeError> {
    let (after, rest) = (reader.option(state::read_lost_key)?, read_rest(reader)?);
    let claims = reader.list(state::read_lost_claim)?;
    let goes_on = rest == Rest::Nothing || claims.last().is_some_and(|lost| Some(lost.key()) > after);
    if goes_on { Ok(LostClaimsPage { after, rest, claims }) } else { Err(DecodeError::Value) }
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
