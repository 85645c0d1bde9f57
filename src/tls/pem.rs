//! A certificate chain and its key, from two PEM files to a pair that is known to belong together.

use std::{fmt, path::PathBuf};

use rustls::{
    Error, InconsistentKeys,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};

use super::TlsError;
use crate::files;

/// A file, and the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFile {
    /// The variable to change when the file is the wrong one.
    pub setting: &'static str,
    pub path: PathBuf,
}

/// What the two files held at one moment.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// The two files that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemPair {
    /// `GAUNG_TLS_CERT`
    pub cert: PemFile,
    /// `GAUNG_TLS_KEY`
    pub key: PemFile,
}

impl PemPair {
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents { cert: self.cert.read()?, key: self.key.read()? })
    }

    /// The chain and the key, checked to belong together.
    pub(super) fn parse(&self, contents: &Contents) -> Result<CertifiedKey, TlsError> {
        let chain = self.cert.chain(&contents.cert)?;
        let key = self.key.private_key(&contents.key)?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| self.refusal(error))
    }

    fn refusal(&self, reason: Error) -> TlsError {
        if reason == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            return TlsError::KeyMismatch(Box::new(self.clone()));
        }
        TlsError::Unusable(Box::new(self.clone()), reason)
    }
}

impl Contents {
    /// A hash of both.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // The length parts the two: moving a line from one file to the other is a change.
        hash.update((self.cert.len() as u64).to_be_bytes());
        hash.update(&self.cert);
        hash.update(&self.key);
        hash.finalize().into()
    }
}

impl PemFile {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        files::read(&self.path).map_err(|error| TlsError::Unreadable(self.clone(), error))
    }

    fn chain(&self, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| self.malformed(error))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(self.clone()));
        }
        Ok(chain)
    }

    fn private_key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        match PrivateKeyDer::from_pem_slice(pem) {
            Ok(key) => Ok(key),
            Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey(self.clone())),
            Err(error) => Err(self.malformed(error)),
        }
    }

    fn malformed(&self, reason: pem::Error) -> TlsError {
        TlsError::Malformed(self.clone(), reason)
    }
}

impl fmt::Display for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.setting)
    }
}
