//! Whose certificates a TLS client believes: those in a PEM file, and what they have signed.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Has the store believe the certificates of a PEM file too, or says what is wrong with the file.
pub fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let mut count = 0;
    for certificate in certificates {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        count += 1;
    }
    if count == 0 { Err("the file holds no certificate".to_owned()) } else { Ok(()) }
}

/// A TLS client (1.2 and 1.3) that believes what the store has, and nobody else.
pub fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
