//! Who signs the tokens of tenant sockets: the application, or somebody else whose public keys are known.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{Problems, Rule, Variable, fields};
use crate::{
    files,
    tenant::{ClaimNames, KeySet, TokenAlgorithms, TokenRules},
};

/// Tokens that others sign.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IssuerConfig {
    /// `GAUNG_TENANT_TOKEN_ALGORITHMS` (HS256): what tokens may be signed with.
    #[serde(rename = "token_algorithms", deserialize_with = "fields::token_algorithms")]
    pub algorithms: TokenAlgorithms,
    /// `GAUNG_TENANT_JWKS_URL`: where the issuer publishes its keys.
    pub jwks_url: Option<String>,
    /// `GAUNG_TENANT_JWKS_SECONDS` (300): how often they are read.
    #[serde(rename = "jwks_seconds", deserialize_with = "fields::seconds")]
    pub jwks_interval: Duration,
    /// `GAUNG_TENANT_JWKS_PAUSE_SECONDS` (10): how soon they are read again for an unknown key, or after a failure.
    #[serde(rename = "jwks_pause_seconds", deserialize_with = "fields::seconds")]
    pub jwks_pause: Duration,
    /// `GAUNG_TENANT_JWKS_KEEP_SECONDS` (86,400): for how long they hold if they cannot be read again.
    #[serde(rename = "jwks_keep_seconds", deserialize_with = "fields::seconds")]
    pub jwks_keep: Duration,
    /// `GAUNG_TENANT_PUBLIC_KEY`: public keys in PEM.
    pub public_key: Option<String>,
    /// `GAUNG_TENANT_PUBLIC_KEY_FILE`: a file with them, read at the start.
    pub public_key_file: Option<PathBuf>,
    /// `GAUNG_TENANT_TOKEN_ISSUER`: their claim `iss`.
    #[serde(rename = "token_issuer")]
    pub issuer: Option<String>,
    /// `GAUNG_TENANT_TOKEN_AUDIENCE`: one of them must be in their claim `aud`.
    #[serde(rename = "token_audience", deserialize_with = "fields::list")]
    pub audiences: Vec<String>,
    /// `GAUNG_TENANT_TOKEN_TENANT_CLAIM` (`tenant_id`)
    #[serde(rename = "token_tenant_claim")]
    pub tenant_claim: String,
    /// `GAUNG_TENANT_TOKEN_USER_CLAIM` (`user_id`)
    #[serde(rename = "token_user_claim")]
    pub user_claim: String,
    /// `GAUNG_TENANT_TOKEN_CHANNELS_CLAIM` (`channels`)
    #[serde(rename = "token_channels_claim")]
    pub channels_claim: String,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        let ClaimNames { tenant, user, channels } = ClaimNames::default();
        Self {
            algorithms: TokenAlgorithms::default(),
            jwks_url: None,
            jwks_interval: Duration::from_secs(300),
            jwks_pause: Duration::from_secs(10),
            jwks_keep: Duration::from_secs(86_400),
            public_key: None,
            public_key_file: None,
            issuer: None,
            audiences: Vec::new(),
            tenant_claim: tenant,
            user_claim: user,
            channels_claim: channels,
        }
    }
}

impl IssuerConfig {
    /// What tokens must be like.
    pub fn rules(&self) -> TokenRules {
        let claims = ClaimNames {
            tenant: self.tenant_claim.clone(),
            user: self.user_claim.clone(),
            channels: self.channels_claim.clone(),
        };
        TokenRules {
            algorithms: self.algorithms.clone(),
            issuer: self.issuer.clone(),
            audiences: self.audiences.clone(),
            claims,
        }
    }

    /// The keys that are configured. The error says which variable cannot be used, and why.
    pub fn keys(&self) -> Result<KeySet, String> {
        let mut keys = KeySet::default();
        if let Some(pem) = &self.public_key {
            let read = KeySet::from_pem(pem.as_bytes(), &self.algorithms);
            keys = keys.and(&read.map_err(|error| format!("GAUNG_TENANT_PUBLIC_KEY cannot be used: {error}"))?);
        }
        if let Some(path) = &self.public_key_file {
            let told = |error: String| format!("GAUNG_TENANT_PUBLIC_KEY_FILE is {path:?}; it cannot be used: {error}");
            let file = path.clone();
            let pem = files::read_in_time(move || files::read(&file)).and_then(|read| read);
            let pem = pem.map_err(|error| told(error.to_string()))?;
            let read = KeySet::from_pem(&pem, &self.algorithms);
            keys = keys.and(&read.map_err(|error| told(error.to_string()))?);
        }
        Ok(keys)
    }

