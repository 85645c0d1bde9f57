//! The last numbers of streams that were silent for so long that nobody is told of them any more. They are still the next
//! frame's predecessor, and what a peer is answered that opens a room and asks what it missed there.
//!
//! Bound: of [`MAX_SILENT`] streams, those with the highest numbers. How far the others reached is known of all together.

use std::collections::BTreeMap;

use crate::frame::Stream;

/// Streams that are known at most: some 10 MB.
const MAX_SILENT: usize = 1 << 17;

#[derive(Debug, Default)]
pub(super) struct Silent {
    numbers: BTreeMap<Stream, u64>,
    /// The same by their numbers, the oldest first.
    streams: BTreeMap<u64, Stream>,
    /// The highest number that was forgotten.
    forgotten: u64,
}

impl Silent {
    /// Notes the last number of a stream.
    pub(super) fn insert(&mut self, stream: Stream, number: u64) {
        self.numbers.insert(stream, number);
        self.streams.insert(number, stream);
        if self.streams.len() > MAX_SILENT
            && let Some((number, oldest)) = self.streams.pop_first()
        {
            self.numbers.remove(&oldest);
            self.forgotten = self.forgotten.max(number);
        }
    }

    /// The stream goes on: its last number, if it is known.
    pub(super) fn take(&mut self, stream: Stream) -> Option<u64> {
        let number = self.numbers.remove(&stream)?;
        self.streams.remove(&number);
        Some(number)
    }

    /// A number after which nothing of a stream came: its last, or one that is higher where that is forgotten.
    pub(super) fn after(&self, stream: Stream) -> u64 {
        self.numbers.get(&stream).copied().unwrap_or(self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_streams_the_oldest_is_forgotten_and_how_far_it_reached_is_not() {
        let mut silent = Silent::default();
        let stream = |number: u64| Stream::from_bits(number + 1000);
        (1..=MAX_SILENT as u64).for_each(|number| silent.insert(stream(number), number));
        assert_eq!([stream(1), stream(2), stream(0)].map(|stream| silent.after(stream)), [1, 2, 0]);
        silent.insert(stream(0), MAX_SILENT as u64 + 1);
        silent.insert(stream(MAX_SILENT as u64 + 2), MAX_SILENT as u64 + 2);
        assert_eq!([stream(1), stream(2), stream(3)].map(|stream| silent.after(stream)), [2, 2, 3]);
        assert_eq!((silent.take(stream(2)), silent.take(stream(3))), (None, Some(3)));
        assert_eq!((silent.after(stream(3)), silent.numbers.len()), (2, MAX_SILENT - 1));
    }
}
