//! Signatures of requests to the trigger API (protocol.md §2.4).

use std::{fmt, time::Duration};

use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    hex_hmac::{decode_signature, find_key, hex_hmac, is_signed},
    query::{Plus, Query, Repeated},
};
use crate::protocol::AppKey;

const VERSION: &str = "1.0";

/// RFC 3986 §2.3: what needs no encoding.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a request's signature is about.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// In upper case, as received.
    pub method: &'a str,
    /// Every path that the client may have signed, the likeliest first: raw and percent-decoded, with and without the
    /// server's prefix. One HMAC each, but only until one fits.
    pub paths: &'a [&'a str],
    /// The raw query without `?`.
    pub query: &'a str,
}

/// What a verified signature says of the body: nobody without the secret could have said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBody {
    md5: Option<Vec<u8>>,
}

/// Which part of a signed request is wrong. Says nothing about the signature that would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestAuthError {
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    #[error("the query parameter {0} occurs more than once")]
    Repeated(&'static str),
    #[error("unknown auth_key: it has {characters} characters and is not a key of this app")]
    UnknownKey {
        /// How many it has; what it is is not told, because it may be a secret in the wrong place.
        characters: usize,
    },
    #[error("auth_version must be {VERSION}")]
    Version,
    #[error("auth_timestamp must be a whole number of seconds since 1970")]
    Timestamp,
    #[error("auth_timestamp is {} s away from the server's clock, the limit is {} s (GAUNG_SIGNATURE_SECONDS)",
        .distance.as_secs(), .window.as_secs())]
    Expired { distance: Duration, window: Duration },
    #[error("auth_signature must be 64 lower-case hex digits")]
    NotHex,
    #[error("invalid auth_signature: it is for another method, path or query, or made with another secret")]
    Mismatch,
    #[error("the query parameter body_md5 is missing although there is a body")]
    BodyNotSigned,
    #[error("body_md5 is not the MD5 of the body that arrived")]
    BodyChanged,
}

/// Checks that one of `keys` signed the request within `window` of `now`, the time since the Unix epoch. A window of zero
/// is not checked. Costs one HMAC. All of it stands in the query, so that no byte of a body need be read for it: what is
/// returned checks the body once that is there.
pub fn verify_request(
    keys: &[AppKey],
    request: &SignedRequest<'_>,
    now: Duration,
    window: Duration,
) -> Result<SignedBody, RequestAuthError> {
    let query = Query::parse(request.query, Plus::Literal);
    let name = required(&query, "auth_key")?;
    let unknown = || RequestAuthError::UnknownKey { characters: String::from_utf8_lossy(name).chars().count() };
    let key = find_key(keys, name).ok_or_else(unknown)?;
    if required(&query, "auth_version")? != VERSION.as_bytes() {
        return Err(RequestAuthError::Version);
    }
    verify_timestamp(required(&query, "auth_timestamp")?, now, window)?;
    let signature = decode_signature(required(&query, "auth_signature")?).ok_or(RequestAuthError::NotHex)?;
    let body_md5 = optional(&query, "body_md5")?;
    if !is_request_signed(key, request, &query, &signature) {
        return Err(RequestAuthError::Mismatch);
    }
    Ok(SignedBody { md5: body_md5.map(<[u8]>::to_vec) })
}

impl SignedBody {
    /// Checks that the body is the one that was signed. Costs its MD5.
    pub fn verify(&self, body: &[u8]) -> Result<(), RequestAuthError> {
        match &self.md5 {
            Some(md5) if *md5 == md5_hex(body).as_bytes() => Ok(()),
            Some(_) => Err(RequestAuthError::BodyChanged),
            None if body.is_empty() => Ok(()),
            None => Err(RequestAuthError::BodyNotSigned),
        }
    }
}

/// The query string of a signed request: `params`, percent-encoded, and the parameters of the signature. `path` is signed
/// as it is. `now` is the time since the Unix epoch. `params` must not contain parameters of the signature.
pub fn sign_request(
    key: &AppKey,
    method: &str,
    path: &str,
    params: &[(&str, &str)],
    body: &[u8],
    now: Duration,
) -> String {
    let timestamp = now.as_secs().to_string();
    let body_md5 = (!body.is_empty()).then(|| md5_hex(body));
    let mut all = params.to_vec();
    all.extend([("auth_key", key.key.as_str()), ("auth_timestamp", &timestamp), ("auth_version", VERSION)]);
    all.extend(body_md5.as_deref().map(|md5| ("body_md5", md5)));
    let text = [method.as_bytes(), path.as_bytes(), &Query::of(&all).canonical()].join(&b'\n');
    let signature = hex_hmac(&key.secret, &text);
    all.push(("auth_signature", &signature));
    let encoded: Vec<String> = all.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    encoded.join("&")
}

fn verify_timestamp(timestamp: &[u8], now: Duration, window: Duration) -> Result<(), RequestAuthError> {
    let seconds = str::from_utf8(timestamp).ok().and_then(|digits| digits.parse().ok());
    let distance = Duration::from_secs(seconds.ok_or(RequestAuthError::Timestamp)?).abs_diff(now);
    if window.is_zero() || distance < window {
        return Ok(());
    }
    Err(RequestAuthError::Expired { distance, window })
}

/// Tries what clients may have meant, the likeliest first.
fn is_request_signed(key: &AppKey, request: &SignedRequest<'_>, query: &Query<'_>, signature: &[u8; 32]) -> bool {
    let fits = |query: &Query<'_>| {
        let params = query.canonical();
        request.paths.iter().any(|path| {
            let parts = [request.method.as_bytes(), b"\n", path.as_bytes(), b"\n", &params];
            is_signed(&key.secret, &parts, signature)
        })
    };
    fits(query) || request.query.contains('+') && fits(&Query::parse(request.query, Plus::Blank))
}

fn required<'a>(query: &'a Query<'_>, name: &'static str) -> Result<&'a [u8], RequestAuthError> {
    optional(query, name)?.ok_or(RequestAuthError::Missing(name))
}

fn optional<'a>(query: &'a Query<'_>, name: &'static str) -> Result<Option<&'a [u8]>, RequestAuthError> {
    query.single(name).map_err(|Repeated| RequestAuthError::Repeated(name))
}

fn md5_hex(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

fn encode(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests;
