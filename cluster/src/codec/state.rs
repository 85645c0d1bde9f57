//! Facts and records as bytes, and their hashes, which are those of their bytes. Both are the same in all releases of
//! one version, or nodes of two releases would never agree: a later release brings what it has to add in frames of a
//! new kind, with a hash of its own.

use std::time::Duration;

use super::{error::DecodeError, read::Reader, write::Writer};
use crate::{
    fact::{CachedEvent, Fact, FactKey, Generation, Member, Occupancy, Phase, Record, RecordKey},
    hash::hash,
    page::{Claim, LostClaim, PageClaim, PageHash},
    room::NodeId,
};

/// The bytes that a claim takes in a frame.
pub const CLAIM: usize = 24;

/// The bytes that a claim of a dead node takes in a frame.
pub const LOST_CLAIM: usize = 40;

/// The hash of a fact; that of a node's facts is the sum.
pub fn fact_hash(fact: &Fact) -> u64 {
    hash_of(fact, write_fact)
}

/// The hash of a record; that of many is the sum.
pub fn record_hash(record: &Record) -> u64 {
    hash_of(record, write_record)
}

/// The hash of a claim; that of a node's claims is the sum.
pub fn claim_hash(claim: &PageClaim) -> u64 {
    hash_of(claim, write_claim)
}

/// The bytes that a fact takes in a frame.
pub fn fact_size(fact: &Fact) -> usize {
    size_of(fact, write_fact)
}

/// The bytes that a record takes in a frame.
pub fn record_size(record: &Record) -> usize {
    size_of(record, write_record)
}

fn hash_of<T>(value: &T, write: impl Fn(&mut Writer, &T)) -> u64 {
    let mut writer = Writer::default();
    write(&mut writer, value);
    hash(writer.bytes())
}

fn size_of<T>(value: &T, write: impl Fn(&mut Writer, &T)) -> usize {
    let mut writer = Writer::default();
    write(&mut writer, value);
    writer.bytes().len()
}

pub(super) fn write_fact(writer: &mut Writer, fact: &Fact) {
    match fact {
        Fact::Connections { app, sockets } => {
            writer.u8(1);
            writer.text(app);
            writer.u32(*sockets);
        }
        Fact::Count { room, sockets } => {
            writer.u8(2);
            writer.room(room);
            writer.u32(*sockets);
        }
        Fact::Member { room, member } => {
            writer.u8(3);
            writer.room(room);
            writer.text(&member.user);
            writer.text(&member.info);
            writer.u64(member.since);
            writer.u32(member.sockets);
        }
        Fact::User { app, user, sockets } => {
            writer.u8(4);
            writer.text(app);
            writer.text(user);
            writer.u32(*sockets);
        }
        Fact::Tenant { app, tenant, sockets } => {
            writer.u8(5);
            writer.text(app);
            writer.text(tenant);
            writer.u32(*sockets);
        }
    }
}

pub(super) fn read_fact(reader: &mut Reader) -> Result<Fact, DecodeError> {
    Ok(match reader.u8()? {
        1 => Fact::Connections { app: reader.app()?, sockets: reader.u32()? },
        2 => Fact::Count { room: reader.room()?, sockets: reader.u32()? },
        3 => {
            let room = reader.room()?;
            let (user, info) = (reader.user()?, reader.text()?);
            Fact::Member { room, member: Member { user, info, since: reader.u64()?, sockets: reader.u32()? } }
        }
        4 => Fact::User { app: reader.app()?, user: reader.user()?, sockets: reader.u32()? },
        5 => Fact::Tenant { app: reader.app()?, tenant: reader.text()?, sockets: reader.u32()? },
        _ => return Err(DecodeError::Kind),
    })
}

pub(super) fn write_fact_key(writer: &mut Writer, key: &FactKey) {
    match key {
        FactKey::Connections(app) => {
            writer.u8(1);
            writer.text(app);
        }
        FactKey::Count(room) => {
            writer.u8(2);
            writer.room(room);
        }
        FactKey::Member(room, user) => {
            writer.u8(3);
            writer.room(room);
            writer.text(user);
        }
        FactKey::User(app, user) => {
            writer.u8(4);
            writer.text(app);
            writer.text(user);
        }
        FactKey::Tenant(app, tenant) => {
            writer.u8(5);
            writer.text(app);
            writer.text(tenant);
        }
    }
}

pub(super) fn read_fact_key(reader: &mut Reader) -> Result<FactKey, DecodeError> {
    Ok(match reader.u8()? {
        1 => FactKey::Connections(reader.app()?),
        2 => FactKey::Count(reader.room()?),
        3 => FactKey::Member(reader.room()?, reader.user()?),
        4 => FactKey::User(reader.app()?, reader.user()?),
        5 => FactKey::Tenant(reader.app()?, reader.text()?),
        _ => return Err(DecodeError::Kind),
    })
}

