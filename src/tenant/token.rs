//! Access tokens: JWTs (RFC 7519). Those that the application signs, with HS256 and one of the app's secrets, are verified
//! here; `issued` verifies those that others sign, and has their claims read here. Pure: the caller brings the clock.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, errors::ErrorKind};
use serde_json::{Map, Value};

use super::{InvalidTenantId, TenantId, Term, TokenAlgorithms};
use crate::protocol::{AppKey, ChannelPattern, InvalidPattern};

/// How far the application's clock may be behind or ahead of ours.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// The most characters of a user id (protocol.md §1.9).
const MAX_USER_ID_LENGTH: usize = 128;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Claim `tenant_id`, a string or a whole number.
    pub tenant_id: TenantId,
    /// Claim `user_id`, a string or a whole number of at most 128 characters.
    pub user_id: Option<String>,
    /// Claim `channels`: the private and presence channels that the socket may hear.
    pub channels: Vec<ChannelPattern>,
    /// Claims `iat` and `exp`.
    pub term: Term,
}

/// Why a token was refused. Texts never repeat any part of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url with JSON in the first two.
    #[error("the token is not a JWT")]
    NotAToken,
    #[error("the token's algorithm is not {0}")]
    Algorithm(TokenAlgorithms),
    #[error("the token's signature does not match the app's secret")]
    Signature,
    #[error("the token's signature does not match the issuer's key")]
    IssuersSignature,
    /// Newer keys of the issuer may know it.
    #[error("the token is signed with none of the issuer's keys")]
    UnknownKey,
    #[error("the token's header has crit, which is not understood")]
    Critical,
    #[error("the token's issuer is not the one of GAUNG_TENANT_TOKEN_ISSUER")]
    Issuer,
    #[error("the token's audience is none of GAUNG_TENANT_TOKEN_AUDIENCE")]
    Audience,
    #[error("the token has no claim {0}")]
    Missing(String),
    #[error("the token's claim {0} has the wrong type")]
    WrongType(String),
    #[error("the token's tenant is invalid: {0}")]
    Tenant(InvalidTenantId),
    #[error("the token's user must have 1 to {MAX_USER_ID_LENGTH} characters")]
    User,
    #[error("the token's channels are invalid: {0}")]
    Channels(InvalidPattern),
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
}

/// Which claims say whose a token is and what it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    pub tenant: String,
    pub user: String,
    pub channels: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { tenant: "tenant_id".to_owned(), user: "user_id".to_owned(), channels: "channels".to_owned() }
    }
}

impl AccessToken {
    /// Verifies signature and times of a token that the application has signed with HS256, and reads the claims. `now` is
    /// the time since the Unix epoch; clocks may differ by 30 s.
    pub fn verify(token: &str, keys: &[AppKey], now: Duration) -> Result<Self, TokenError> {
        Self::of_claims(&signed_claims(token, keys)?, &ClaimNames::default(), now)
    }

    /// Checks the times of a verified token and reads its claims.
    pub(super) fn of_claims(
        claims: &Map<String, Value>,
        names: &ClaimNames,
        now: Duration,
    ) -> Result<Self, TokenError> {
        let term = term_of(claims, now)?;
        let missing = || TokenError::Missing(names.tenant.clone());
        let tenant_id = text_of(claims, &names.tenant)?.ok_or_else(missing)?;
        let tenant_id = TenantId::parse(&tenant_id).map_err(TokenError::Tenant)?;
        let user_id = text_of(claims, &names.user)?;
        if user_id.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > MAX_USER_ID_LENGTH) {
            return Err(TokenError::User);
        }
        Ok(Self { tenant_id, user_id, channels: patterns_of(claims, &names.channels)?, term })
    }

    /// Whether the ids in the socket's address are the token's. An id that only one of the two names is no contradiction:
    /// a user id that the token does not vouch for is a mere label.
    pub fn matches_query(&self, tenant: &TenantId, user: Option<&str>) -> bool {
        let same_user = match (&self.user_id, user) {
            (Some(claimed), Some(asked)) => claimed == asked,
            (None, _) | (_, None) => true,
        };
        self.tenant_id == *tenant && same_user
    }
}

