//! Several frames as one buffer, from which single ones can be left out. Pure.

use bytes::{Bytes, BytesMut};

/// Frames one after another.
#[derive(Debug)]
pub(super) struct Joined {
    bytes: Bytes,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Joined {
    /// Joins frames; `None` is an empty one. A single one is not copied.
    pub(super) fn new(frames: impl Iterator<Item = Option<Bytes>>) -> Self {
        let frames: Vec<Bytes> = frames.map(Option::unwrap_or_default).collect();
        let ends = frames.iter().scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        });
        let ends = ends.collect();
        let mut filled = frames.iter().filter(|frame| !frame.is_empty());
        let bytes = match (filled.next(), filled.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => only.clone(),
            (Some(_), Some(_)) => frames.concat().into(),
        };
        Self { bytes, ends }
    }

    /// All frames.
    pub(super) fn all(&self) -> Bytes {
        self.bytes.clone()
    }

    /// All frames but those at the positions that are left out.
    pub(super) fn without(&self, is_left_out: impl Fn(usize) -> bool) -> Bytes {
        let mut rest = BytesMut::new();
        let mut start = 0;
        for (position, end) in self.ends.iter().enumerate() {
            if !is_left_out(position) {
                rest.extend_from_slice(&self.bytes[start..*end]);
            }
            start = *end;
        }
        rest.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frames: &[Option<&'static str>], left_out: &[usize], expected: &str) {
        let joined = Joined::new(frames.iter().map(|frame| frame.map(Bytes::from)));
        assert_eq!(joined.all(), frames.iter().copied().flatten().collect::<String>());
        assert_eq!(joined.without(|position| left_out.contains(&position)), expected);
    }

    #[test]
    fn frames_can_be_left_out() {
        check(&[], &[], "");
        check(&[Some("one")], &[], "one");
        check(&[Some("one")], &[0], "");
        check(&[Some("one"), None, Some("two"), Some("three")], &[], "onetwothree");
        check(&[Some("one"), None, Some("two"), Some("three")], &[0, 2], "three");
        check(&[None, Some("one"), Some("two")], &[1, 2], "");
    }
}
