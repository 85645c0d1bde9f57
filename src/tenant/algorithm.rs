//! What tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1). Which are accepted says the configuration, never a token.
//! Pure.

use std::fmt;

use jsonwebtoken::Algorithm;

/// A way to sign a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256 and a secret of the app.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA on Ed25519.
    EdDsa,
}

/// Those that are accepted, at least one. Only HS256 unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAlgorithms(Vec<TokenAlgorithm>);

impl TokenAlgorithm {
    /// All that can be chosen.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// As it stands in the header of a token.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether tokens are verified with a public key.
    pub fn is_public(self) -> bool {
        self != Self::Hs256
    }

    pub(super) fn in_library(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

impl TokenAlgorithms {
    /// Comma-separated names; `None` if one is unknown or there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let find = |name: &str| TokenAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name.trim());
        text.split(',').map(find).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The one of this name, if it is accepted.
    pub fn named(&self, name: &str) -> Option<TokenAlgorithm> {
        self.0.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    pub fn accepts(&self, algorithm: TokenAlgorithm) -> bool {
        self.0.contains(&algorithm)
    }

    /// Whether any needs public keys.
    pub fn any_public(&self) -> bool {
        self.0.iter().any(|algorithm| algorithm.is_public())
    }
}

impl Default for TokenAlgorithms {
    fn default() -> Self {
        Self(vec![TokenAlgorithm::Hs256])
    }
}

/// `RS256 or ES256`
impl fmt::Display for TokenAlgorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_standard_and_nothing_else_is_accepted() {
        assert_eq!(TokenAlgorithms::parse("HS256"), Some(TokenAlgorithms::default()));
        assert_eq!(TokenAlgorithms::parse("RS256, ES256,EdDSA").unwrap().to_string(), "RS256 or ES256 or EdDSA");
        for text in ["", "RS256,", "none", "rs256", "HS512", "RS256 ES256"] {
            assert_eq!(TokenAlgorithms::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_can_only_name_what_is_accepted() {
        let accepted = TokenAlgorithms::parse("RS256,HS256").unwrap();
        assert_eq!(accepted.named("RS256"), Some(TokenAlgorithm::Rs256));
        for name in ["ES256", "none", "rs256", ""] {
            assert_eq!(accepted.named(name), None, "{name}");
        }
    }
}
