//! Tokens of plain sockets, whoever signs them. The application signs with HS256 and its secret; an issuer, such as Keycloak
//! or Auth0, with a private key whose public half is known. Pure.
//!
//! Which algorithms are accepted is configured, and each public key has one of its own: the header of a token only says which
//! of them to try. A secret never verifies anything but HS256, a public key nothing but its algorithm.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{decode, errors::ErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{AccessToken, ClaimNames, KeySet, TokenAlgorithm, TokenAlgorithms, TokenError, token::signature_only};
use crate::protocol::AppKey;

/// What tokens must be like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRules {
    pub algorithms: TokenAlgorithms,
    /// Claim `iss` of tokens that others sign; `None` takes any.
    pub issuer: Option<String>,
    /// One of them must be in the claim `aud` of tokens that others sign; none at all takes any.
    pub audiences: Vec<String>,
    /// The claims of tokens that others sign.
    pub claims: ClaimNames,
}

/// The header of a token, as far as it matters here (RFC 7515 §4.1). Keys and addresses of keys in it are not looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl TokenRules {
    /// Verifies a token by the app's secrets or the issuer's keys, whichever its algorithm needs. `now` is the time since the
    /// Unix epoch; clocks may differ by 30 s.
    pub fn verify(
        &self,
        token: &str,
        secrets: &[AppKey],
        keys: &KeySet,
        now: Duration,
    ) -> Result<AccessToken, TokenError> {
        let header = Header::of(token)?;
        let algorithm = self.algorithms.named(&header.alg);
        let algorithm = algorithm.ok_or_else(|| TokenError::Algorithm(self.algorithms.clone()))?;
        if algorithm == TokenAlgorithm::Hs256 {
            return AccessToken::verify(token, secrets, now);
        }
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let claims = issued_claims(token, algorithm, header.kid.as_deref(), keys)?;
        self.check_parties(&claims)?;
        AccessToken::of_claims(&claims, &self.claims, now)
    }

    /// Whether the token is from the issuer and for us.
    fn check_parties(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let claim = |name| claims.get(name);
        if self.issuer.as_ref().is_some_and(|issuer| claim("iss").and_then(Value::as_str) != Some(issuer)) {
            return Err(TokenError::Issuer);
        }
        let is_ours = |audience: &Value| self.audiences.iter().any(|ours| audience.as_str() == Some(ours));
        let named = match claim("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if named || self.audiences.is_empty() { Ok(()) } else { Err(TokenError::Audience) }
    }
}

impl Header {
    fn of(token: &str) -> Result<Self, TokenError> {
        let (header, _) = token.split_once('.').ok_or(TokenError::NotAToken)?;
        let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenError::NotAToken)?;
        serde_json::from_slice(&json).map_err(|_| TokenError::NotAToken)
    }
}

/// The claims, if one of the keys that may have signed them has.
fn issued_claims(
    token: &str,
    algorithm: TokenAlgorithm,
    id: Option<&str>,
    keys: &KeySet,
) -> Result<Map<String, Value>, TokenError> {
    let validation = signature_only(algorithm.in_library());
    let mut refusal = TokenError::UnknownKey;
    for key in keys.of(algorithm, id) {
        match decode(token, key.in_library(), &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            // A key without a name may just not be the one that the token names.
            Err(error) if *error.kind() == ErrorKind::InvalidSignature => {
                if id.is_none() || key.id() == id {
                    refusal = TokenError::IssuersSignature;
                }
            }
            Err(_) => return Err(TokenError::NotAToken),
        }
    }
    Err(refusal)
}

#[cfg(test)]
mod tests;
