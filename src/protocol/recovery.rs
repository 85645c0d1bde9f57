//! What a client that comes back is told of what it missed (protocol.md §1.15). Pure.

use std::{fmt::Display, time::Instant};

use bytes::Bytes;

use super::{ChannelName, Position, frame};

/// How far a client that comes back has heard a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Up to this position.
    Position(Position),
    /// Everything that came to this node before this moment, as far as is known; some of what came later too.
    Moment(Instant),
    /// Nobody knows: it is told that it may have missed something.
    Unknown,
}

/// What becomes of the events that a subscriber missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing was missed: the subscriber is new, and has heard the channel up to this position.
    New(Position),
    /// All that was missed follows the success, so many events; afterwards the channel is heard up to this position.
    Whole { replayed: usize, position: Position },
    /// Something may be missing, so nothing is replayed: the client must read anew what it shows. From here on the
    /// channel is heard after this position.
    Partial(Position),
}

/// A text frame with an id as its first member: an event's, or a position. `frame` must hold a JSON object that is not
/// empty; any other is returned as it is.
pub fn with_id(frame: &Bytes, id: impl Display) -> Bytes {
    let Some(members) = frame::text_of(frame).and_then(|text| text.strip_prefix('{')) else { return frame.clone() };
    frame::text(&format!(r#"{{"id":"{id}",{members}"#))
}

/// `pusher:resumed`: whether everything that was missed came before it; `None` for a subscriber that is new.
pub fn resumed(channel: &ChannelName, recovery: &Recovery) -> Option<Bytes> {
    let (is_whole, replayed, position) = match recovery {
        Recovery::New(_) => return None,
        Recovery::Whole { replayed, position } => (true, *replayed, position),
        Recovery::Partial(position) => (false, 0, position),
    };
    let frame = frame::text(&format!(
        r#"{{"event":"pusher:resumed","channel":"{channel}","data":"{{\"complete\":{is_whole},\"replayed\":{replayed}}}"}}"#
    ));
    Some(if position.is_empty() { frame } else { with_id(&frame, position) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{EventId, EventOrigin};

    fn position(number: u64) -> Position {
        [EventId { origin: EventOrigin::of_node(0), number }].into_iter().collect()
    }

    fn check(recovery: Recovery, expected: Option<&str>) {
        let channel = ChannelName::parse("orders", 200).unwrap();
        assert_eq!(resumed(&channel, &recovery), expected.map(frame::text), "{recovery:?}");
    }

    #[test]
    fn an_id_is_the_first_member_and_changes_nothing_else() {
        let event = frame::text(r#"{"event":"created","data":"{}"}"#);
        assert_eq!(with_id(&event, position(7)), frame::text(r#"{"id":"000000-7","event":"created","data":"{}"}"#));
    }

    #[test]
    fn who_comes_back_is_told_whether_everything_came_and_who_is_new_is_told_nothing() {
        check(
            Recovery::Whole { replayed: 3, position: position(9) },
            Some(
                r#"{"id":"000000-9","event":"pusher:resumed","channel":"orders","data":"{\"complete\":true,\"replayed\":3}"}"#,
            ),
        );
        check(
            Recovery::Partial(position(9)),
            Some(
                r#"{"id":"000000-9","event":"pusher:resumed","channel":"orders","data":"{\"complete\":false,\"replayed\":0}"}"#,
            ),
        );
        check(
            Recovery::Partial(Position::default()),
            Some(r#"{"event":"pusher:resumed","channel":"orders","data":"{\"complete\":false,\"replayed\":0}"}"#),
        );
        check(Recovery::New(position(9)), None);
    }
}
