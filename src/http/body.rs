//! Reads a request body: never more of it than `GAUNG_MAX_BODY_BYTES`, and not for ever.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::header::CONTENT_LENGTH,
    rt::time::timeout,
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt;

use super::error::ApiError;

/// A back end that needs longer than this for one request has lost its connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// The whole body, of an announced length or in chunks. An announced length over `limit` is refused before a byte is
/// read.
pub async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(bytes) = announced {
        within(bytes, limit)?;
    }
    timeout(PATIENCE, collect(payload, limit)).await.map_err(|_| ApiError::BodyTooSlow(PATIENCE))?
}

/// A body that arrives in one piece, as most do, is not copied.
async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let Some(first) = next(&mut payload).await? else { return Ok(Bytes::new()) };
    within(first.len() as u64, limit)?;
    let Some(second) = next(&mut payload).await? else { return Ok(first) };
    let mut body = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        within((body.len() + bytes.len()) as u64, limit)?;
        body.extend_from_slice(&bytes);
        piece = next(&mut payload).await?;
    }
    Ok(body.freeze())
}

async fn next(payload: &mut Payload) -> Result<Option<Bytes>, ApiError> {
    payload.next().await.transpose().map_err(|_| ApiError::BodyBroken)
}

fn within(bytes: u64, limit: usize) -> Result<(), ApiError> {
    if bytes > limit as u64 { Err(ApiError::BodyTooLarge { bytes, limit }) } else { Ok(()) }
}
