//! Whose certificates a command believes, where they are not those of public authorities.

use std::{path::Path, sync::Arc};

use gaung::tls::trust;
use rustls::{ClientConfig, RootCertStore};

use super::Failure;

/// A TLS client that believes the certificates in a PEM file, and what they have signed, and nobody else.
pub(super) fn only(file: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    trust::add_file(&mut roots, file).map_err(|error| Failure::usage(format!("--ca {}: {error}", file.display())))?;
    Ok(trust::client_config(roots))
}

/// A TLS client that believes nobody: to hear whether TLS is spoken at all.
pub(super) fn nobody() -> Arc<ClientConfig> {
    trust::client_config(RootCertStore::empty())
}
