//! What one event is between nodes: `gaung-cluster` carries it without reading it. Pure.
//!
//! Kind (1 byte), when it was accepted (8, microseconds of the Unix epoch), the excluded socket (8, 0 for none), then the
//! WebSocket frame as every Pusher socket gets it. The end of a user's connections is its kind (1 byte) alone; that of a
//! member's is its kind and the user's id. What else a back end does to them is a kind and JSON.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::{
    event::{EncodedEvent, Origin, UserAction},
    protocol::{ChannelPattern, SocketId, frame},
};

const BACK_END: u8 = 1;
const CLIENT: u8 = 2;
const TERMINATE: u8 = 3;
const TERMINATE_MEMBER: u8 = 4;
const ACT: u8 = 5;
const ACT_ON_MEMBER: u8 = 6;

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
    /// A back end acts on all connections of the user.
    User(UserAction),
    /// A back end acts on the connections that are in a presence channel as this user.
    Member(String, UserAction),
}

/// What a back end does beside ending connections.
#[derive(Serialize, Deserialize)]
struct Action {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Patterns of the channels; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
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

/// The bytes of what a back end does to a user's connections.
pub fn user(action: &UserAction) -> Bytes {
    match action {
        UserAction::Terminate => Bytes::from_static(&[TERMINATE]),
        action => json(ACT, None, action),
    }
}

/// The bytes of what it does to the connections of the members who are this user.
pub fn member(user: &str, action: &UserAction) -> Bytes {
    match action {
        UserAction::Terminate => [&[TERMINATE_MEMBER], user.as_bytes()].concat().into(),
        action => json(ACT_ON_MEMBER, Some(user), action),
    }
}

fn json(kind: u8, user: Option<&str>, action: &UserAction) -> Bytes {
    let channels = match action {
        UserAction::Unsubscribe(patterns) => Some(patterns.iter().map(ToString::to_string).collect()),
        UserAction::Terminate | UserAction::Reconnect => None,
    };
    let action = Action { user: user.map(str::to_owned), channels };
    let mut bytes = vec![kind];
    serde_json::to_writer(&mut bytes, &action).expect("names and texts are JSON");
    bytes.into()
}

fn read_action(json: &[u8]) -> Option<(Option<String>, UserAction)> {
    let Action { user, channels } = serde_json::from_slice(json).ok()?;
    let action = match channels {
        None => UserAction::Reconnect,
        Some(channels) => {
            let patterns = channels.iter().map(|channel| ChannelPattern::parse(channel)).collect::<Result<_, _>>();
            UserAction::Unsubscribe(patterns.ok()?)
        }
    };
    Some((user, action))
}

/// Reads what another node wrote, as hostile input: only a frame that sockets can bear passes.
pub fn read(mut bytes: Bytes) -> Option<Message> {
    let origin = match bytes.try_get_u8().ok()? {
        BACK_END => Origin::BackEnd,
        CLIENT => Origin::Client,
        TERMINATE => return bytes.is_empty().then_some(Message::User(UserAction::Terminate)),
        TERMINATE_MEMBER => {
            let user = String::from_utf8(bytes.into()).ok()?;
            return Some(Message::Member(user, UserAction::Terminate));
        }
        ACT => return read_action(&bytes).map(|(_, action)| Message::User(action)),
        ACT_ON_MEMBER => {
            let (user, action) = read_action(&bytes)?;
            return user.map(|user| Message::Member(user, action));
        }
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
        let patterns: Vec<_> =
            ["private-a.*", "b"].iter().map(|pattern| ChannelPattern::parse(pattern).unwrap()).collect();
        for action in [UserAction::Terminate, UserAction::Reconnect, UserAction::Unsubscribe(patterns.into())] {
            assert_eq!(read(user(&action)), Some(Message::User(action.clone())));
            assert_eq!(read(member("Ada É", &action)), Some(Message::Member("Ada É".to_owned(), action)));
        }
        assert_eq!(user(&UserAction::Terminate), b"\x03"[..]);
        assert_eq!(member("Ada", &UserAction::Terminate), b"\x04Ada"[..]);
        assert_eq!(member("Ada", &UserAction::Reconnect), b"\x06{\"user\":\"Ada\"}"[..]);
        assert_eq!(read(Bytes::from_static(b"\x06{}")), None);
        assert_eq!(read(Bytes::from_static(b"\x05{\"channels\":[\"\"]}")), None);
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
