//! The messages of the plain dialect as server-sent events (HTML Living Standard §9.2), ready to be shared by all streams of
//! a tenant. A message that moves a client's position begins with a line that says so, `+channel:id` or `=channel:position`;
//! each stream writes its own `id` in the place of that line ([`Heard`](super::Heard)), and sends the rest as it is. Pure.

use std::{fmt::Display, time::Duration};

use bytes::Bytes;

use crate::protocol::{ChannelName, Close, EventId, Position, frame};

/// A comment, which clients pass over: it keeps proxies from taking a quiet stream for a dead one.
pub const HEARTBEAT: &[u8] = b":\n\n";

/// Between which times a client comes back. `EventSource` comes back after exactly the time that it was told.
const SOON: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The same where it was refused, because there are too many, or because it has nothing but a token that is over.
const LATER: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

/// The first byte of a line that adds an event to the position.
pub(super) const NOTED: u8 = b'+';

/// The first byte of a line that sets the position on a channel.
pub(super) const SET: u8 = b'=';

/// A message that says nothing of the position; `frame` is the one of a plain socket.
pub fn message(frame: &Bytes) -> Bytes {
    block(String::new(), Some(frame))
}

/// A message with which its client has heard this event of the channel.
pub fn event(frame: &Bytes, channel: &ChannelName, id: EventId) -> Bytes {
    block(mark(NOTED, channel, id), Some(frame))
}

/// A message with which its client has heard the channel up to this position, whatever it was before.
pub fn message_at(frame: &Bytes, channel: &ChannelName, position: &Position) -> Bytes {
    block(mark(SET, channel, position), Some(frame))
}

/// The client has heard the channel up to this position, and is told nothing else.
pub fn position(channel: &ChannelName, position: &Position) -> Bytes {
    block(mark(SET, channel, position), None)
}

/// How long the client is to wait before it comes back, from now on.
pub fn retry(pause: Duration) -> Bytes {
    format!("retry: {}\n\n", pause.as_millis()).into()
}

/// How long a client is to wait that is admitted, or whose stream was ended for this reason. `chance` is from 0 to 1: clients
/// must not come back together.
pub fn pause(ended: Option<Close>, chance: f64) -> Duration {
    let [shortest, longest] = match ended.map(Close::code) {
        Some(4004 | 4015 | 4100..=4199) => LATER,
        Some(_) | None => SOON,
    };
    shortest + (longest - shortest).mul_f64(chance.clamp(0.0, 1.0))
}

fn mark(kind: u8, channel: &ChannelName, heard: impl Display) -> String {
    format!("{}{channel}:{heard}\n", char::from(kind))
}

/// What a publisher sent may have line ends of its own between the members of its JSON: each line is a field.
fn block(mut block: String, frame: Option<&Bytes>) -> Bytes {
    let json = frame.and_then(|frame| frame::text_of(frame));
    block.reserve(json.map_or(0, str::len) + 8);
    for line in json.into_iter().flat_map(lines) {
        block.push_str("data: ");
        block.push_str(line);
        block.push('\n');
    }
    block.push('\n');
    block.into()
}

/// Lines as the client splits them: at LF, CR, or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelName {
        ChannelName::parse("products.7", 200).unwrap()
    }

    #[test]
    fn each_line_of_a_message_is_a_field() {
        for (json, expected) in [
            (r#"{"type":"saved"}"#, "data: {\"type\":\"saved\"}\n\n"),
            ("{\n\"a\":1,\r\n\"b\":2,\r\"c\":3}", "data: {\ndata: \"a\":1,\ndata: \"b\":2,\ndata: \"c\":3}\n\n"),
            ("{\n\n}", "data: {\ndata: \ndata: }\n\n"),
        ] {
            assert_eq!(message(&frame::text(json)), expected, "{json:?}");
        }
    }

    #[test]
    fn what_moves_the_position_says_so_in_its_first_line() {
        let (id, json): (EventId, _) = ("k3x09a-17".parse().unwrap(), frame::text("{}"));
        assert_eq!(event(&json, &channel(), id), "+products.7:k3x09a-17\ndata: {}\n\n");
        let heard = [id].into_iter().collect();
        assert_eq!(message_at(&json, &channel(), &heard), "=products.7:k3x09a-17\ndata: {}\n\n");
        assert_eq!(position(&channel(), &heard), "=products.7:k3x09a-17\n\n");
        assert_eq!(position(&channel(), &Position::default()), "=products.7:\n\n");
    }

    #[test]
    fn clients_come_back_at_different_times_and_those_that_were_too_many_later() {
        let pauses = |close| [0.0, 0.5, 1.0].map(|chance| pause(close, chance).as_millis());
        assert_eq!(pauses(None), [1_000, 3_000, 5_000]);
        assert_eq!(pauses(Some(Close::GoingAway)), [1_000, 3_000, 5_000]);
        assert_eq!(pauses(Some(Close::OverCapacity)), [5_000, 17_500, 30_000]);
        assert_eq!(pauses(Some(Close::OverQuota)), [5_000, 17_500, 30_000]);
        assert_eq!(retry(Duration::from_millis(1_234)), "retry: 1234\n\n");
    }
}
