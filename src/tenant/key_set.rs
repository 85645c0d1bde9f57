//! The public keys that tokens are verified with, and what is in force of them: those of files, and those that an issuer
//! publishes as a JWK set (RFC 7517 §5). Pure.

use std::str;

use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde::Deserialize;
use serde_json::Value;

use super::{PublicKey, TokenAlgorithm, TokenAlgorithms, UnusableKey};

/// The most keys of a set: each may have to be tried for a token that does not name its own.
pub const MAX_KEYS: usize = 64;

/// Keys for tokens that others sign.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<PublicKey>);

/// Why a set of keys cannot be used as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    #[error("it is no JWK set")]
    NotJwks,
    #[error("it holds no public key in PEM (BEGIN PUBLIC KEY)")]
    NotPem,
    #[error("it has {0} keys, the limit is {MAX_KEYS}")]
    TooMany(usize),
    #[error("it has no key for {algorithms} (GAUNG_TENANT_TOKEN_ALGORITHMS) among {keys}{reason}")]
    NoneUsable { algorithms: TokenAlgorithms, keys: usize, reason: String },
    #[error("key {number} of {keys} cannot be used: {reason}")]
    Unusable { number: usize, keys: usize, reason: UnusableKey },
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl KeySet {
    /// Those of a JWK set that can be used with these algorithms. Issuers publish others beside them, for encryption or with
    /// newer algorithms: those are left out, unless nothing remains.
    pub fn from_jwks(json: &[u8], algorithms: &TokenAlgorithms) -> Result<Self, InvalidKeySet> {
        let Jwks { keys } = serde_json::from_slice(json).map_err(|_| InvalidKeySet::NotJwks)?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooMany(keys.len()));
        }
        let (read, unusable): (Vec<_>, Vec<_>) = keys.iter().map(PublicKey::from_jwk).partition(Result::is_ok);
        let usable: Vec<_> = read.into_iter().flatten().filter(|key| algorithms.accepts(key.algorithm())).collect();
        if usable.is_empty() {
            let reason = unusable.into_iter().find_map(Result::err);
            let reason = reason.map_or_else(String::new, |reason| format!("; of one: {reason}"));
            return Err(InvalidKeySet::NoneUsable { algorithms: algorithms.clone(), keys: keys.len(), reason });
        }
        Ok(Self(usable))
    }

    /// The public keys in PEM, one or more. All must be of use: somebody has chosen them. `\n` as two characters is a line
    /// break, as files of variables have it.
    pub fn from_pem(pem: &[u8], algorithms: &TokenAlgorithms) -> Result<Self, InvalidKeySet> {
        let text = str::from_utf8(pem).map_err(|_| InvalidKeySet::NotPem)?.replace("\\n", "\n");
        let keys: Vec<_> = SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidKeySet::NotPem)?;
        match keys.len() {
            0 => return Err(InvalidKeySet::NotPem),
            1..=MAX_KEYS => {}
            keys => return Err(InvalidKeySet::TooMany(keys)),
        }
        let usable = keys.iter().zip(1..).map(|(der, number)| {
            let unusable = |reason| InvalidKeySet::Unusable { number, keys: keys.len(), reason };
            let key = PublicKey::from_spki(der).map_err(unusable)?;
            if algorithms.accepts(key.algorithm()) {
                return Ok(key);
            }
            let reason = String::new();
            Err(InvalidKeySet::NoneUsable { algorithms: algorithms.clone(), keys: keys.len(), reason })
        });
        usable.collect::<Result<_, _>>().map(Self)
    }

    /// These and those of the other set.
    pub fn and(&self, other: &Self) -> Self {
        Self([&self.0[..], &other.0[..]].concat())
    }

    /// Those that a token with this algorithm and this `kid` may be signed with.
    pub(super) fn of<'a>(
        &'a self,
        algorithm: TokenAlgorithm,
        id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a PublicKey> + use<'a> {
        self.0.iter().filter(move |key| key.algorithm() == algorithm && key.may_be(id))
    }

    /// The ids of the keys, in their order.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.id().unwrap_or_default()).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
