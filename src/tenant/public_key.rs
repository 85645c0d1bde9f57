//! A public key that tokens are verified with, from a JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2) or the DER of a PEM file
//! (RFC 5280 §4.1). Each has one algorithm, which is that of its kind. Pure.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;
use spki::{
    ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{Decode, Reader, SliceReader, asn1::UintRef},
};

use super::TokenAlgorithm;

/// The fewest and the most bits of an RSA key.
const RSA_BITS: (usize, usize) = (2_048, 8_192);

/// The bytes of a coordinate on P-256, and of a point of Ed25519.
const COORDINATE: usize = 32;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key, and what it is for.
#[derive(Clone)]
pub struct PublicKey {
    /// `kid` of a JWK; a key in a file has none.
    id: Option<String>,
    algorithm: TokenAlgorithm,
    key: DecodingKey,
}

/// Why a key is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    #[error("it is malformed")]
    Malformed,
    #[error("it is no RSA, P-256 or Ed25519 key")]
    Kind,
    #[error("it is not for signatures")]
    Purpose,
    #[error("it is for another algorithm than {0}")]
    Algorithm(&'static str),
    #[error("it has {0} bits; an RSA key needs {min} to {max}", min = RSA_BITS.0, max = RSA_BITS.1)]
    Size(usize),
}

/// The members of a JWK that say what it is.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicKey {
    /// A key of a JWK set. A symmetric one is never of use: what is published is no secret.
    pub fn from_jwk(jwk: &Value) -> Result<Self, UnusableKey> {
        let jwk = Jwk::deserialize(jwk).map_err(|_| UnusableKey::Malformed)?;
        let signs = jwk.purpose.as_ref().is_none_or(|purpose| purpose == "sig");
        let verifies = jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|each| each == "verify"));
        if !signs || !verifies {
            return Err(UnusableKey::Purpose);
        }
        let (algorithm, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (TokenAlgorithm::Rs256, rsa(&decoded(jwk.n.as_ref())?, &decoded(jwk.e.as_ref())?)?),
            ("EC", Some("P-256")) => {
                let point = [vec![4], decoded(jwk.x.as_ref())?, decoded(jwk.y.as_ref())?].concat();
                (TokenAlgorithm::Es256, elliptic(&point)?)
            }
            ("OKP", Some("Ed25519")) => (TokenAlgorithm::EdDsa, edwards(&decoded(jwk.x.as_ref())?)?),
            _ => return Err(UnusableKey::Kind),
        };
        match jwk.alg {
            Some(other) if other != algorithm.name() => Err(UnusableKey::Algorithm(algorithm.name())),
            Some(_) | None => Ok(Self { id: jwk.kid, algorithm, key }),
        }
    }

    /// A key of a PEM file: what stands between `BEGIN PUBLIC KEY` and `END PUBLIC KEY`.
    pub fn from_spki(der: &[u8]) -> Result<Self, UnusableKey> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| UnusableKey::Malformed)?;
        let bits = spki.subject_public_key.as_bytes().ok_or(UnusableKey::Malformed)?;
        let (algorithm, key) = match (spki.algorithm.oid, spki.algorithm.parameters_oid().ok()) {
            (RSA, _) => (TokenAlgorithm::Rs256, rsa_of_der(bits)?),
            (ELLIPTIC, Some(P256)) => (TokenAlgorithm::Es256, elliptic(bits)?),
            (ED25519, _) => (TokenAlgorithm::EdDsa, edwards(bits)?),
            _ => return Err(UnusableKey::Kind),
        };
        Ok(Self { id: None, algorithm, key })
    }

    /// `kid`, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What it verifies, and nothing else.
    pub fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
    }

    /// Whether a token that names its key so may be signed with it. Where one of the two has no name, it may.
    pub fn may_be(&self, named: Option<&str>) -> bool {
        match (&self.id, named) {
            (Some(own), Some(named)) => own == named,
            (None, _) | (_, None) => true,
        }
    }

    pub(super) fn in_library(&self) -> &DecodingKey {
        &self.key
    }
}

/// Tells what it is, not its bytes.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {:?}", self.algorithm.name(), self.id)
    }
}

fn decoded(text: Option<&String>) -> Result<Vec<u8>, UnusableKey> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(UnusableKey::Malformed)
}

/// Modulus and exponent as big-endian numbers.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, UnusableKey> {
    let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(RSA_BITS.0..=RSA_BITS.1).contains(&bits) {
        return Err(UnusableKey::Size(bits));
    }
    // The library takes odd ones from 3 to 33 bits; an exponent of 1 would have every signature be its message.
    if exponent.is_empty() || exponent == [1] {
        return Err(UnusableKey::Malformed);
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// `RSAPublicKey` of RFC 8017 appendix A.1.1.
fn rsa_of_der(der: &[u8]) -> Result<DecodingKey, UnusableKey> {
    let numbers = SliceReader::new(der).and_then(|mut reader| {
        let numbers = reader.sequence(|inner| Ok((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
        reader.finish(numbers)
    });
    let (modulus, exponent) = numbers.map_err(|_| UnusableKey::Malformed)?;
    rsa(modulus.as_bytes(), exponent.as_bytes())
}

/// An uncompressed point (SEC 1 §2.3.3).
fn elliptic(point: &[u8]) -> Result<DecodingKey, UnusableKey> {
    if point.len() != 1 + 2 * COORDINATE || point[0] != 4 {
        return Err(UnusableKey::Malformed);
    }
    Ok(DecodingKey::from_ec_der(point))
}

fn edwards(point: &[u8]) -> Result<DecodingKey, UnusableKey> {
    if point.len() == COORDINATE { Ok(DecodingKey::from_ed_der(point)) } else { Err(UnusableKey::Malformed) }
}
