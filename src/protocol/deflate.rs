//! Compression of single messages (permessage-deflate, RFC 7692) without a window that outlives a message: one compressed
//! frame serves every subscriber, and an idle connection keeps nothing. Pure but for a workspace of each thread.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Close, frame};

/// What is answered to an offer: each message stands alone, in both directions.
pub const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What every compressed message ends with, and what is therefore not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The smallest level shrinks JSON to nearly what the others do, in a fraction of their time.
const LEVEL: Compression = Compression::fast();

/// What is inflated at a time.
const STEP: usize = 4_096;

thread_local! {
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(LEVEL, false));
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// How a connection wants its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    #[default]
    Plain,
    /// Compressed where the message has at least so many bytes and gets smaller.
    Deflate { from_bytes: usize },
}

impl Encoding {
    /// The frame of a text message as such a connection gets it.
    pub fn of(self, plain: Bytes) -> Bytes {
        match self {
            Self::Plain => plain,
            Self::Deflate { from_bytes } => compressed(&plain, from_bytes).unwrap_or(plain),
        }
    }
}

/// Whether one of the offers in these header lines can be accepted: none is that wants the server to keep to a smaller
/// window, which no browser asks for (RFC 7692 §7.1).
pub fn is_offered<'a>(mut lines: impl Iterator<Item = &'a str>) -> bool {
    lines.any(|line| line.split(',').any(is_acceptable))
}

fn is_acceptable(offer: &str) -> bool {
    let mut pieces = offer.split(';').map(str::trim);
    let mut seen = Vec::new();
    pieces.next() == Some("permessage-deflate")
        && pieces.all(|parameter| {
            let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| {
                (name.trim_end(), Some(value.trim_start().trim_matches('"')))
            });
            let is_first = !seen.contains(&name);
            seen.push(name);
            is_first
                && match (name, value) {
                    ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {
                        true
                    }
                    ("client_max_window_bits", Some(bits)) => is_window(bits),
                    ("server_max_window_bits", Some(bits)) => bits == "15",
                    _ => false,
                }
        })
}

fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

/// The compressed frame of a text message of at least `from_bytes`, if it is smaller.
fn compressed(plain: &Bytes, from_bytes: usize) -> Option<Bytes> {
    let message = frame::text_of(plain).filter(|message| message.len() >= from_bytes)?;
    let frame = frame::compressed_text(&compress(message.as_bytes())?);
    (frame.len() < plain.len()).then_some(frame)
}

/// The payload of a message that is compressed; `None` if it does not get smaller.
pub fn compress(message: &[u8]) -> Option<Vec<u8>> {
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut deflated = Vec::with_capacity(message.len());
        let done = deflate.compress_vec(message, &mut deflated, FlushCompress::Sync);
        // What does not fit is larger than the message.
        let is_all = done.is_ok() && deflate.total_in() == message.len() as u64 && deflated.ends_with(&TAIL);
        is_all.then(|| {
            deflated.truncate(deflated.len() - TAIL.len());
            deflated
        })
    })
}

/// The message that was compressed to this, which may have `limit` bytes.
pub fn inflate(payload: &[u8], limit: usize) -> Result<Vec<u8>, Close> {
    INFLATE.with_borrow_mut(|inflate| {
        inflate.reset(false);
        let mut message = Vec::new();
        for piece in [payload, &TAIL] {
            inflate_piece(inflate, piece, &mut message, limit)?;
        }
        Ok(message)
    })
}

