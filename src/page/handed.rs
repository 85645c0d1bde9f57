//! A page that one node hands over to another, as bytes. Pure.
//!
//! Version (1 byte), socket id (8), whether the page keeps it (1), for how long it has had it (8, milliseconds), who was
//! signed in, how far it has heard other channels, and its channels: each its name and how far it has heard it. Texts stand
//! behind their length in two bytes. What may be absent stands behind a byte that is 1.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use gaung_cluster::room::MAX_CHANNEL;

use super::positions::Positions;
use crate::{
    cluster::text::{put_position, put_text, read_position, read_text},
    protocol::{ChannelName, Since, SocketId},
};

const VERSION: u8 = 1;

const UNKNOWN: u8 = 0;
const POSITION: u8 = 1;
const MOMENT: u8 = 2;

/// Bytes of a user's id at most: 128 characters.
const MAX_USER: usize = 512;

/// A page that changes its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedPage {
    /// The socket id that it had last.
    pub socket: SocketId,
    /// Whether it may have it again.
    pub keeps_id: bool,
    /// For how long it has had it.
    pub given_for: Duration,
    /// Who was signed in.
    pub user: Option<String>,
    /// How far it has heard its channels.
    pub positions: Positions,
}

impl HandedPage {
    /// The bytes that cross the bus now.
    pub fn encode(&self, now: Instant) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u64(self.socket.bits());
        bytes.put_u8(u8::from(self.keeps_id));
        bytes.put_u64(millis(self.given_for));
        put_option(&mut bytes, self.user.as_ref(), |bytes, user| put_text(bytes, user));
        put_option(&mut bytes, self.positions.others.as_ref(), |bytes, since| put_since(bytes, since, now));
        for (channel, since) in &self.positions.channels {
            put_text(&mut bytes, channel.as_str());
            put_since(&mut bytes, since, now);
        }
        bytes.freeze()
    }

    /// Reads what another node wrote, as hostile input; `None` if it is no page.
    pub fn read(mut bytes: Bytes, now: Instant) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let socket = SocketId::from_bits(bytes.try_get_u64().ok()?);
        let keeps_id = read_bool(&mut bytes)?;
        let given_for = Duration::from_millis(bytes.try_get_u64().ok()?);
        let user = read_option(&mut bytes, |bytes| read_text(bytes).filter(|user| user.len() <= MAX_USER))?;
        let others = read_option(&mut bytes, |bytes| read_since(bytes, now))?;
        let mut channels = HashMap::new();
        while !bytes.is_empty() {
            let channel = ChannelName::parse(&read_text(&mut bytes)?, MAX_CHANNEL).ok()?;
            channels.insert(channel, read_since(&mut bytes, now)?);
        }
        Some(Self { socket, keeps_id, given_for, user, positions: Positions::of(channels, others) })
    }
}

/// A moment is told as its age: clocks of two nodes have nothing in common.
fn put_since(bytes: &mut BytesMut, since: &Since, now: Instant) {
    match since {
        Since::Unknown => bytes.put_u8(UNKNOWN),
        Since::Position(position) => {
            bytes.put_u8(POSITION);
            put_position(bytes, position);
        }
        Since::Moment(moment) => {
            bytes.put_u8(MOMENT);
            bytes.put_u64(millis(now.saturating_duration_since(*moment)));
        }
    }
}

fn read_since(bytes: &mut Bytes, now: Instant) -> Option<Since> {
    match bytes.try_get_u8().ok()? {
        UNKNOWN => Some(Since::Unknown),
        POSITION => read_position(bytes).map(Since::Position),
        MOMENT => {
            let age = Duration::from_millis(bytes.try_get_u64().ok()?);
            Some(now.checked_sub(age).map_or(Since::Unknown, Since::Moment))
        }
        _ => None,
    }
}

fn put_option<T>(bytes: &mut BytesMut, value: Option<&T>, put: impl Fn(&mut BytesMut, &T)) {
    bytes.put_u8(u8::from(value.is_some()));
    value.into_iter().for_each(|value| put(bytes, value));
}

fn read_option<T>(bytes: &mut Bytes, read: impl Fn(&mut Bytes) -> Option<T>) -> Option<Option<T>> {
    if read_bool(bytes)? { read(bytes).map(Some) } else { Some(None) }
}

fn read_bool(bytes: &mut Bytes) -> Option<bool> {
    match bytes.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    fn position(text: &str) -> Since {
        Since::Position(text.parse().unwrap())
    }

    fn one() -> Positions {
        Positions::of([(channel("a"), position("k3x09a-17"))].into(), None)
    }

    fn bare() -> HandedPage {
        let (socket, given_for) = (SocketId::from_bits(7), Duration::from_secs(3));
        HandedPage { socket, keeps_id: true, given_for, user: None, positions: Positions::default() }
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let now = Instant::now() + Duration::from_secs(100);
        let moment = Since::Moment(now - Duration::from_secs(20));
        let channels = [
            (channel("a"), position("k3x09a-17,zzzzzz-2")),
            (channel("private-b"), Since::Unknown),
            (channel("c"), Since::Position(Default::default())),
            (channel("d"), moment.clone()),
        ];
        let full = HandedPage {
            keeps_id: false,
            user: Some("Ada É".to_owned()),
            positions: Positions::of(channels.into(), Some(moment)),
            ..bare()
        };
        for page in [bare(), full] {
            assert_eq!(HandedPage::read(page.encode(now), now), Some(page));
        }
    }

    #[test]
    fn a_page_is_these_bytes() {
        let page = HandedPage { positions: one(), ..bare() };
        let head = b"\x01\0\0\0\0\0\0\0\x07\x01\0\0\0\0\0\0\x0b\xb8\0\0";
        assert_eq!(page.encode(Instant::now()), [&head[..], b"\0\x01a\x01\0\x09k3x09a-17"].concat());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let now = Instant::now();
        let page = HandedPage { positions: one(), ..bare() };
        let bytes = page.encode(now);
        let whole = bare().encode(now).len();
        for end in (0..bytes.len()).filter(|end| *end != whole) {
            assert_eq!(HandedPage::read(bytes.slice(..end), now), None, "up to {end}");
        }
        for (index, byte) in [(0, 2), (9, 2), (whole - 2, 2), (whole + 2, b'*'), (whole + 3, 9), (whole + 6, b'_')] {
            let mut changed = bytes.to_vec();
            changed[index] = byte;
            assert_eq!(HandedPage::read(changed.into(), now), None, "{byte} at {index}");
        }
    }
}
