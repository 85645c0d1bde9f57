//! Whose certificates a command believes, where they are not those of public authorities.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::Failure;

/// A TLS client that believes the certificates in a PEM file, and what they have signed, and nobody else.
pub fn only(file: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let refused = |why: &dyn std::fmt::Display| Failure::usage(format!("--ca {}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots.add(certificate).map_err(|error| refused(&error))?;
    }
    if roots.is_empty() {
        return Err(refused(&"the file holds no certificate"));
    }
    config(roots)
}

/// A TLS client that believes nobody: to hear whether TLS is spoken at all.
pub fn nobody() -> Result<Arc<ClientConfig>, Failure> {
    config(RootCertStore::empty())
}

fn config(roots: RootCertStore) -> Result<Arc<ClientConfig>, Failure> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Failure::new)?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
