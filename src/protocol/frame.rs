//! WebSocket frames of a server (RFC 6455 §5.2), ready for the socket. Pure.

use bytes::{Buf, Bytes};

const FINAL: u8 = 0x80;
/// The reserved bit that marks a compressed message.
pub const COMPRESSED: u8 = 0x40;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The first byte of a whole text message.
const TEXT_HEAD: u8 = FINAL | TEXT;

/// One byte of opcode, one of length, eight of long length.
const LONGEST_HEADER: usize = 10;

/// A whole text message in one frame.
pub fn text(json: &str) -> Bytes {
    encode(TEXT, json.as_bytes())
}

/// A whole text message that was compressed (RFC 7692 §6).
pub fn compressed_text(deflated: &[u8]) -> Bytes {
    encode(COMPRESSED | TEXT, deflated)
}

/// A whole text message that `write` appends to the frame's own buffer, so that encoding and framing an event takes one
/// buffer and no copy. `capacity` is a guess at the bytes of the message; what is written must be UTF-8.
pub fn text_with(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    framed(TEXT, capacity, write)
}

/// The bytes of a frame with a payload of so many.
pub fn bytes(payload: usize) -> usize {
    let header = match payload {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => LONGEST_HEADER,
    };
    header + payload
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

/// The message of a frame that [`text`] made; `None` if the bytes are anything else than one such frame.
pub fn text_of(frame: &[u8]) -> Option<&str> {
    let (length, payload) = match frame {
        [TEXT_HEAD, 126, high, low, payload @ ..] => (u64::from(u16::from_be_bytes([*high, *low])), payload),
        [TEXT_HEAD, 127, rest @ ..] => {
            let (length, payload) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), payload)
        }
        [TEXT_HEAD, length @ 0..=125, payload @ ..] => (u64::from(*length), payload),
        _ => return None,
    };
    (payload.len() as u64 == length).then(|| str::from_utf8(payload).ok())?
}

/// What one frame of a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A whole message that is not compressed.
    Text(Bytes),
    Ping,
    Pong,
    /// The code, if there is one, and the reason.
    Close(Option<u16>, Bytes),
}

/// Takes the first frame off those that this server made; `None` at their end, and where they are none.
pub fn take(frames: &mut Bytes) -> Option<Said> {
    let length = match frames.get(1)? {
        126 => usize::from(u16::from_be_bytes(*frames.get(2..)?.first_chunk()?)),
        127 => usize::try_from(u64::from_be_bytes(*frames.get(2..)?.first_chunk()?)).ok()?,
        length => usize::from(*length),
    };
    let whole = bytes(length);
    if frames.len() < whole {
        return None;
    }
    let frame = frames.split_to(whole);
    let mut payload = frame.slice(whole - length..);
    match frame[0] {
        TEXT_HEAD => Some(Said::Text(payload)),
        head if head == FINAL | PING => Some(Said::Ping),
        head if head == FINAL | PONG => Some(Said::Pong),
        head if head == FINAL | CLOSE => Some(Said::Close(payload.try_get_u16().ok(), payload)),
        _ => None,
    }
}

fn encode(opcode: u8, payload: &[u8]) -> Bytes {
    framed(opcode, payload.len(), |frame| frame.extend_from_slice(payload))
}

/// The header's size is known only after the payload: room for the longest is left in front and cut off again.
fn framed(opcode: u8, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = Vec::with_capacity(LONGEST_HEADER + capacity);
    frame.resize(LONGEST_HEADER, 0);
    write(&mut frame);
    let length = frame.len() - LONGEST_HEADER;
    let start = match length {
        0..=125 => {
            frame[9] = length as u8;
            8
        }
        126..=0xFFFF => {
            frame[7] = 126;
            frame[8..10].copy_from_slice(&(length as u16).to_be_bytes());
            6
        }
        _ => {
            frame[1] = 127;
            frame[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            0
        }
    };
    frame[start] = FINAL | opcode;
    let mut frame = Bytes::from(frame);
    frame.advance(start);
    frame
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
    fn a_written_message_is_framed_like_a_ready_one_whatever_capacity_was_guessed() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let message = "x".repeat(length);
            for capacity in [0, length, length + 100] {
                assert_eq!(text_with(capacity, |frame| frame.extend_from_slice(message.as_bytes())), text(&message));
            }
        }
        assert_eq!(&text_with(2, |frame| frame.extend_from_slice(b"hi"))[..], b"\x81\x02hi");
    }

    #[test]
    fn the_message_of_a_text_frame_is_read_back_and_of_nothing_else() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let message = "x".repeat(length);
            let frame = text(&message);
            assert_eq!(text_of(&frame), Some(&*message));
            assert_eq!(text_of(&frame[..frame.len() - 1]), None);
            assert_eq!(text_of(&[&frame[..], b"x"].concat()), None);
        }
        for other in
            [&b""[..], b"\x81", b"\x81\x7e\x00", b"\x81\x82abcdhi", b"\x01\x02hi", b"\x82\x02hi", b"\x81\x02\xff\xff"]
        {
            assert_eq!(text_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn frames_are_taken_one_by_one_and_stay_where_they_are_not_whole() {
        let long = "x".repeat(70_000);
        let sent = [text("hi"), text(&long), ping(b"a"), pong(b""), close(Some(4200), "go"), close(None, "")];
        let said = [
            Said::Text("hi".into()),
            Said::Text(long.clone().into()),
            Said::Ping,
            Said::Pong,
            Said::Close(Some(4200), "go".into()),
            Said::Close(None, "".into()),
        ];
        let mut frames = Bytes::from(sent.concat());
        assert_eq!(said.each_ref().map(|_| take(&mut frames)), said.map(Some));
        assert_eq!(take(&mut frames), None);
        let frame = text(&"x".repeat(300));
        for end in 0..frame.len() {
            assert_eq!(take(&mut frame.slice(..end)), None);
        }
    }

    #[test]
    fn a_close_frame_carries_code_and_reason_or_nothing() {
        assert_eq!(&close(Some(4001), "gone")[..], b"\x88\x06\x0f\xa1gone");
        assert_eq!(&close(None, "")[..], b"\x88\x00");
    }
}
