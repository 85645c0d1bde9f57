//! Reads a request body: never more of it than `GAUNG_MAX_BODY_BYTES`, not for ever, and only as long as all bodies that
//! are being read have no more than `GAUNG_MAX_HELD_BODY_BYTES`.

use std::{
    ops::Deref,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    rt::time::timeout,
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt;

use super::invalid_body::InvalidBody;
use crate::connection::Connection;

/// A back end that needs longer than this for one request has lost its connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most characters of a header in a refusal.
const MAX_QUOTED: usize = 40;

/// The bytes of all bodies that are being read.
#[derive(Debug)]
pub struct HeldBodies {
    limit: usize,
    held: AtomicUsize,
}

/// A whole body; its bytes are given back when it is dropped.
pub struct Body<'a> {
    bytes: Bytes,
    _held: Held<'a>,
}

/// What one body has of the bytes of all.
struct Held<'a> {
    all: &'a HeldBodies,
    bytes: usize,
}

/// Refuses an announced length over `limit`, before a byte is read.
pub fn check_head(request: &HttpRequest, limit: usize) -> Result<(), InvalidBody> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    announced.map_or(Ok(()), |bytes| within(bytes, limit))
}

/// Refuses a compressed body by that name: as JSON it would only be told to be none.
pub fn check_coding(request: &HttpRequest) -> Result<(), InvalidBody> {
    let codings = request.headers().get_all(CONTENT_ENCODING).map(|line| String::from_utf8_lossy(line.as_bytes()));
    let mut compressed = codings.filter(|coding| !matches!(coding.trim(), "" | "identity"));
    compressed.next().map_or(Ok(()), |coding| Err(InvalidBody::Compressed(coding.chars().take(MAX_QUOTED).collect())))
}

/// The whole body, of an announced length or in chunks.
pub async fn read<'a>(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    held: &'a HeldBodies,
) -> Result<Body<'a>, InvalidBody> {
    // Until it is asked for, a body waits in its client's TCP window.
    let _reading = request.conn_data::<Rc<Connection>>().map(|connection| connection.read_body());
    let mut held = Held { all: held, bytes: 0 };
    let bytes = timeout(PATIENCE, collect(payload, limit, &mut held)).await;
    Ok(Body { bytes: bytes.map_err(|_| InvalidBody::TooSlow(PATIENCE))??, _held: held })
}

/// A body that arrives in one piece, as most do, is not copied.
async fn collect(mut payload: Payload, limit: usize, held: &mut Held<'_>) -> Result<Bytes, InvalidBody> {
    let Some(first) = next(&mut payload, limit, held).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut payload, limit, held).await? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        body.extend_from_slice(&bytes);
        piece = next(&mut payload, limit, held).await?;
    }
    Ok(body.freeze())
}

async fn next(payload: &mut Payload, limit: usize, held: &mut Held<'_>) -> Result<Option<Bytes>, InvalidBody> {
    let Some(piece) = payload.next().await else { return Ok(None) };
    let piece = piece.map_err(|_| InvalidBody::Broken)?;
    held.take(piece.len())?;
    within(held.bytes as u64, limit)?;
    Ok(Some(piece))
}

fn within(bytes: u64, limit: usize) -> Result<(), InvalidBody> {
    if bytes > limit as u64 { Err(InvalidBody::TooLarge { bytes, limit }) } else { Ok(()) }
}

impl HeldBodies {
    /// At most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }
}

impl Held<'_> {
    /// Counts a piece that has arrived.
    fn take(&mut self, bytes: usize) -> Result<(), InvalidBody> {
        self.bytes += bytes;
        let before = self.all.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.all.limit { Err(InvalidBody::NoSpace(self.all.limit)) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_together_have_a_limit_and_give_back_what_they_had() {
        let all = HeldBodies::new(10);
        let mut one = Held { all: &all, bytes: 0 };
        let mut other = Held { all: &all, bytes: 0 };
        assert_eq!(one.take(4), Ok(()));
        assert_eq!(other.take(6), Ok(()));
        assert_eq!(one.take(1), Err(InvalidBody::NoSpace(10)));
        drop(other);
        assert_eq!(one.take(5), Ok(()));
        drop(one);
        assert_eq!(all.held.load(Ordering::Relaxed), 0);
    }
}
