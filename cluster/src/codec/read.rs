//! Reads numbers and names out of hostile bytes. Every read checks what is left first.

use std::sync::Arc;

use bytes::Bytes;

use super::error::DecodeError;
use crate::{
    frame::is_version,
    room::{Room, is_app},
};

/// Bytes of a user's id at most: 128 characters.
const MAX_USER: usize = 512;

pub(super) struct Reader {
    left: Bytes,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { left: bytes }
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_be_bytes)
    }

    /// Bytes behind their length; a slice, not a copy.
    pub(super) fn chunk(&mut self) -> Result<Bytes, DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::Short)?;
        self.take(length)
    }

    /// A text behind its length.
    pub(super) fn text(&mut self) -> Result<Arc<str>, DecodeError> {
        let chunk = self.chunk()?;
        std::str::from_utf8(&chunk).map(Arc::from).map_err(|_| DecodeError::Value)
    }

    pub(super) fn app(&mut self) -> Result<Arc<str>, DecodeError> {
        self.text().and_then(|app| if is_app(&app) { Ok(app) } else { Err(DecodeError::Value) })
    }

    pub(super) fn user(&mut self) -> Result<Arc<str>, DecodeError> {
        let user = self.text()?;
        if (1..=MAX_USER).contains(&user.len()) { Ok(user) } else { Err(DecodeError::Value) }
    }

    /// A user; the empty text, which no user has for a name, stands for none.
    pub(super) fn user_or_none(&mut self) -> Result<Option<Arc<str>>, DecodeError> {
        let user = self.text()?;
        if user.len() <= MAX_USER { Ok((!user.is_empty()).then_some(user)) } else { Err(DecodeError::Value) }
    }

    pub(super) fn version(&mut self) -> Result<Arc<str>, DecodeError> {
        self.text().and_then(|version| if is_version(&version) { Ok(version) } else { Err(DecodeError::Value) })
    }

    pub(super) fn room(&mut self) -> Result<Room, DecodeError> {
        let (app, channel) = (self.text()?, self.text()?);
        Room::new(&app, &channel).map_err(|_| DecodeError::Value)
    }

    /// Items behind their number. The number alone reserves no memory.
    pub(super) fn list<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Something that may be absent.
    pub(super) fn option<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(DecodeError::Value),
        }
    }

    /// Passes over some bytes.
    pub(super) fn skip(&mut self, length: usize) -> Result<(), DecodeError> {
        self.take(length).map(drop)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.left.len() { Err(DecodeError::Short) } else { Ok(self.left.split_to(length)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        bytes.as_ref().try_into().map_err(|_| DecodeError::Short)
    }
}
