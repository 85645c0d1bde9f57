//! What minor version 4 brought: acknowledgements of events.

use std::time::Duration;

use crate::{
    codec::{HEADER, decode, encode},
    frame::{Frame, Unnumbered},
    room::NodeId,
};

pub(super) fn acknowledgement() -> Unnumbered {
    Unnumbered::Delivered { number: 7, held: Duration::from_micros(258) }
}

#[test]
fn an_acknowledgement_is_these_bytes() {
    let frame = Frame { origin: NodeId::from_bits(1), number: 42, body: acknowledgement().into() };
    let bytes = encode(&frame);
    assert_eq!(bytes[..4], [1, 36, 4, 19]);
    assert_eq!(bytes[HEADER..], *b"\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x01\x02");
    assert_eq!(decode(bytes), Ok(frame));
}
