//! Frames from a client, joined into messages (RFC 6455 §5). Pure.

use std::{mem, sync::Arc};

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;

use super::pace::Held;
use crate::protocol::{ChannelPattern, Close, deflate, frame};

/// Which bits of a frame's first byte say what it is, and what they are for the first frame of a message (RFC 6455 §5.2).
const OPCODE: u8 = 0x0F;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;

/// One thing that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message; [`json_of`] tells whether it counts as text.
    Binary(Bytes),
    /// To be answered with the same payload.
    Ping(Bytes),
    /// A sign of life.
    Pong,
    /// A frame that completes nothing. It counts as a message all the same.
    Part,
    /// The client's close frame and its code.
    Close(Option<u16>),
    /// The client broke a rule; nothing after it is read.
    Broken(Close),
    /// The outbox was closed: nothing the client sends counts any more.
    Closing,
    /// The session is to end if it is subscribed to a channel that one of these matches. No client sends that.
    Revoked(Vec<Arc<[ChannelPattern]>>),
    /// Nothing is read for now: the client waits for the node, not the node for the client.
    Held(Held),
}

/// Joins bytes to frames and fragments to messages. Holds bytes only while a frame or a message is incomplete.
pub struct FrameReader {
    codec: Codec,
    limit: usize,
    buffer: BytesMut,
    fragments: Option<Box<Fragments>>,
    is_broken: bool,
    compression: ClientCompression,
}

/// What is known of messages that the client compresses.
#[derive(Default)]
struct ClientCompression {
    is_agreed: bool,
    /// Whether the head of the frame that is read now was looked at.
    is_head_seen: bool,
    /// Whether the message that is read now is compressed.
    is_on: bool,
}

struct Fragments {
    kind: Kind,
    payload: BytesMut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl FrameReader {
    /// A reader for messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            codec: Codec::new().max_size(limit),
            limit,
            buffer: BytesMut::new(),
            fragments: None,
            is_broken: false,
            compression: ClientCompression::default(),
        }
    }

    /// Takes compressed messages from now on.
    pub fn inflate(&mut self) {
        self.compression.is_agreed = true;
    }

    /// Takes what the socket brought.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.is_broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next complete frame. A length over the limit is refused before its payload has come.
    fn decode(&mut self) -> Result<Option<Frame>, Close> {
        if declared_length(&self.buffer).is_some_and(|length| length > self.limit as u64) {
            return Err(Close::TooLarge);
        }
        if self.compression.is_agreed {
            self.compression.look_at(self.buffer.first_mut())?;
        }
        let frame = self.codec.decode(&mut self.buffer).map_err(|error| close_for(&error))?;
        self.compression.is_head_seen &= frame.is_none();
        Ok(frame)
    }

    /// What the frame is, or completes.
    fn accept(&mut self, frame: Frame) -> Result<Incoming, Close> {
        match frame {
            Frame::Text(payload) => self.complete(Kind::Text, &payload),
            Frame::Binary(payload) => self.complete(Kind::Binary, &payload),
            Frame::Continuation(item) => self.join(item),
            Frame::Ping(payload) => Ok(Incoming::Ping(Bytes::copy_from_slice(&payload))),
            Frame::Pong(_) => Ok(Incoming::Pong),
            Frame::Close(None) => Ok(Incoming::Close(None)),
            Frame::Close(Some(reason)) => close_code(reason.code.into()).map(|code| Incoming::Close(Some(code))),
        }
    }

    fn join(&mut self, item: Item) -> Result<Incoming, Close> {
        let (started, payload, last) = match item {
            Item::FirstText(payload) => (Some(Kind::Text), payload, false),
            Item::FirstBinary(payload) => (Some(Kind::Binary), payload, false),
            Item::Continue(payload) => (None, payload, false),
            Item::Last(payload) => (None, payload, true),
        };
        if let Some(kind) = started {
            self.fragments = Some(Box::new(Fragments { kind, payload: BytesMut::new() }));
        }
        // The codec lets no continuation through that was not started.
        let mut fragments = self.fragments.take().ok_or(Close::ProtocolViolation)?;
        if fragments.payload.len() + payload.len() > self.limit {
            return Err(Close::TooLarge);
        }
        fragments.payload.extend_from_slice(&payload);
        if last {
            return self.complete(fragments.kind, &fragments.payload);
        }
        self.fragments = Some(fragments);
        Ok(Incoming::Part)
    }

    fn complete(&mut self, kind: Kind, payload: &[u8]) -> Result<Incoming, Close> {
        if mem::take(&mut self.compression.is_on) {
            return message(kind, &deflate::inflate(payload, self.limit)?);
        }
        message(kind, payload)
    }
}