    /// Finds contradictions, and keys that cannot be used.
    pub(super) fn check(&self, problems: &mut Problems) {
        let has_keys = self.jwks_url.is_some() || self.public_key.is_some() || self.public_key_file.is_some();
        if !self.algorithms.any_public() {
            if has_keys || self.rules() != (TokenRules { algorithms: self.algorithms.clone(), ..TokenRules::default() })
            {
                problems.add(format!(
                    "GAUNG_TENANT_TOKEN_ALGORITHMS is {}, but keys, issuer, audience or claims of tokens that others sign \
                     are set; add RS256, ES256 or EdDSA, or unset them",
                    self.algorithms
                ));
            }
            return;
        }
        if !has_keys {
            problems.add(format!(
                "GAUNG_TENANT_JWKS_URL is not set; GAUNG_TENANT_TOKEN_ALGORITHMS={} needs it, or GAUNG_TENANT_PUBLIC_KEY \
                 or GAUNG_TENANT_PUBLIC_KEY_FILE",
                self.algorithms
            ));
        }
        if let Err(problem) = self.keys() {
            problems.add(problem);
        }
        if self.jwks_keep < self.jwks_interval {
            problems.add(format!(
                "GAUNG_TENANT_JWKS_KEEP_SECONDS is {}; it must be at least GAUNG_TENANT_JWKS_SECONDS, {}",
                self.jwks_keep.as_secs(),
                self.jwks_interval.as_secs()
            ));
        }
    }

    /// What is allowed but may not be meant: an issuer signs tokens for many who are not we.
    pub(super) fn warning(&self) -> Option<String> {
        (self.algorithms.any_public() && self.audiences.is_empty()).then(|| {
            "GAUNG_TENANT_TOKEN_AUDIENCE is not set: a token that the issuer has signed for another application opens tenant \
             sockets too, if it names a tenant"
                .to_owned()
        })
    }

    pub(super) fn variables() -> Vec<Variable> {
        [Self::key_variables(), Self::claim_variables()].concat()
    }

    fn key_variables() -> Vec<Variable> {
        let default = Self::default();
        vec![
            Variable::new(
                "GAUNG_TENANT_TOKEN_ALGORITHMS",
                &default.algorithms,
                Rule::TokenAlgorithms,
                "what tokens may be signed with: HS256 with a secret of the app, the others with a key of the issuer",
            ),
            Variable::new("GAUNG_TENANT_JWKS_URL", "", Rule::Url, "URL of the issuer's public keys, as a JWK set"),
            Variable::new(
                "GAUNG_TENANT_JWKS_SECONDS",
                default.jwks_interval.as_secs(),
                Rule::Number(30..=3_600),
                "how often they are read",
            ),
            Variable::new(
                "GAUNG_TENANT_JWKS_PAUSE_SECONDS",
                default.jwks_pause.as_secs(),
                Rule::Number(1..=300),
                "how soon they are read again for a token with an unknown key, or after a failure",
            ),
            Variable::new(
                "GAUNG_TENANT_JWKS_KEEP_SECONDS",
                default.jwks_keep.as_secs(),
                Rule::Number(60..=31_536_000),
                "how long they hold if they cannot be read again",
            ),
            Variable::new(
                "GAUNG_TENANT_PUBLIC_KEY",
                "",
                Rule::PublicKeys,
                "public keys of an issuer without a URL, or beside it; a line break may be written as \\n",
            ),
            Variable::new("GAUNG_TENANT_PUBLIC_KEY_FILE", "", Rule::Path, "PEM file with such keys, read at the start"),
        ]
    }

