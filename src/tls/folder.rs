//! Certificates for tests, made with the `openssl` command.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{Certificate, TlsError, server_config};

/// A directory of its own with a certificate file and a key file; removed at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gaung-tls-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn with_certificate(test: &str) -> Self {
        let folder = Self::new(test);
        folder.issue();
        folder
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// A new self-signed certificate for `localhost` with a new key, both in place of the old ones.
    pub(crate) fn issue(&self) {
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(' '))
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-out"])
            .arg(self.cert())
            .arg("-keyout")
            .arg(self.key())
            .output()
            .expect("the openssl command is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.cert()).unwrap()
    }

    pub(crate) fn load(&self) -> Result<(Arc<ServerConfig>, Arc<Certificate>), TlsError> {
        server_config(&self.cert(), &self.key())
    }

    /// The refusal's text, with the test's own directory left out.
    pub(crate) fn refusal(&self) -> String {
        self.load().expect_err("the pair is broken").to_string().replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