impl ClientCompression {
    /// Takes the mark of a compressed message off its first frame; the codec knows none (RFC 7692 §6.1).
    fn look_at(&mut self, head: Option<&mut u8>) -> Result<(), Close> {
        let Some(head) = head.filter(|_| !self.is_head_seen) else { return Ok(()) };
        self.is_head_seen = true;
        if *head & frame::COMPRESSED != 0 {
            if !matches!(*head & OPCODE, TEXT | BINARY) {
                return Err(Close::ProtocolViolation);
            }
            *head &= !frame::COMPRESSED;
            self.is_on = true;
        }
        Ok(())
    }
}

/// What each complete frame brings. Frames are looked at one by one, so that the caller decides how many count.
impl Iterator for FrameReader {
    type Item = Incoming;

    fn next(&mut self) -> Option<Incoming> {
        if self.is_broken {
            return None;
        }
        let next = self.decode().and_then(|frame| frame.map(|frame| self.accept(frame)).transpose());
        let incoming = next.unwrap_or_else(|close| {
            self.is_broken = true;
            self.buffer.clear();
            Some(Incoming::Broken(close))
        });
        if self.buffer.is_empty() {
            // An idle session keeps no buffer.
            self.buffer = BytesMut::new();
        }
        incoming
    }
}

fn message(kind: Kind, payload: &[u8]) -> Result<Incoming, Close> {
    match kind {
        Kind::Binary => Ok(Incoming::Binary(Bytes::copy_from_slice(payload))),
        Kind::Text => {
            let text = std::str::from_utf8(payload).map_err(|_| Close::InvalidUtf8)?;
            Ok(Incoming::Text(text.to_owned()))
        }
    }
}

/// A binary message counts as text where it is JSON, and is dropped where not (protocol.md §1.14).
pub fn json_of(binary: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(binary).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok().map(|_| text)
}

/// The code of a close frame, if it may stand in one (RFC 6455 §7.4): what is reserved must not be echoed either.
fn close_code(code: u16) -> Result<u16, Close> {
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(code),
        _ => Err(Close::ProtocolViolation),
    }
}