pub(super) fn write_record_key(writer: &mut Writer, key: &RecordKey) {
    match key {
        RecordKey::Cached(room) => {
            writer.u8(1);
            writer.room(room);
        }
        RecordKey::Generation(occupancy) => {
            writer.u8(2);
            write_occupancy(writer, occupancy);
        }
        RecordKey::Floor(slot) => {
            writer.u8(3);
            writer.u16(*slot);
        }
    }
}

pub(super) fn read_record_key(reader: &mut Reader) -> Result<RecordKey, DecodeError> {
    Ok(match reader.u8()? {
        1 => RecordKey::Cached(reader.room()?),
        2 => RecordKey::Generation(read_occupancy(reader)?),
        3 => RecordKey::Floor(reader.u16()?),
        _ => return Err(DecodeError::Kind),
    })
}

pub(super) fn write_record(writer: &mut Writer, record: &Record) {
    match record {
        Record::Cached { room, event } => {
            writer.u8(1);
            writer.room(room);
            writer.u64(event.at);
            writer.u64(event.ttl);
            writer.chunk(&event.payload);
        }
        Record::Generation(generation) => {
            writer.u8(2);
            write_occupancy(writer, &generation.occupancy);
            writer.u64(generation.number);
            writer.u8(match generation.phase {
                Phase::Announced => 0,
                Phase::Done => 1,
                Phase::Retired => 2,
            });
        }
        Record::Floor { slot, number } => {
            writer.u8(3);
            writer.u16(*slot);
            writer.u64(*number);
        }
    }
}

pub(super) fn read_record(reader: &mut Reader) -> Result<Record, DecodeError> {
    Ok(match reader.u8()? {
        1 => {
            let room = reader.room()?;
            let (at, ttl) = (reader.u64()?, reader.u64()?);
            Record::Cached { room, event: CachedEvent { at, ttl, payload: reader.chunk()? } }
        }
        2 => Record::Generation(read_generation(reader)?),
        3 => Record::Floor { slot: reader.u16()?, number: reader.u64()? },
        _ => return Err(DecodeError::Kind),
    })
}

fn read_generation(reader: &mut Reader) -> Result<Generation, DecodeError> {
    let occupancy = read_occupancy(reader)?;
    let number = reader.u64()?;
    let phase = match reader.u8()? {
        0 => Phase::Announced,
        1 => Phase::Done,
        2 => Phase::Retired,
        _ => return Err(DecodeError::Value),
    };
    Ok(Generation { occupancy, number, phase })
}

fn write_occupancy(writer: &mut Writer, occupancy: &Occupancy) {
    writer.room(&occupancy.room);
    writer.text(occupancy.user.as_deref().unwrap_or_default());
}

fn read_occupancy(reader: &mut Reader) -> Result<Occupancy, DecodeError> {
    let (room, user) = (reader.room()?, reader.user_or_none()?);
    Ok(Occupancy { room, user })
}

/// Zero withdraws.
pub(super) fn write_claim(writer: &mut Writer, PageClaim { page, claim }: &PageClaim) {
    write_page(writer, page);
    writer.u64(claim.map_or(0, Claim::bits));
}

pub(super) fn read_claim(reader: &mut Reader) -> Result<PageClaim, DecodeError> {
    Ok(PageClaim { page: read_page(reader)?, claim: Claim::from_bits(reader.u64()?) })
}

pub(super) fn write_page(writer: &mut Writer, page: &PageHash) {
    writer.u128(u128::from_be_bytes(page.0));
}

pub(super) fn read_page(reader: &mut Reader) -> Result<PageHash, DecodeError> {
    Ok(PageHash(reader.u128()?.to_be_bytes()))
}

pub(super) fn write_lost_key(writer: &mut Writer, (node, page): &(NodeId, PageHash)) {
    writer.u64(node.bits());
    write_page(writer, page);
}

pub(super) fn read_lost_key(reader: &mut Reader) -> Result<(NodeId, PageHash), DecodeError> {
    Ok((NodeId::from_bits(reader.u64()?), read_page(reader)?))
}

pub(super) fn write_lost_claim(writer: &mut Writer, lost: &LostClaim) {
    write_lost_key(writer, &lost.key());
    writer.u64(lost.claim.bits());
    writer.u64(u64::try_from(lost.silent_for.as_millis()).unwrap_or(u64::MAX));
}

pub(super) fn read_lost_claim(reader: &mut Reader) -> Result<LostClaim, DecodeError> {
    let (node, page) = read_lost_key(reader)?;
    let claim = Claim::from_bits(reader.u64()?).ok_or(DecodeError::Value)?;
    Ok(LostClaim { node, page, claim, silent_for: Duration::from_millis(reader.u64()?) })
}
