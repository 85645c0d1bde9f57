//! How far the client of one stream has heard all its channels: what stands in each `id`, and comes back as `Last-Event-ID`.
//! One `channel:position` for each channel, separated by a blank; neither stands in a channel's name. Pure.

use std::{fmt, str::FromStr};

use bytes::{Bytes, BytesMut};

use super::stream::{NOTED, SET};
use crate::protocol::{ChannelName, Position, position::InvalidPosition};

/// The position of each channel of a stream that has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard(Vec<(String, Position)>);

impl Heard {
    /// How far this channel was heard, if that is known.
    pub fn position_of(&self, channel: &ChannelName) -> Option<&Position> {
        self.0.iter().find(|(name, _)| name == channel.as_str()).map(|(_, position)| position)
    }

    /// Forgets all channels but these.
    pub fn keep_only(&mut self, channels: &[ChannelName]) {
        self.0.retain(|(name, _)| channels.iter().any(|channel| channel.as_str() == name));
    }

    /// Writes the messages of one stream: where one moves the position, its line gives way to an `id` of all channels.
    pub fn stamp(&mut self, messages: &Bytes) -> Bytes {
        let mut stamped = BytesMut::with_capacity(messages.len() + 128);
        let mut rest = &messages[..];
        while !rest.is_empty() {
            if let [kind @ (NOTED | SET), line @ ..] = rest {
                let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
                self.follow(*kind, &line[..end]);
                stamped.extend_from_slice(format!("id: {self}\n").as_bytes());
                rest = &line[(end + 1).min(line.len())..];
            }
            let (message, next) = rest.split_at(end_of_message(rest));
            stamped.extend_from_slice(message);
            rest = next;
        }
        stamped.freeze()
    }

    fn follow(&mut self, kind: u8, line: &[u8]) {
        let Some((channel, heard)) = str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else { return };
        let index = self.0.iter().position(|(name, _)| name == channel).unwrap_or_else(|| {
            self.0.push((channel.to_owned(), Position::default()));
            self.0.len() - 1
        });
        let position = &mut self.0[index].1;
        if kind == SET {
            *position = parse(heard).unwrap_or_default();
        } else if let Ok(event) = heard.parse() {
            position.note(event);
        }
    }
}

/// Behind the empty line that ends the first message.
fn end_of_message(messages: &[u8]) -> usize {
    // A message without a field is its empty line alone.
    if messages.starts_with(b"\n") {
        return 1;
    }
    messages.windows(2).position(|pair| pair == b"\n\n").map_or(messages.len(), |end| end + 2)
}

/// Nobody has published anything in a channel whose position is empty.
fn parse(position: &str) -> Result<Position, InvalidPosition> {
    if position.is_empty() { Ok(Position::default()) } else { position.parse() }
}

impl FromStr for Heard {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let parts = text.split(' ').filter(|part| !part.is_empty());
        let mut heard = Self::default();
        for part in parts {
            let (channel, position) = part.split_once(':').ok_or(InvalidPosition::Malformed)?;
            if heard.0.iter().any(|(name, _)| name == channel) {
                return Err(InvalidPosition::Malformed);
            }
            heard.0.push((channel.to_owned(), parse(position)?));
        }
        Ok(heard)
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (channel, position)) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{channel}:{position}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::frame, tenant::stream};

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "a.7:k3x09a-17", "a.7:", "a.7:k3x09a-17,zzzzzz-2 b@7,x;y=z.7:aaaaaa-0"] {
            assert_eq!(text.parse::<Heard>().unwrap().to_string(), text);
        }
        for text in ["a.7", "a.7:x", "a.7:k3x09a-17 b", "a.7:k3x09a-1,k3x09a-2", "a.7:k3x09a-1 a.7:k3x09a-2"] {
            assert!(text.parse::<Heard>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_id_covers_all_channels() {
        let mut heard: Heard = "b.7:k3x09a-3".parse().unwrap();
        let json = frame::text("{\n\"n\":1}");
        let (a, b) = (channel("a.7"), channel("b.7"));
        let event = |channel, id: &str| stream::event(&json, channel, id.parse().unwrap());
        let messages = [event(&a, "k3x09a-5"), stream::message(&json), event(&b, "zzzzzz-1"), event(&b, "k3x09a-2")];
        let body = "data: {\ndata: \"n\":1}\n\n";
        let expected = [
            &format!("id: b.7:k3x09a-3 a.7:k3x09a-5\n{body}"),
            body,
            &format!("id: b.7:k3x09a-3,zzzzzz-1 a.7:k3x09a-5\n{body}"),
            &format!("id: b.7:k3x09a-3,zzzzzz-1 a.7:k3x09a-5\n{body}"),
        ];
        assert_eq!(heard.stamp(&messages.concat().into()), expected.concat());
        let reset = [stream::position(&b, &"aaaaaa-9".parse().unwrap()), stream::message(&json)];
        assert_eq!(heard.stamp(&reset.concat().into()), format!("id: b.7:aaaaaa-9 a.7:k3x09a-5\n\n{body}"));
        assert_eq!(heard.stamp(&Bytes::from_static(stream::HEARTBEAT)), ":\n\n");
    }

    #[test]
    fn channels_that_are_not_wanted_any_more_are_forgotten() {
        let mut heard: Heard = "a.7:k3x09a-3 b.7:k3x09a-4".parse().unwrap();
        heard.keep_only(&[channel("b.7"), channel("c.7")]);
        assert_eq!(heard.to_string(), "b.7:k3x09a-4");
        assert_eq!(heard.position_of(&channel("b.7")), Some(&"k3x09a-4".parse().unwrap()));
        assert_eq!(heard.position_of(&channel("a.7")), None);
    }
}
