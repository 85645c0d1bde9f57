//! What one node asks another, as bytes. Pure.
//!
//! Version (1 byte), kind (1), then the fields: texts behind their length in two bytes. A node that does not know a version
//! or a kind answers with nothing, so that a later release may ask what an earlier one cannot tell.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use gaung_cluster::{
    page::PageHash,
    room::{MAX_CHANNEL, is_app},
};

use super::text::{put_position, put_text, read_position, read_text};
use crate::protocol::{ChannelName, Position};

const VERSION: u8 = 1;

const HISTORY: u8 = 1;
const PAGE: u8 = 2;
const LEFT_PAGES: u8 = 3;
const XHR_SEND: u8 = 4;
const XHR_MOVED: u8 = 5;
const XHR_POLL: u8 = 6;
const REVOKE: u8 = 7;
const REVOCATIONS: u8 = 8;

/// A question that only the asked node can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// What it keeps of a channel's events after a position.
    History { app: Arc<str>, channel: ChannelName, since: Position },
    /// What it knows of a page that has come to the asking node, and that is the asking node's from now on.
    Page(PageHash),
    /// Whether it keeps these pages, which are away, and whose node ends: as that has written them.
    LeftPages(Bytes),
    /// Whether it takes these messages of a client, whose session over HTTP it has.
    XhrSend(XhrSend),
    /// Whether it has this session over HTTP, which the client goes on with at the asking node: it gives it up.
    XhrMoved([u8; 16]),
    /// What it has for the client of this session over HTTP, who polls the asking node. The body is empty.
    XhrPoll(XhrSend),
    /// Whether it takes these revocations of tokens: as `crate::revocations` writes them.
    Revoke(Bytes),
    /// Which revocations it knows, unless its list has this digest, or those after a holder.
    Revocations { digest: [u8; 16], after: Bytes },
}

/// A request of a client over HTTP to a node that does not have its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XhrSend {
    /// The hash of the session.
    pub session: [u8; 16],
    /// The number of the request, if it has one.
    pub number: Option<u64>,
    /// What it sent, as it came.
    pub body: Bytes,
}

impl Question {
    /// The bytes that cross the bus.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        match self {
            Self::History { app, channel, since } => {
                bytes.put_u8(HISTORY);
                [app, channel.as_str()].into_iter().for_each(|text| put_text(&mut bytes, text));
                put_position(&mut bytes, since);
            }
            Self::Page(page) => {
                bytes.put_u8(PAGE);
                bytes.put_slice(&page.0);
            }
            Self::LeftPages(pages) => {
                bytes.put_u8(LEFT_PAGES);
                bytes.put_slice(pages);
            }
            Self::XhrSend(XhrSend { session, number, body }) | Self::XhrPoll(XhrSend { session, number, body }) => {
                bytes.put_u8(if let Self::XhrSend(_) = self { XHR_SEND } else { XHR_POLL });
                bytes.put_slice(session);
                bytes.put_u8(number.is_some().into());
                bytes.put_u64(number.unwrap_or_default());
                bytes.put_slice(body);
            }
            Self::Revoke(revocations) => {
                bytes.put_u8(REVOKE);
                bytes.put_slice(revocations);
            }
            Self::Revocations { digest, after } => {
                bytes.put_u8(REVOCATIONS);
                bytes.put_slice(digest);
                bytes.put_slice(after);
            }
            Self::XhrMoved(session) => {
                bytes.put_u8(XHR_MOVED);
                bytes.put_slice(session);
            }
        }
        bytes.freeze()
    }

    /// Reads what another node wrote, as hostile input; `None` if this release does not know it.
    pub fn read(mut bytes: Bytes) -> Option<Self> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let question = match bytes.try_get_u8().ok()? {
            HISTORY => {
                let (app, channel) = (read_app(&mut bytes)?, read_text(&mut bytes)?);
                let channel = ChannelName::parse(&channel, MAX_CHANNEL).ok()?;
                Self::History { app, channel, since: read_position(&mut bytes)? }
            }
            PAGE => Self::Page(PageHash(read_hash(&mut bytes)?)),
            LEFT_PAGES => Self::LeftPages(bytes.split_off(0)),
            XHR_SEND => Self::XhrSend(read_send(&mut bytes)?),
            XHR_POLL => Self::XhrPoll(read_send(&mut bytes)?),
            REVOKE => Self::Revoke(bytes.split_off(0)),
            REVOCATIONS => Self::Revocations { digest: read_hash(&mut bytes)?, after: bytes.split_off(0) },
            XHR_MOVED => Self::XhrMoved(read_hash(&mut bytes)?),
            _ => return None,
        };
        bytes.is_empty().then_some(question)
    }
}

