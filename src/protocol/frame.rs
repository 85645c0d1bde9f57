//! WebSocket frames of a server (RFC 6455 §5.2), ready for the socket. Pure.

use bytes::{BufMut, Bytes, BytesMut};

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A whole text message in one frame.
pub fn text(json: &str) -> Bytes {
    encode(TEXT, json.as_bytes())
}

/// A ping with `payload` of at most 125 bytes.
pub fn ping(payload: &[u8]) -> Bytes {
    encode(PING, payload)
}

/// The answer to a ping: its payload.
pub fn pong(payload: &[u8]) -> Bytes {
    encode(PONG, payload)
}

/// A close frame; without a code it is empty. `reason` of at most 123 bytes.
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else { return encode(CLOSE, &[]) };
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    encode(CLOSE, &payload)
}

fn encode(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    frame.put_u8(FINAL | opcode);
    match payload.len() {
        length @ 0..=125 => frame.put_u8(length as u8),
        length @ 126..=0xFFFF => {
            frame.put_u8(126);
            frame.put_u16(length as u16);
        }
        length => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_the_shortest_form() {
        assert_eq!(&text("hi")[..], b"\x81\x02hi");
        assert_eq!(&text(&"x".repeat(125))[..2], [0x81, 125]);
        assert_eq!(&text(&"x".repeat(126))[..4], [0x81, 126, 0, 126]);
        assert_eq!(&text(&"x".repeat(65_535))[..4], [0x81, 126, 0xFF, 0xFF]);
        assert_eq!(&text(&"x".repeat(65_536))[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_close_frame_carries_code_and_reason_or_nothing() {
        assert_eq!(&close(Some(4001), "gone")[..], b"\x88\x06\x0f\xa1gone");
        assert_eq!(&close(None, "")[..], b"\x88\x00");
    }
}