    fn claim_variables() -> Vec<Variable> {
        let default = Self::default();
        vec![
            Variable::new("GAUNG_TENANT_TOKEN_ISSUER", "", Rule::Text, "claim iss of tokens that others sign"),
            Variable::new("GAUNG_TENANT_TOKEN_AUDIENCE", "", Rule::List, "of these one must be in their claim aud"),
            Variable::new(
                "GAUNG_TENANT_TOKEN_TENANT_CLAIM",
                default.tenant_claim,
                Rule::Text,
                "name of their claim with the tenant's id",
            ),
            Variable::new(
                "GAUNG_TENANT_TOKEN_USER_CLAIM",
                default.user_claim,
                Rule::Text,
                "name of their claim with the user's id",
            ),
            Variable::new(
                "GAUNG_TENANT_TOKEN_CHANNELS_CLAIM",
                default.channels_claim,
                Rule::Text,
                "name of their claim with a list of patterns of private and presence channels",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{APP, good, load_pairs, refused};

    /// The Ed25519 key of RFC 8037 appendix A.2, as a file of variables has it.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n\
                       -----END PUBLIC KEY-----";

    const EVERY: [(&str, &str); 11] = [
        ("GAUNG_TENANT_TOKEN_ALGORITHMS", "RS256, EdDSA"),
        ("GAUNG_TENANT_JWKS_URL", "https://issuer.example/jwks"),
        ("GAUNG_TENANT_JWKS_SECONDS", "61"),
        ("GAUNG_TENANT_JWKS_PAUSE_SECONDS", "62"),
        ("GAUNG_TENANT_JWKS_KEEP_SECONDS", "63"),
        ("GAUNG_TENANT_PUBLIC_KEY", KEY),
        ("GAUNG_TENANT_TOKEN_ISSUER", "https://issuer.example/"),
        ("GAUNG_TENANT_TOKEN_AUDIENCE", "shop, https://api.example"),
        ("GAUNG_TENANT_TOKEN_TENANT_CLAIM", "https://example.com/tenant"),
        ("GAUNG_TENANT_TOKEN_USER_CLAIM", "sub"),
        ("GAUNG_TENANT_TOKEN_CHANNELS_CLAIM", "rooms"),
    ];

    #[test]
    fn every_variable_reaches_its_field() {
        let expected = IssuerConfig {
            algorithms: TokenAlgorithms::parse("RS256,EdDSA").unwrap(),
            jwks_url: Some("https://issuer.example/jwks".to_owned()),
            jwks_interval: Duration::from_secs(61),
            jwks_pause: Duration::from_secs(62),
            jwks_keep: Duration::from_secs(63),
            public_key: Some(KEY.to_owned()),
            public_key_file: None,
            issuer: Some("https://issuer.example/".to_owned()),
            audiences: vec!["shop".to_owned(), "https://api.example".to_owned()],
            tenant_claim: "https://example.com/tenant".to_owned(),
            user_claim: "sub".to_owned(),
            channels_claim: "rooms".to_owned(),
        };
        let loaded = good(&EVERY);
        assert_eq!(loaded.config.issuer, expected);
        assert_eq!(loaded.config.issuer.keys().unwrap().len(), 1);
        assert_eq!(loaded.warnings, [""; 0]);
    }

    #[test]
    fn public_keys_and_their_algorithms_need_one_another() {
        const REST: &str = "but keys, issuer, audience or claims of tokens that others sign are set; add RS256, ES256 or \
                            EdDSA, or unset them";
        for set in EVERY.into_iter().filter(|(name, _)| !name.ends_with("_SECONDS") && !name.ends_with("_ALGORITHMS")) {
            refused(&[set], &[&format!("GAUNG_TENANT_TOKEN_ALGORITHMS is HS256, {REST}")]);
        }
        let needs = "GAUNG_TENANT_JWKS_URL is not set; GAUNG_TENANT_TOKEN_ALGORITHMS=HS256 or ES256 needs it, or \
                     GAUNG_TENANT_PUBLIC_KEY or GAUNG_TENANT_PUBLIC_KEY_FILE";
        refused(&[("GAUNG_TENANT_TOKEN_ALGORITHMS", "HS256,ES256")], &[needs]);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_told_by_its_variable_and_never_shown() {
        let with = |pair| [("GAUNG_TENANT_TOKEN_ALGORITHMS", "EdDSA"), pair];
        let problem = "GAUNG_TENANT_PUBLIC_KEY cannot be used: it holds no public key in PEM (BEGIN PUBLIC KEY)";
        refused(&with(("GAUNG_TENANT_PUBLIC_KEY", "-----BEGIN PRIVATE KEY----- s3cret")), &[problem]);
        let problem = "GAUNG_TENANT_PUBLIC_KEY_FILE is \"/none.pem\"; it cannot be used: No such file or directory (os \
                       error 2)";
        refused(&with(("GAUNG_TENANT_PUBLIC_KEY_FILE", "/none.pem")), &[problem]);
        let other = "GAUNG_TENANT_PUBLIC_KEY cannot be used: it has no key for RS256 (GAUNG_TENANT_TOKEN_ALGORITHMS) \
                     among 1";
        refused(&[("GAUNG_TENANT_TOKEN_ALGORITHMS", "RS256"), ("GAUNG_TENANT_PUBLIC_KEY", KEY)], &[other]);
        let shown = crate::config::describe(&load_pairs(&EVERY).unwrap());
        assert!(shown.contains("GAUNG_TENANT_PUBLIC_KEY=********  # environment"), "{shown}");
    }

    #[test]
    fn keys_hold_at_least_until_they_are_read_again() {
        let pairs = [&EVERY[..2], &[("GAUNG_TENANT_JWKS_KEEP_SECONDS", "299")]].concat();
        refused(&pairs, &["GAUNG_TENANT_JWKS_KEEP_SECONDS is 299; it must be at least GAUNG_TENANT_JWKS_SECONDS, 300"]);
    }

    #[test]
    fn tokens_for_anybody_are_warned_of() {
        let warned = |pairs: &[(&str, &str)]| good(&[&APP[..], pairs].concat()).warnings;
        let warning = "GAUNG_TENANT_TOKEN_AUDIENCE is not set: a token that the issuer has signed for another application \
                       opens tenant sockets too, if it names a tenant";
        assert_eq!(warned(&EVERY[..2]), [warning]);
        assert_eq!(warned(&[]), [""; 0]);
    }
}
