//! Writes numbers and names. Infallible: names are valid once they exist, and their lengths fit.

use bytes::Bytes;

use crate::room::Room;

#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn with_room_for(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    pub(super) fn u8(&mut self, number: u8) {
        self.bytes.push(number);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn u128(&mut self, number: u128) {
        self.bytes.extend(number.to_be_bytes());
    }

    /// A text behind its length.
    pub(super) fn text(&mut self, text: &str) {
        self.chunk(text.as_bytes());
    }

    /// Bytes behind their length.
    pub(super) fn chunk(&mut self, chunk: &[u8]) {
        self.u32(u32::try_from(chunk.len()).expect("nothing in a frame of one mebibyte is longer than four gibibytes"));
        self.bytes.extend(chunk);
    }

    /// Something that may be absent.
    pub(super) fn option<T>(&mut self, value: Option<&T>, write: impl Fn(&mut Self, &T)) {
        self.u8(u8::from(value.is_some()));
        value.into_iter().for_each(|value| write(self, value));
    }

    pub(super) fn room(&mut self, room: &Room) {
        self.text(room.app());
        self.text(room.channel());
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.u32(u32::try_from(items.len()).expect("a frame of one mebibyte has fewer than four billion items"));
        items.iter().for_each(|item| write(self, item));
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, in no more memory than they need: the ring keeps them, and counts only them.
    pub(super) fn finish(self) -> Bytes {
        self.bytes.into_boxed_slice().into()
    }
}