fn inflate_piece(inflate: &mut Decompress, piece: &[u8], message: &mut Vec<u8>, limit: usize) -> Result<(), Close> {
    let mut rest = piece;
    loop {
        message.reserve(STEP);
        let (before_in, before_out) = (inflate.total_in(), message.len());
        let status =
            inflate.decompress_vec(rest, message, FlushDecompress::Sync).map_err(|_| Close::ProtocolViolation)?;
        if message.len() > limit {
            return Err(Close::TooLarge);
        }
        rest = &rest[(inflate.total_in() - before_in) as usize..];
        match status {
            // A block that calls itself the last one; the next begins anew.
            Status::StreamEnd => inflate.reset(false),
            Status::Ok | Status::BufError if rest.is_empty() && message.len() < message.capacity() => return Ok(()),
            Status::Ok => {}
            Status::BufError if message.len() > before_out => {}
            Status::BufError => return Err(Close::ProtocolViolation),
        }
        if rest.is_empty() && status == Status::StreamEnd {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: bool) {
        assert_eq!(is_offered(lines.iter().copied()), expected, "{lines:?}");
    }

    #[test]
    fn offers_of_browsers_and_libraries_are_accepted() {
        check(&["permessage-deflate; client_max_window_bits"], true);
        check(&["permessage-deflate"], true);
        check(&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], true);
        check(&["permessage-deflate; client_max_window_bits=\"10\"; server_max_window_bits = 15"], true);
        check(&["x-webkit-deflate-frame, permessage-deflate"], true);
        check(&["permessage-deflate; server_max_window_bits=10, permessage-deflate"], true);
        check(&["permessage-bzip2", "permessage-deflate"], true);
    }

    #[test]
    fn offers_that_cannot_be_kept_or_are_malformed_are_not() {
        check(&[], false);
        check(&["permessage-deflate; server_max_window_bits=10"], false);
        check(&["permessage-deflate; client_max_window_bits=7"], false);
        check(&["permessage-deflate; client_no_context_takeover=1"], false);
        check(&["permessage-deflate; client_max_window_bits; client_max_window_bits"], false);
        check(&["permessage-deflate; speed=9"], false);
        check(&["permessage-deflated"], false);
    }

    /// The payload behind the header of a compressed frame.
    fn payload(frame: &[u8]) -> &[u8] {
        assert_eq!(frame[0], 0xC1);
        match frame[1] {
            126 => &frame[4..],
            127 => &frame[10..],
            _ => &frame[2..],
        }
    }

    fn product(bytes: usize) -> String {
        let mut text = r#"{"event":"product.updated","data":"#.to_owned();
        while text.len() < bytes {
            text.push_str(&format!(r#"{{\"id\":{},\"name\":\"Lamp {}\"}},"#, text.len(), text.len() % 7));
        }
        text
    }

    #[test]
    fn what_is_compressed_is_smaller_and_is_read_back() {
        for bytes in [512, 2_048, 10_240, 200_000] {
            let text = product(bytes);
            let plain = frame::text(&text);
            let frame = Encoding::Deflate { from_bytes: 512 }.of(plain.clone());
            assert!(frame.len() * 2 < plain.len(), "{bytes}: {}", frame.len());
            assert_eq!(inflate(payload(&frame), text.len()), Ok(text.clone().into_bytes()));
            assert_eq!(inflate(payload(&frame), text.len() - 1), Err(Close::TooLarge));
        }
    }

    #[test]
    fn short_messages_and_those_that_do_not_shrink_stay_as_they_are() {
        let deflate = Encoding::Deflate { from_bytes: 100 };
        let short = frame::text(&"x".repeat(99));
        assert_eq!(deflate.of(short.clone()), short);
        let noise: String =
            (0..200_u32).map(|n| char::from(33 + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 90)).collect();
        let noise = frame::text(&noise);
        assert_eq!(deflate.of(noise.clone()), noise);
        let control = frame::ping(&[0; 120]);
        assert_eq!(deflate.of(control.clone()), control);
        assert_eq!(Encoding::Plain.of(noise.clone()), noise);
    }

    #[test]
    fn each_message_stands_alone() {
        let deflate = Encoding::Deflate { from_bytes: 0 };
        let [one, other] = [(); 2].map(|()| deflate.of(frame::text(&product(1_000))));
        assert_eq!(one, other);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7692 §7.2.3.1 to §7.2.3.5
        for payload in [
            &[0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00],
            &[0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00],
            &[0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(payload, 100), Ok(b"Hello".to_vec()), "{payload:02x?}");
        }
        assert_eq!(inflate(&[0], 100), Ok(Vec::new()));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked_and_rubbish_at_once() {
        let mut bomb = Vec::with_capacity(100_000);
        Compress::new(Compression::best(), false)
            .compress_vec(&vec![0; 50_000_000], &mut bomb, FlushCompress::Sync)
            .unwrap();
        assert!(bomb.len() < 60_000);
        assert_eq!(inflate(&bomb, 65_536), Err(Close::TooLarge));
        assert_eq!(inflate(&[0xFF; 40], 65_536), Err(Close::ProtocolViolation));
    }
}