/// The claims, if any of the secrets has signed them.
fn signed_claims(token: &str, keys: &[AppKey]) -> Result<Map<String, Value>, TokenError> {
    let validation = signature_only(Algorithm::HS256);
    for key in keys {
        let secret = DecodingKey::from_secret(key.secret.expose().as_bytes());
        match decode(token, &secret, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => match reason(error.kind()) {
                TokenError::Signature => continue,
                other => return Err(other),
            },
        }
    }
    Err(TokenError::Signature)
}

/// What the library is to verify: a signature with this algorithm, and nothing else. It would ask the clock; `term_of`
/// compares with the caller's.
pub(super) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

/// An algorithm that the library does not know, `none` among them, is JSON to it that does not fit.
fn reason(kind: &ErrorKind) -> TokenError {
    let algorithm = || TokenError::Algorithm(TokenAlgorithms::default());
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => algorithm(),
        ErrorKind::Json(error) if error.to_string().starts_with("unknown variant") => algorithm(),
        _ => TokenError::NotAToken,
    }
}

/// When the token was issued and when it ends, if its time has come and is not over.
fn term_of(claims: &Map<String, Value>, now: Duration) -> Result<Term, TokenError> {
    let (seconds, leeway) = (now.as_secs_f64(), LEEWAY.as_secs_f64());
    let expires = seconds_of(claims, "exp")?.ok_or_else(|| TokenError::Missing("exp".to_owned()))?;
    if seconds >= expires + leeway {
        return Err(TokenError::Expired);
    }
    if seconds_of(claims, "nbf")?.is_some_and(|begins| seconds + leeway < begins) {
        return Err(TokenError::NotYet);
    }
    let issued = seconds_of(claims, "iat")?.map_or(now, since_epoch);
    Ok(Term { issued, expires: since_epoch(expires) })
}

