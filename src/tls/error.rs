//! Why TLS cannot be served. The operator reads these texts at the start and, after a bad renewal, in the log.

use std::{fmt, io};

use rustls::pki_types::pem;

use super::{PemFile, PemPair};

/// What is wrong with the certificate or its key.
#[derive(Debug)]
pub enum TlsError {
    /// The file is missing, or this process may not read it.
    Unreadable(PemFile, io::Error),
    /// The file is not PEM.
    Malformed(PemFile, pem::Error),
    NoCertificate(PemFile),
    /// The key's file holds none that can be read without a password.
    NoKey(PemFile),
    KeyMismatch(Box<PemPair>),
    /// Both files are PEM, but the pair cannot be used: an unknown kind of key, a damaged certificate.
    Unusable(Box<PemPair>, rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, reason) => write!(f, "cannot read {file}: {reason}"),
            Self::Malformed(file, reason) => write!(f, "{file} is not valid PEM: {reason}"),
            Self::NoCertificate(file) => {
                write!(f, "no certificate in {file}; expected PEM: the server's certificate first, then its chain")
            }
            Self::NoKey(file) => write!(f, "no private key in {file}; expected PEM, not encrypted"),
            Self::KeyMismatch(pair) => {
                write!(f, "the key in {} does not belong to the certificate in {}", pair.key, pair.cert)
            }
            Self::Unusable(pair, reason) => write!(f, "{} and {} cannot be used: {reason}", pair.cert, pair.key),
        }
    }
}

impl std::error::Error for TlsError {}
