//! Pages that are away, which a node that ends leaves to another one, as bytes. Pure.
//!
//! Of each page: how many bytes follow (4), its hash (16), for how long its positions are kept and for how long it is known
//! (8 each, milliseconds), its app behind the length in two bytes, and what is handed over of any page.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use gaung_cluster::{page::PageHash, room::is_app};

use super::{
    handed::{HandedPage, millis},
    key::PageKey,
};
use crate::cluster::text::{put_text, read_text};

/// Bytes of one part, exceeded by one page at most.
const PART: usize = 64 << 10;

/// A page that is away, and whose node ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftPage {
    pub key: PageKey,
    /// Whose.
    pub app: Arc<str>,
    /// For how long its positions are kept.
    pub kept_for: Duration,
    /// For how long it is known.
    pub known_for: Duration,
    pub page: HandedPage,
}

/// Some pages, as many as cross the bus together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub pages: usize,
    pub bytes: Bytes,
}

impl LeftPage {
    /// The bytes of pages that cross the bus now.
    pub fn parts(pages: &[Self], now: Instant) -> Vec<Part> {
        let (mut parts, mut count, mut bytes) = (Vec::new(), 0, BytesMut::new());
        for page in pages {
            count += 1;
            page.put(&mut bytes, now);
            if bytes.len() >= PART {
                parts.push(Part { pages: mem::take(&mut count), bytes: mem::take(&mut bytes).freeze() });
            }
        }
        parts.extend((count > 0).then(|| Part { pages: count, bytes: bytes.freeze() }));
        parts
    }

    /// Reads what another node wrote, as hostile input; `None` if it is something else.
    pub fn read(mut bytes: Bytes, now: Instant) -> Option<Vec<Self>> {
        let mut pages = Vec::new();
        while !bytes.is_empty() {
            let size = usize::try_from(bytes.try_get_u32().ok()?).ok().filter(|size| *size <= bytes.len())?;
            pages.push(Self::read_one(bytes.split_to(size), now)?);
        }
        Some(pages)
    }

    fn put(&self, bytes: &mut BytesMut, now: Instant) {
        let page = self.page.encode(now);
        let mut head = BytesMut::new();
        head.put_slice(&self.key.0.0);
        head.put_u64(millis(self.kept_for));
        head.put_u64(millis(self.known_for));
        put_text(&mut head, &self.app);
        bytes.put_u32(u32::try_from(head.len() + page.len()).unwrap_or(u32::MAX));
        bytes.put(head);
        bytes.put(page);
    }

    fn read_one(mut bytes: Bytes, now: Instant) -> Option<Self> {
        let mut hash = [0; 16];
        bytes.try_copy_to_slice(&mut hash).ok()?;
        let kept_for = Duration::from_millis(bytes.try_get_u64().ok()?);
        let known_for = Duration::from_millis(bytes.try_get_u64().ok()?);
        let app = read_text(&mut bytes).filter(|app| is_app(app))?.into();
        Some(Self { key: PageKey(PageHash(hash)), app, kept_for, known_for, page: HandedPage::read(bytes, now)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{page::Positions, protocol::SocketId};

    fn page(number: u8, user: Option<String>) -> LeftPage {
        let (socket, given_for) = (SocketId::from_bits(7), Duration::from_secs(3));
        LeftPage {
            key: PageKey(PageHash([number; 16])),
            app: "shop".into(),
            kept_for: Duration::from_secs(1),
            known_for: Duration::from_secs(2),
            page: HandedPage { socket, keeps_id: true, given_for, user, positions: Positions::default() },
        }
    }

    #[test]
    fn pages_are_read_as_they_were_written_in_parts_that_cross_the_bus() {
        let now = Instant::now();
        let pages: Vec<LeftPage> = (0..=u8::MAX).map(|number| page(number, Some("u".repeat(512)))).collect();
        let parts = LeftPage::parts(&pages, now);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.bytes.len() < PART + 1_024));
        assert_eq!(parts.iter().map(|part| part.pages).sum::<usize>(), pages.len());
        let read: Vec<LeftPage> = parts.into_iter().flat_map(|part| LeftPage::read(part.bytes, now).unwrap()).collect();
        assert_eq!(read, pages);
        assert_eq!(LeftPage::parts(&[], now), []);
    }

    #[test]
    fn a_page_is_these_bytes() {
        let parts = LeftPage::parts(&[page(b'k', None)], Instant::now());
        let head = b"\0\0\0\x3akkkkkkkkkkkkkkkk\0\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x07\xd0\0\x04shop";
        let handed = b"\x01\0\0\0\0\0\0\0\x07\x01\0\0\0\0\0\0\x0b\xb8\0\0";
        assert_eq!(parts[0].bytes, [&head[..], handed].concat());
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let now = Instant::now();
        let bytes = LeftPage::parts(&[page(1, None)], now).remove(0).bytes;
        for end in 1..bytes.len() {
            assert_eq!(LeftPage::read(bytes.slice(..end), now), None, "up to {end}");
        }
        for (index, byte) in [(3, 0x39), (3, 0x3b), (0, 0xff), (38, b'*'), (42, 2)] {
            let mut changed = bytes.to_vec();
            changed[index] = byte;
            assert_eq!(LeftPage::read(changed.into(), now), None, "{byte} at {index}");
        }
    }
}