/// A date before 1970 is taken for its beginning, one that no clock reaches for the last one.
fn since_epoch(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

fn seconds_of(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    let Some(claim) = claims.get(name) else { return Ok(None) };
    claim.as_f64().map(Some).ok_or_else(|| wrong_type(name))
}

fn wrong_type(name: &str) -> TokenError {
    TokenError::WrongType(name.to_owned())
}

/// A string claim, or a whole number as its digits; `null` is absent.
fn text_of(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
        Some(Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(wrong_type(name)),
    }
}

fn patterns_of(claims: &Map<String, Value>, name: &str) -> Result<Vec<ChannelPattern>, TokenError> {
    let Some(claim) = claims.get(name).filter(|claim| !claim.is_null()) else { return Ok(Vec::new()) };
    let patterns = claim.as_array().ok_or_else(|| wrong_type(name))?;
    patterns
        .iter()
        .map(|pattern| {
            let pattern = pattern.as_str().ok_or_else(|| wrong_type(name))?;
            ChannelPattern::parse(pattern).map_err(TokenError::Channels)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppSettings;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn verify(token: &str) -> Result<AccessToken, TokenError> {
        AccessToken::verify(token, &AppSettings::new("key", "secret").keys, NOW)
    }

    fn missing(name: &str) -> TokenError {
        TokenError::Missing(name.to_owned())
    }

    fn check(claims: Value, expected: Result<(), TokenError>) {
        let verified = verify(&signed(Algorithm::HS256, "secret", &claims));
        assert_eq!(verified.map(|_| ()), expected, "{claims}");
    }

    #[test]
    fn a_token_says_tenant_user_and_channels() {
        let claims = json!({"tenant_id": "7", "user_id": "u1", "channels": ["private-*.7"], "exp": 1_700_000_060});
        assert_eq!(
            verify(&signed(Algorithm::HS256, "secret", &claims)),
            Ok(AccessToken {
                tenant_id: TenantId::parse("7").unwrap(),
                user_id: Some("u1".to_owned()),
                channels: vec![ChannelPattern::parse("private-*.7").unwrap()],
                term: Term { issued: NOW, expires: Duration::from_secs(1_700_000_060) },
            })
        );
    }

    #[test]
    fn numbers_are_ids_too() {
        let claims = json!({"tenant_id": 7, "user_id": 42, "exp": 1_700_000_060});
        let token = verify(&signed(Algorithm::HS256, "secret", &claims)).unwrap();
        assert_eq!((token.tenant_id.as_str(), token.user_id.as_deref()), ("7", Some("42")));
    }

    #[test]
    fn the_time_must_not_be_over_by_more_than_the_leeway() {
        check(json!({"tenant_id": "7", "exp": 1_700_000_000 - 29}), Ok(()));
        check(json!({"tenant_id": "7", "exp": 1_700_000_000 - 30}), Err(TokenError::Expired));
        check(json!({"tenant_id": "7", "exp": 1_699_999_970.5}), Ok(()));
        check(json!({"tenant_id": "7", "exp": 1_700_000_060, "nbf": 1_700_000_030}), Ok(()));
        check(json!({"tenant_id": "7", "exp": 1_700_000_060, "nbf": 1_700_000_031}), Err(TokenError::NotYet));
    }

    #[test]
    fn its_term_is_what_it_says_of_its_times() {
        let exp = 1_700_000_060.5;
        let term = |others: Value| {
            let claims =
                json!({"tenant_id": "7", "exp": others.get("exp").unwrap_or(&json!(exp)), "iat": others["iat"]});
            let mut claims = claims.as_object().cloned().unwrap();
            claims.retain(|_, claim| !claim.is_null());
            verify(&signed(Algorithm::HS256, "secret", &claims.into())).map(|token| token.term)
        };
        let expires = Duration::from_millis(1_700_000_060_500);
        assert_eq!(term(json!({})), Ok(Term { issued: NOW, expires }));
        let issued = Duration::from_secs(1_699_999_000);
        assert_eq!(term(json!({"iat": 1_699_999_000})), Ok(Term { issued, expires }));
        assert_eq!(term(json!({"iat": -1})), Ok(Term { issued: Duration::ZERO, expires }));
        assert_eq!(term(json!({"exp": 1e300})), Ok(Term { issued: NOW, expires: Duration::MAX }));
        assert_eq!(term(json!({"iat": "now"})), Err(wrong_type("iat")));
    }

    #[test]
    fn each_claim_is_checked() {
        check(json!({"tenant_id": "7"}), Err(missing("exp")));
        check(json!({"tenant_id": "7", "exp": "soon"}), Err(wrong_type("exp")));
        check(json!({"tenant_id": "7", "exp": null}), Err(wrong_type("exp")));
        let exp = 1_700_000_060;
        check(json!({"exp": exp}), Err(missing("tenant_id")));
        check(json!({"tenant_id": 7.5, "exp": exp}), Err(wrong_type("tenant_id")));
        check(json!({"tenant_id": ["7"], "exp": exp}), Err(wrong_type("tenant_id")));
        let dot = InvalidTenantId::Character('.');
        check(json!({"tenant_id": "7.8", "exp": exp}), Err(TokenError::Tenant(dot)));
        check(json!({"tenant_id": "7", "user_id": null, "exp": exp}), Ok(()));
        check(json!({"tenant_id": "7", "user_id": true, "exp": exp}), Err(wrong_type("user_id")));
        check(json!({"tenant_id": "7", "user_id": "", "exp": exp}), Err(TokenError::User));
        check(json!({"tenant_id": "7", "user_id": "é".repeat(128), "exp": exp}), Ok(()));
        check(json!({"tenant_id": "7", "user_id": "x".repeat(129), "exp": exp}), Err(TokenError::User));
        check(json!({"tenant_id": "7", "channels": "*", "exp": exp}), Err(wrong_type("channels")));
        check(json!({"tenant_id": "7", "channels": [7], "exp": exp}), Err(wrong_type("channels")));
        let blank = ChannelPattern::parse(" ").unwrap_err();
        check(json!({"tenant_id": "7", "channels": [" "], "exp": exp}), Err(TokenError::Channels(blank)));
    }

    #[test]
    fn claims_for_other_parties_do_not_disturb() {
        check(json!({"tenant_id": "7", "exp": 1_700_000_060, "aud": "shop", "iss": "laravel", "iat": 1}), Ok(()));
    }

    #[test]
    fn any_secret_of_the_app_signs_and_no_other() {
        let mut keys = AppSettings::new("old", "old-secret").keys;
        keys.extend(AppSettings::new("new", "new-secret").keys);
        let claims = json!({"tenant_id": "7", "exp": 1_700_000_060});
        for (secret, valid) in [("old-secret", true), ("new-secret", true), ("old", false), ("", false)] {
            let verified = AccessToken::verify(&signed(Algorithm::HS256, secret, &claims), &keys, NOW);
            assert_eq!(verified.is_ok(), valid, "{secret}");
        }
    }

    #[test]
    fn other_algorithms_are_refused_even_with_the_right_secret() {
        let claims = json!({"tenant_id": "7", "exp": 1_700_000_060});
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(
                verify(&signed(algorithm, "secret", &claims)),
                Err(TokenError::Algorithm(TokenAlgorithms::default())),
                "{algorithm:?}"
            );
        }
        // {"alg":"none"} and {"alg":"RS256"}, each with {"tenant_id":"7","exp":1700000060}.
        let payload = "eyJ0ZW5hbnRfaWQiOiI3IiwiZXhwIjoxNzAwMDAwMDYwfQ";
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJSUzI1NiJ9"] {
            assert_eq!(
                verify(&format!("{header}.{payload}.")),
                Err(TokenError::Algorithm(TokenAlgorithms::default())),
                "{header}"
            );
            assert_eq!(
                verify(&format!("{header}.{payload}.AAAA")),
                Err(TokenError::Algorithm(TokenAlgorithms::default())),
                "{header}"
            );
        }
    }

    #[test]
    fn a_changed_payload_breaks_the_signature() {
        let token = signed(Algorithm::HS256, "secret", &json!({"tenant_id": "7", "exp": 1_700_000_060}));
        let forged = signed(Algorithm::HS256, "other", &json!({"tenant_id": "8", "exp": 1_700_000_060}));
        let signature = token.rsplit('.').next().unwrap();
        let (message, _) = forged.rsplit_once('.').unwrap();
        assert_eq!(verify(&format!("{message}.{signature}")), Err(TokenError::Signature));
    }

    #[test]
    fn anything_else_is_no_token() {
        for text in ["", "a", "a.b.c", "..", "e30.e30.e30", "....", "é.é.é"] {
            assert_eq!(verify(text), Err(TokenError::NotAToken), "{text:?}");
        }
    }

    #[test]
    fn the_ids_of_the_address_must_not_contradict_the_token() {
        let token = |user: Value| {
            verify(&signed(
                Algorithm::HS256,
                "secret",
                &json!({"tenant_id": "7", "user_id": user, "exp": 1_700_000_060}),
            ))
            .unwrap()
        };
        let (seven, eight) = (TenantId::parse("7").unwrap(), TenantId::parse("8").unwrap());
        assert!(token(json!("1")).matches_query(&seven, Some("1")));
        assert!(token(json!("1")).matches_query(&seven, None));
        assert!(token(json!(null)).matches_query(&seven, Some("1")));
        assert!(!token(json!("1")).matches_query(&seven, Some("2")));
        assert!(!token(json!("1")).matches_query(&eight, Some("1")));
    }
}