fn read_hash(bytes: &mut Bytes) -> Option<[u8; 16]> {
    let mut hash = [0; 16];
    bytes.try_copy_to_slice(&mut hash).ok()?;
    Some(hash)
}

fn read_send(bytes: &mut Bytes) -> Option<XhrSend> {
    let session = read_hash(bytes)?;
    let is_numbered = bytes.try_get_u8().ok()? != 0;
    let number = Some(bytes.try_get_u64().ok()?).filter(|_| is_numbered);
    Some(XhrSend { session, number, body: bytes.split_off(0) })
}

fn read_app(bytes: &mut Bytes) -> Option<Arc<str>> {
    read_text(bytes).filter(|app| is_app(app)).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(since: Position) -> Question {
        Question::History { app: "shop".into(), channel: ChannelName::parse("private-a", 200).unwrap(), since }
    }

    fn page() -> Question {
        Question::Page(PageHash(*b"0123456789abcdef"))
    }

    fn questions() -> [Question; 3] {
        [history(Position::default()), history("k3x09a-17,zzzzzz-2".parse().unwrap()), page()]
    }

    #[test]
    fn a_question_is_read_as_it_was_written() {
        for question in questions() {
            assert_eq!(Question::read(question.encode()), Some(question));
        }
    }

    #[test]
    fn questions_are_these_bytes() {
        let since = "k3x09a-17".parse().unwrap();
        assert_eq!(history(since).encode(), b"\x01\x01\0\x04shop\0\x09private-a\0\x09k3x09a-17"[..]);
        assert_eq!(page().encode(), b"\x01\x020123456789abcdef"[..]);
        let left = Question::LeftPages("pages".into());
        assert_eq!(left.encode(), b"\x01\x03pages"[..]);
        assert_eq!(Question::read(left.encode()), Some(left));
        let (session, body) = (*b"0123456789abcdef", Bytes::from("[]"));
        let send = Question::XhrSend(XhrSend { session, number: Some(7), body: body.clone() });
        assert_eq!(send.encode(), b"\x01\x040123456789abcdef\x01\0\0\0\0\0\0\0\x07[]"[..]);
        let unnumbered = Question::XhrSend(XhrSend { session, number: None, body });
        let poll = Question::XhrPoll(XhrSend { session, number: Some(7), body: Bytes::new() });
        assert_eq!(poll.encode(), b"\x01\x060123456789abcdef\x01\0\0\0\0\0\0\0\x07"[..]);
        let revoke = Question::Revoke("[]".into());
        assert_eq!(revoke.encode(), b"\x01\x07[]"[..]);
        let revocations = Question::Revocations { digest: session, after: "[]".into() };
        assert_eq!(revocations.encode(), b"\x01\x080123456789abcdef[]"[..]);
        for question in [send, unnumbered, poll, Question::XhrMoved(session), revoke, revocations] {
            assert_eq!(Question::read(question.encode()), Some(question));
        }
        assert_eq!(Question::XhrMoved(session).encode(), b"\x01\x050123456789abcdef"[..]);
    }

    #[test]
    fn what_this_release_does_not_know_is_no_question() {
        let mut star = history(Position::default()).encode().to_vec();
        star[4] = b'*';
        assert_eq!(Question::read(star.into()), None);
        for question in questions() {
            let bytes = question.encode();
            for end in 0..bytes.len() {
                assert_eq!(Question::read(bytes.slice(..end)), None, "{question:?} up to {end}");
            }
            assert_eq!(Question::read([&bytes[..], b"x"].concat().into()), None);
            for (index, byte) in [(0, 2), (1, 9)] {
                let mut changed = bytes.to_vec();
                changed[index] = byte;
                assert_eq!(Question::read(changed.into()), None, "{question:?} with {byte} at {index}");
            }
        }
    }
}
