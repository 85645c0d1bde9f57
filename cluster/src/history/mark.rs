//! A mark as bytes: version (1 byte), its number (8), up to which number events may be missing (8), and how long it waited,
//! in milliseconds (8). Pure.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;

/// What a node says of its events in the stream: those with a number up to `number` lie before this mark, and those with
/// a higher one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub number: u64,
    /// Some events with a number up to this one were never stored; 0 if all were.
    pub lost_through: u64,
    /// How long ago this was so when the mark was sent.
    pub waited: Duration,
}

impl Mark {
    pub fn write(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(25);
        bytes.put_u8(VERSION);
        bytes.put_u64(self.number);
        bytes.put_u64(self.lost_through);
        bytes.put_u64(u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX));
        bytes.freeze()
    }

    /// `None` if it is no mark, or one of a later release.
    pub fn read(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let (number, lost_through) = (bytes.try_get_u64().ok()?, bytes.try_get_u64().ok()?);
        let mark = Self { number, lost_through, waited: Duration::from_millis(bytes.try_get_u64().ok()?) };
        bytes.is_empty().then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = Mark { number: 17, lost_through: 3, waited: Duration::from_millis(1_234) };
        let bytes = mark.write();
        assert_eq!(Mark::read(bytes.clone()), Some(mark));
        for end in 0..bytes.len() {
            assert_eq!(Mark::read(bytes.slice(..end)), None);
        }
        assert_eq!(Mark::read([&bytes[..], b"x"].concat().into()), None);
        let later = [&[VERSION + 1], &bytes[1..]].concat();
        assert_eq!(Mark::read(later.into()), None);
    }
}
