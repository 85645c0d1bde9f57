//! What one event is between nodes: `gaung-cluster` carries it without reading it. Pure.
//!
//! Kind (1 byte), when it was accepted (8, microseconds of the Unix epoch), the excluded socket (8, 0 for none), then the
//! WebSocket frame as every Pusher socket gets it. The end of a user's connections is its kind (1 byte) alone; that of a
//! member's is its kind and the user's id.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{
    event::{EncodedEvent, Origin},
    protocol::{SocketId, frame},
};

const BACK_END: u8 = 1;
const CLIENT: u8 = 2;
const TERMINATE: u8 = 3;
const TERMINATE_MEMBER: u8 = 4;

/// Bytes before the frame.
pub const HEADER: usize = 17;

/// An event as it crossed the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub origin: Origin,
    /// When the publishing node took it, as time since the Unix epoch.
    pub accepted_at: Duration,
    /// The socket that does not receive it.
    pub except: Option<SocketId>,
    /// A whole WebSocket text frame.
    pub frame: Bytes,
}

/// What came for a room or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Event(Payload),
    /// A back end ends all connections of the user.
    Terminate,
    /// A back end ends the connections that are in a presence channel as this user.
    TerminateMember(String),
}

/// The bytes of an event.
pub fn event(event: &EncodedEvent) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER + event.frame.len());
    bytes.put_u8(match event.origin {
        Origin::BackEnd => BACK_END,
        Origin::Client => CLIENT,
    });
    bytes.put_u64(u64::try_from(event.accepted_at.as_micros()).unwrap_or(u64::MAX));
    bytes.put_u64(event.except.map_or(0, SocketId::bits));
    bytes.put_slice(&event.frame);
    bytes.freeze()
}

/// The bytes that end a user's connections.
pub fn terminate() -> Bytes {
    Bytes::from_static(&[TERMINATE])
}

/// The bytes that end the connections of the members who are this user.
pub fn terminate_member(user: &str) -> Bytes {
    [&[TERMINATE_MEMBER], user.as_bytes()].concat().into()
}

/// Reads what another node wrote, as hostile input: only a frame that sockets can bear passes.
pub fn read(mut bytes: Bytes) -> Option<Message> {
    let origin = match bytes.try_get_u8().ok()? {
        BACK_END => Origin::BackEnd,
        CLIENT => Origin::Client,
        TERMINATE => return bytes.is_empty().then_some(Message::Terminate),
        TERMINATE_MEMBER => return String::from_utf8(bytes.into()).ok().map(Message::TerminateMember),
        _ => return None,
    };
    let accepted_at = Duration::from_micros(bytes.try_get_u64().ok()?);
    let except = bytes.try_get_u64().ok().map(|bits| (bits > 0).then(|| SocketId::from_bits(bits)))?;
    frame::text_of(&bytes)?;
    Some(Message::Event(Payload { origin, accepted_at, except, frame: bytes }))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        event::{Event, Words},
        protocol::ChannelName,
    };

    const ACCEPTED: Duration = Duration::from_micros(1_700_000_000_000_001);

    fn encoded(except: Option<SocketId>) -> EncodedEvent {
        let channel = ChannelName::parse("orders", 200).unwrap();
        let moment = (Instant::now(), ACCEPTED);
        Event::from_back_end(channel, Words::new("created", "{}"), except, moment).encode()
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        for except in [None, Some(SocketId::from_bits(7))] {
            let sent = encoded(except);
            let frame = sent.frame.clone();
            let payload = Payload { origin: Origin::BackEnd, accepted_at: ACCEPTED, except, frame };
            assert_eq!(read(event(&sent)), Some(Message::Event(payload)));
        }
    }

    #[test]
    fn the_end_of_connections_is_read_as_it_was_written() {
        assert_eq!(read(terminate()), Some(Message::Terminate));
        assert_eq!(read(terminate_member("Ada É")), Some(Message::TerminateMember("Ada É".to_owned())));
        assert_eq!(read(Bytes::from_static(&[TERMINATE_MEMBER, 0xFF])), None);
    }

    #[test]
    fn what_is_no_message_or_would_break_a_socket_is_refused() {
        let good = event(&encoded(None));
        for length in 0..good.len() {
            assert_eq!(read(good.slice(..length)), None, "{length} bytes");
        }
        let longer = [&good[..], b"x"].concat();
        let unknown_kind = [&[9], &good[1..]].concat();
        let masked = [&good[..HEADER], b"\x81\x82abcdhi"].concat();
        let not_text = [&good[..HEADER], b"\x81\x01\xff"].concat();
        for bytes in [longer, unknown_kind, masked, not_text, vec![TERMINATE, 0]] {
            assert_eq!(read(bytes.into()), None);
        }
    }
}