/// The payload length that the frame at the head of `bytes` announces, once its header is complete (RFC 6455 §5.2).
fn declared_length(bytes: &[u8]) -> Option<u64> {
    match bytes.get(1)? & 0x7F {
        126 => Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => Some(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => Some(short.into()),
    }
}

fn close_for(error: &ProtocolError) -> Close {
    match error {
        ProtocolError::Overflow => Close::TooLarge,
        _ => Close::ProtocolViolation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame with a mask of zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    fn read(limit: usize, chunks: &[&[u8]]) -> Vec<Incoming> {
        let mut reader = FrameReader::new(limit);
        let mut incoming = Vec::new();
        for chunk in chunks {
            reader.push(chunk);
            incoming.extend(reader.by_ref());
        }
        incoming
    }

    fn text(text: &str) -> Incoming {
        Incoming::Text(text.to_owned())
    }

    #[test]
    fn a_frame_may_come_byte_by_byte() {
        let bytes = frame(0x81, b"hello");
        let chunks: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(100, &chunks), [text("hello")]);
    }

    #[test]
    fn several_frames_may_come_at_once() {
        let bytes = [frame(0x81, b"one"), frame(0x8A, b""), frame(0x81, b"two")].concat();
        assert_eq!(read(100, &[&bytes]), [text("one"), Incoming::Pong, text("two")]);
    }

    #[test]
    fn control_frames_may_stand_between_fragments() {
        let bytes = [frame(0x01, b"he"), frame(0x89, b"x"), frame(0x00, b"l"), frame(0x80, b"lo")].concat();
        let ping = Incoming::Ping(Bytes::from_static(b"x"));
        assert_eq!(read(100, &[&bytes]), [Incoming::Part, ping, Incoming::Part, text("hello")]);
    }

    #[test]
    fn utf8_is_checked_on_the_whole_message() {
        let (head, tail) = "é".as_bytes().split_at(1);
        assert_eq!(read(100, &[&frame(0x01, head), &frame(0x80, tail)]), [Incoming::Part, text("é")]);
        assert_eq!(read(100, &[&frame(0x81, head)]), [Incoming::Broken(Close::InvalidUtf8)]);
    }

    #[test]
    fn binary_messages_are_told_from_text() {
        let binary = [frame(0x82, b"\xFF"), frame(0x02, b"{"), frame(0x80, b"}")].concat();
        let told = |payload| Incoming::Binary(Bytes::from_static(payload));
        assert_eq!(read(100, &[&binary]), [told(b"\xFF"), Incoming::Part, told(b"{}")]);
    }

    #[test]
    fn a_binary_message_counts_as_text_where_it_is_json() {
        assert_eq!(json_of(b"{}"), Some("{}"));
        for binary in [b"\xFF".as_slice(), b"", b"\0", b"plain"] {
            assert_eq!(json_of(binary), None, "{binary:?}");
        }
    }

    #[test]
    fn the_size_limit_holds_for_one_frame_and_for_all_fragments_together() {
        assert_eq!(read(5, &[&frame(0x81, b"12345")]), [text("12345")]);
        assert_eq!(read(5, &[&frame(0x81, b"123456")]), [Incoming::Broken(Close::TooLarge)]);
        let fragments = [&frame(0x01, b"123")[..], &frame(0x80, b"456")];
        assert_eq!(read(5, &fragments), [Incoming::Part, Incoming::Broken(Close::TooLarge)]);
    }

    #[test]
    fn a_huge_length_is_refused_before_its_payload_comes() {
        let header = [0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(read(65_536, &[&header]), [Incoming::Broken(Close::TooLarge)]);
    }

    #[test]
    fn broken_frames_end_the_reading() {
        for (bytes, what) in [
            (vec![0x81, 0x02, b'h', b'i'], "unmasked"),
            (frame(0xC1, b"x"), "reserved bit"),
            (frame(0x83, b"x"), "reserved opcode"),
            (frame(0x80, b"x"), "continuation of nothing"),
            (frame(0x09, b"x"), "fragmented ping"),
            (frame(0x89, &[0; 126]), "long ping"),
            (frame(0x88, b"x"), "close with one byte"),
            (frame(0x88, &1005u16.to_be_bytes()), "close with a reserved code"),
            (frame(0x88, &5000u16.to_be_bytes()), "close with a code of nobody"),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), "message inside a message"),
        ] {
            let mut incoming = read(1_000, &[&bytes, &frame(0x81, b"late")]);
            incoming.retain(|incoming| *incoming != Incoming::Part);
            assert_eq!(incoming, [Incoming::Broken(Close::ProtocolViolation)], "{what}");
        }
    }

    /// "Hello" (RFC 7692 §7.2.3.1).
    const HELLO: [u8; 7] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];

    fn read_compressed(limit: usize, bytes: &[u8]) -> Vec<Incoming> {
        let mut reader = FrameReader::new(limit);
        reader.inflate();
        let mut incoming = Vec::new();
        for byte in bytes.chunks(1) {
            reader.push(byte);
            incoming.extend(reader.by_ref());
        }
        incoming
    }

    #[test]
    fn compressed_messages_are_read_where_that_was_agreed_among_plain_ones() {
        let bytes = [frame(0xC1, &HELLO), frame(0x81, b"plain"), frame(0xC2, &HELLO)].concat();
        let binary = Incoming::Binary(Bytes::from_static(b"Hello"));
        assert_eq!(read_compressed(100, &bytes), [text("Hello"), text("plain"), binary]);
        assert_eq!(read(100, &[&frame(0xC1, &HELLO)]), [Incoming::Broken(Close::ProtocolViolation)]);
    }

    #[test]
    fn fragments_of_a_compressed_message_are_one_and_a_ping_between_them_is_none_of_it() {
        let bytes = [frame(0x41, &HELLO[..3]), frame(0x89, b"p"), frame(0x80, &HELLO[3..]), frame(0x81, b"x")].concat();
        let ping = Incoming::Ping(Bytes::from_static(b"p"));
        assert_eq!(read_compressed(100, &bytes), [Incoming::Part, ping, text("Hello"), text("x")]);
    }

    #[test]
    fn compressed_messages_keep_to_the_rules() {
        for (bytes, close, what) in [
            (frame(0xC9, b"p"), Close::ProtocolViolation, "compressed ping"),
            (
                [frame(0x41, &HELLO[..3]), frame(0xC0, &HELLO[3..])].concat(),
                Close::ProtocolViolation,
                "marked continuation",
            ),
            (frame(0xE1, &HELLO), Close::ProtocolViolation, "another reserved bit"),
            (frame(0xC1, &[0xFF; 9]), Close::ProtocolViolation, "rubbish"),
            (frame(0xC1, &HELLO), Close::TooLarge, "longer than a message may be"),
        ] {
            let mut incoming = read_compressed(if close == Close::TooLarge { 4 } else { 100 }, &bytes);
            incoming.retain(|incoming| *incoming != Incoming::Part);
            assert_eq!(incoming, [Incoming::Broken(close)], "{what}");
        }
    }

    #[test]
    fn a_close_frame_brings_its_code() {
        assert_eq!(read(100, &[&frame(0x88, &1000u16.to_be_bytes())]), [Incoming::Close(Some(1000))]);
        assert_eq!(read(100, &[&frame(0x88, b"")]), [Incoming::Close(None)]);
    }
}
