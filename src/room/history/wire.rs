//! What a node answers that is asked for what it knows of a channel, as bytes. Pure.
//!
//! Version (1 byte); the event after which the room was opened, as a list of one or none; the number of spans (2); of each
//! its origin (6), the numbers after and up to which all is known (8 each), whether the origin has ended (1), and the events
//! that settle it; then the kept events: origin (6), number (8), age in milliseconds (4), and what crosses the bus for it
//! live, behind its length (4). A list of events is its length (1) and their origins and numbers.

use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{OldEvent, Shared, Span};
use crate::{
    event::{
        EncodedEvent, Origin,
        wire::{self, Message},
    },
    protocol::{ChannelName, EventId, EventOrigin, position::MAX_ORIGINS},
};

const VERSION: u8 = 1;

/// The bytes of an answer. There are no more spans than origins in a position, and one more.
pub(in crate::room) fn write(Shared { opened, spans, events }: &Shared) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    write_ids(&mut bytes, opened.iter().copied());
    bytes.put_u16(u16::try_from(spans.len()).expect("there are few origins"));
    for Span { origin, after, last, has_ended, settled } in spans {
        bytes.put_slice(&origin.characters());
        bytes.put_u64(*after);
        bytes.put_u64(*last);
        bytes.put_u8(u8::from(*has_ended));
        write_ids(&mut bytes, settled.events().take(MAX_ORIGINS));
    }
    for OldEvent { id, age, event } in events {
        let payload = wire::event(event);
        write_id(&mut bytes, *id);
        bytes.put_u32(u32::try_from(age.as_millis()).unwrap_or(u32::MAX));
        bytes.put_u32(u32::try_from(payload.len()).expect("an event is shorter than a frame between nodes"));
        bytes.put_slice(&payload);
    }
    bytes.freeze()
}

fn write_ids(bytes: &mut BytesMut, ids: impl Iterator<Item = EventId>) {
    let ids: Vec<EventId> = ids.collect();
    bytes.put_u8(u8::try_from(ids.len()).expect("there are few origins"));
    ids.into_iter().for_each(|id| write_id(bytes, id));
}

fn write_id(bytes: &mut BytesMut, id: EventId) {
    bytes.put_slice(&id.origin.characters());
    bytes.put_u64(id.number);
}

/// Reads what another node wrote, as hostile input; `None` if it is no answer, or one of another release.
pub(in crate::room) fn read(mut bytes: Bytes, channel: &ChannelName, now: Instant) -> Option<Shared> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let opened = read_ids(&mut bytes)?.into_iter().next();
    let count = bytes.try_get_u16().ok()?;
    let spans = (0..count).map(|_| read_span(&mut bytes)).collect::<Option<_>>()?;
    let mut events = Vec::new();
    while !bytes.is_empty() {
        events.push(read_event(&mut bytes, channel, now)?);
    }
    Some(Shared { opened, spans, events })
}

fn read_span(bytes: &mut Bytes) -> Option<Span> {
    let origin = read_origin(bytes)?;
    let (after, last) = (bytes.try_get_u64().ok()?, bytes.try_get_u64().ok()?);
    let has_ended = match bytes.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let settled = read_ids(bytes)?.into_iter().collect();
    (after <= last).then_some(Span { origin, after, last, has_ended, settled })
}

fn read_ids(bytes: &mut Bytes) -> Option<Vec<EventId>> {
    let count = bytes.try_get_u8().ok()?;
    (0..count).map(|_| read_id(bytes)).collect()
}

fn read_id(bytes: &mut Bytes) -> Option<EventId> {
    Some(EventId { origin: read_origin(bytes)?, number: bytes.try_get_u64().ok()? })
}

fn read_event(bytes: &mut Bytes, channel: &ChannelName, now: Instant) -> Option<OldEvent> {
    let id = read_id(bytes)?;
    let age = Duration::from_millis(bytes.try_get_u32().ok()?.into());
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let payload = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    match wire::read(payload)? {
        // It must not keep the whole answer in memory.
        Message::Event(mut payload) if payload.origin == Origin::BackEnd => {
            payload.frame = Bytes::copy_from_slice(&payload.frame);
            let event = EncodedEvent::from_peer(channel.clone(), payload, None, now);
            Some(OldEvent { id, age, event })
        }
        Message::Event(_) | Message::User(_) | Message::Member(..) => None,
    }
}

fn read_origin(bytes: &mut Bytes) -> Option<EventOrigin> {
    let mut characters = [0; 6];
    bytes.try_copy_to_slice(&mut characters).ok()?;
    EventOrigin::of_characters(characters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Words},
        protocol::{Position, SocketId},
    };

    fn answer() -> (Shared, ChannelName) {
        let channel = ChannelName::parse("orders", 200).unwrap();
        let origin = EventOrigin::of_node(7);
        let except = Some(SocketId::from_bits(3));
        let moment = (Instant::now(), Duration::from_secs(9));
        let event = Event::from_back_end(channel.clone(), Words::new("e", "{}"), except, moment).encode();
        let (id, other) = (EventId { origin, number: 5 }, EventOrigin::of_node(8));
        let spans = vec![
            Span { origin, after: 3, last: 9, has_ended: false, settled: Position::default() },
            Span { origin: other, after: 0, last: 0, has_ended: true, settled: [id].into_iter().collect() },
        ];
        let events = vec![OldEvent { id, age: Duration::from_millis(1_234), event }];
        (Shared { opened: Some(id), spans, events }, channel)
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let (written, channel) = answer();
        let Shared { opened, spans, events } = read(write(&written), &channel, Instant::now()).unwrap();
        assert_eq!((opened, &spans, events.len()), (written.opened, &written.spans, 1));
        let (read, old) = (&events[0], &written.events[0]);
        assert_eq!((read.id, read.age), (old.id, old.age));
        assert_eq!((&read.event.frame, read.event.except), (&old.event.frame, old.event.except));
    }

    #[test]
    fn what_is_cut_or_changed_is_no_answer() {
        let (written, channel) = answer();
        let good = write(&written);
        let without_events = write(&Shared { events: Vec::new(), ..written }).len();
        for length in (0..good.len()).filter(|length| *length != without_events) {
            assert!(read(good.slice(..length), &channel, Instant::now()).is_none(), "{length} bytes");
        }
        // The version, a character of an origin, the end of a span before its beginning, and the kind of an event.
        for (index, byte) in [(0, 2), (2, b'A'), (24, 1), (without_events + 22, 9)] {
            let mut changed = good.to_vec();
            changed[index] = byte;
            assert!(read(changed.into(), &channel, Instant::now()).is_none(), "{byte} at {index}");
        }
    }
}
