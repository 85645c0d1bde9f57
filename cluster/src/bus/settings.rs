//! Settings of the bus. Passwords and tokens are never shown.

use std::{fmt, path::PathBuf};

use super::permits::Limits;
use crate::{core, subject::Subjects};

/// Servers, login, TLS, subjects and limits.
#[derive(Debug, Clone)]
pub struct BusSettings {
    /// The NATS servers, as `nats://host:port` or `tls://host:port`; at least one.
    pub servers: Vec<String>,
    pub auth: Auth,
    pub tls: BusTls,
    pub subjects: Subjects,
    pub core: core::Settings,
    /// This release, as shown in the server's list of connections.
    pub version: &'static str,
    /// Bounds of events in flight to NATS; beyond them [`super::Link::reserve`] fails.
    pub limits: Limits,
}

/// How a node logs in to NATS.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// No login.
    None,
    /// `GAUNG_NATS_USER` and `GAUNG_NATS_PASSWORD`.
    User { user: String, password: String },
    /// `GAUNG_NATS_TOKEN`.
    Token(String),
    /// `GAUNG_NATS_CREDENTIALS`: a file with a user's JWT and its seed, read anew for each connection.
    Credentials(PathBuf),
}

/// TLS to NATS. A server with the scheme `tls://` requires it in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusTls {
    /// Whether a server that offers no TLS is refused.
    pub required: bool,
    /// PEM file with the certificates to trust; the system's if there is none.
    pub ca: Option<PathBuf>,
    /// PEM file with our own certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file with its private key.
    pub key: Option<PathBuf>,
}

impl Auth {
    /// The settings that an operator corrects when the server rejects the login.
    pub(super) fn settings(&self) -> &'static str {
        match self {
            Self::None => "GAUNG_NATS_USER and GAUNG_NATS_PASSWORD, GAUNG_NATS_TOKEN or GAUNG_NATS_CREDENTIALS",
            Self::User { .. } => "GAUNG_NATS_USER and GAUNG_NATS_PASSWORD",
            Self::Token(_) => "GAUNG_NATS_TOKEN",
            Self::Credentials(_) => "GAUNG_NATS_CREDENTIALS",
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::User { user, .. } => f.debug_struct("User").field("user", user).finish_non_exhaustive(),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::Credentials(path) => f.debug_tuple("Credentials").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_password_nor_a_token_is_shown() {
        let user = Auth::User { user: "gaung".to_owned(), password: "s3cret".to_owned() };
        assert_eq!(format!("{user:?}"), r#"User { user: "gaung", .. }"#);
        assert_eq!(format!("{:?}", Auth::Token("s3cret".to_owned())), "Token(..)");
    }
}
