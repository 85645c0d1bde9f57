//! What a light WebSocket client must know of frames (RFC 6455 §5.2): where one ends, and how to mask its own. Pure.

/// The opcodes that matter to a client that only listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text message.
    Text,
    /// A ping, which wants its payload back.
    Ping,
    /// Close, pong, binary or a continuation.
    Other,
}

const TEXT: u8 = 0x1;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const MASKED: u8 = 0x80;

/// Calls `each` for every whole frame of `bytes` and returns how many bytes they took; the rest is an unfinished frame.
pub fn scan<'a>(bytes: &'a [u8], mut each: impl FnMut(Kind, &'a [u8])) -> usize {
    let mut taken = 0;
    while let Some((kind, payload, length)) = first(&bytes[taken..]) {
        each(kind, payload);
        taken += length;
    }
    taken
}

/// The first frame: its kind, its payload and the bytes it takes with its header.
fn first(bytes: &[u8]) -> Option<(Kind, &[u8], usize)> {
    let (header, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?).try_into().ok()?),
        short => (2, usize::from(short)),
    };
    let end = length.checked_add(header)?;
    Some((kind_of(bytes[0]), bytes.get(header..end)?, end))
}

fn kind_of(first_byte: u8) -> Kind {
    match first_byte & 0x0F {
        TEXT => Kind::Text,
        PING => Kind::Ping,
        _ => Kind::Other,
    }
}

/// A client's text frame of at most 65,535 bytes.
pub fn client_text(text: &str) -> Vec<u8> {
    client_frame(TEXT, text.as_bytes())
}

/// A client's answer to a ping.
pub fn client_pong(payload: &[u8]) -> Vec<u8> {
    client_frame(PONG, payload)
}

/// The mask is zero: the server does the same work for it, and this client has no proxy to protect.
fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(MASKED | length as u8),
        length => {
            frame.push(MASKED | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::protocol::frame;

    fn texts(bytes: &[u8]) -> (Vec<usize>, usize) {
        let mut lengths = Vec::new();
        let taken = scan(bytes, |kind, payload| {
            assert_eq!(kind, Kind::Text);
            lengths.push(payload.len());
        });
        (lengths, taken)
    }

    #[test]
    fn frames_of_all_three_length_forms_are_counted() {
        let lengths = [0, 125, 126, 65_535, 65_536];
        let bytes: Vec<u8> = lengths.iter().flat_map(|length| frame::text(&"x".repeat(*length))).collect();
        assert_eq!(texts(&bytes), (lengths.to_vec(), bytes.len()));
    }

    #[test]
    fn an_unfinished_frame_is_left_whole_at_every_cut() {
        let one = frame::text("hello");
        let two = frame::text(&"x".repeat(300));
        let bytes = [&one[..], &two[..]].concat();
        for cut in one.len()..bytes.len() {
            assert_eq!(texts(&bytes[..cut]), (vec![5], one.len()), "cut at {cut}");
        }
    }

    #[test]
    fn a_ping_is_told_from_a_text() {
        let mut seen = Vec::new();
        scan(&[&frame::ping(b"p")[..], &frame::close(Some(1000), "")[..]].concat(), |kind, payload| {
            seen.push((kind, payload.len()));
        });
        assert_eq!(seen, [(Kind::Ping, 1), (Kind::Other, 2)]);
    }

    #[test]
    fn client_frames_are_masked_with_their_length_in_the_shortest_form() {
        assert_eq!(client_text("hi"), b"\x81\x82\0\0\0\0hi");
        assert_eq!(client_pong(b"p"), b"\x8a\x81\0\0\0\0p");
        assert_eq!(client_text(&"x".repeat(126))[..4], [0x81, 0xFE, 0, 126]);
    }
}
