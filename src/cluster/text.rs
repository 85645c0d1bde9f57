//! Texts and positions, as nodes write them to each other: behind their length in two bytes. Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::protocol::Position;

/// Names and ids are shorter than that, and so is a position of as many origins as one may have.
pub fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_u16(u16::try_from(text.len()).expect("names, ids and positions have less than 64 KiB"));
    bytes.put_slice(text.as_bytes());
}

/// Reads what another node wrote, as hostile input.
pub fn read_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u16().ok()?);
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    String::from_utf8(text.into()).ok()
}

/// No text is a position that knows no origin.
pub fn put_position(bytes: &mut BytesMut, position: &Position) {
    put_text(bytes, &position.to_string());
}

/// Reads what another node wrote, as hostile input.
pub fn read_position(bytes: &mut Bytes) -> Option<Position> {
    let text = read_text(bytes)?;
    if text.is_empty() { Some(Position::default()) } else { text.parse().ok() }
}
