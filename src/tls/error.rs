//! Why TLS cannot be served. The operator reads these texts at the start and, after a bad renewal, in the log.

use std::io;

use rustls::pki_types::pem;

use super::{PemFile, PemPair};

/// What is wrong with the certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {0}: {1}")]
    Unreadable(PemFile, io::Error),
    #[error("{0} is not valid PEM: {1}")]
    Malformed(PemFile, pem::Error),
    #[error("no certificate in {0}; expected PEM: the server's certificate first, then its chain")]
    NoCertificate(PemFile),
    #[error("no private key in {0}; expected PEM, not encrypted")]
    NoKey(PemFile),
    #[error("the key in {} does not belong to the certificate in {}", .0.key, .0.cert)]
    KeyMismatch(Box<PemPair>),
    /// Both files are PEM, but the pair cannot be used: an unknown kind of key, a damaged certificate.
    #[error("{} and {} cannot be used: {}", .0.cert, .0.key, .1)]
    Unusable(Box<PemPair>, rustls::Error),
}
