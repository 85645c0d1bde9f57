//! TLS of the public listener, for those without a proxy. The certificate is read again when its files change; sockets
//! that are open keep the one with which they began. Knows neither actix nor sockets.

mod error;
#[cfg(test)]
pub(crate) mod folder;
mod pem;
pub mod trust;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, Once, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::{error, info};

pub use error::TlsError;
pub use pem::{PemFile, PemPair};

use crate::{
    files::{self, Follower, Look},
    metrics::Metrics,
};

/// How often the files are looked at.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// The certificate and key that new connections get, and the files they come from.
pub struct Certificate {
    files: PemPair,
    current: ArcSwap<CertifiedKey>,
    /// Of what the files held at the last look, good or bad, so that a broken pair is reported once; `None` while one
    /// of them could not be read. Contents and not times are compared: a mounted secret is swapped by a symbolic link,
    /// and a copy may keep its time.
    seen: Mutex<Option<[u8; 32]>>,
}

/// What a look at the files found.
#[derive(Debug)]
pub enum Refresh {
    /// The files are as they were at the last look.
    Unchanged,
    /// New connections get the new certificate.
    Applied,
    /// The files changed and cannot be used; the old certificate stays.
    Refused(TlsError),
}

/// Makes `ring` the process's provider of cryptography, once. Needed before any TLS client is built.
pub fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    // The only refusal is that a provider is there already, which is what is wanted.
    ONCE.call_once(|| drop(ring::default_provider().install_default()));
}

/// The configuration of a TLS listener (TLS 1.2 and 1.3; HTTP/1.1, because WebSocket upgrades need it), and the
/// certificate behind it, which is to be given to [`watch`]. Clients get tickets, with which they come back for less; what
/// they send with one before the handshake is done (0-RTT) is not taken, because others could repeat it.
pub fn server_config(cert: &Path, key: &Path) -> Result<(Arc<ServerConfig>, Arc<Certificate>), TlsError> {
    let certificate = Arc::new(Certificate::load(cert, key)?);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_no_client_auth()
        .with_cert_resolver(certificate.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Its keys are this process's, whatever certificate is in force, and replaced every six hours.
    config.ticketer = ring::Ticketer::new().expect("the operating system gives random bytes");
    Ok((Arc::new(config), certificate))
}

/// Looks at the files once a second for as long as the future is polled, and puts a changed certificate in force.
pub fn watch(certificate: Arc<Certificate>, metrics: Metrics) -> (Follower, impl Future<Output = ()>) {
    let (looked_at, counts) = (certificate.clone(), metrics.clone());
    let look = move |look| match look {
        Look::Routine => looked_at.refresh(),
        Look::Asked => looked_at.read_again(),
    };
    files::follow("certificate", WATCH_PERIOD, metrics, look, move |refresh| certificate.report(&refresh, &counts))
}

impl Certificate {
    fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = PemPair {
            cert: PemFile { setting: "GAUNG_TLS_CERT", path: cert.to_owned() },
            key: PemFile { setting: "GAUNG_TLS_KEY", path: key.to_owned() },
        };
        let reads = files.clone();
        let contents = files::read_in_time(move || reads.read());
        let contents = contents.map_err(|error| TlsError::Unreadable(files.cert.clone(), error))??;
        let current = ArcSwap::from_pointee(files.parse(&contents)?);
        Ok(Self { files, current, seen: Mutex::new(Some(contents.fingerprint())) })
    }

    /// Looks at the files and puts them in force if they changed. Blocks for as long as reading them takes.
    pub fn refresh(&self) -> Refresh {
        let contents = self.files.read();
        let now = contents.as_ref().ok().map(pem::Contents::fingerprint);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Refresh::Unchanged;
        }
        *seen = now;
        drop(seen);
        self.put_in_force(contents)
    }

    /// Puts the files in force whatever they held at the last look. Blocks for as long as reading them takes.
    pub fn read_again(&self) -> Refresh {
        let contents = self.files.read();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            contents.as_ref().ok().map(pem::Contents::fingerprint);
        self.put_in_force(contents)
    }

    fn put_in_force(&self, contents: Result<pem::Contents, TlsError>) -> Refresh {
        match contents.and_then(|contents| self.files.parse(&contents)) {
            Ok(certified_key) => {
                self.current.store(Arc::new(certified_key));
                Refresh::Applied
            }
            Err(error) => Refresh::Refused(error),
        }
    }

    fn report(&self, refresh: &Refresh, metrics: &Metrics) {
        match refresh {
            Refresh::Unchanged => {}
            Refresh::Applied => {
                metrics.reloads.with_label_values(&["applied"]).inc();
                info!(file = %self.files.cert, "certificate reloaded");
            }
            Refresh::Refused(error) => {
                metrics.reloads.with_label_values(&["refused"]).inc();
                error!(%error, "the changed certificate cannot be used; the old one stays in force");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.files.cert)
    }
}

/// Certificates are made with the `openssl` command and presented to a real TLS client.
#[cfg(test)]
mod tests {
    use std::{fs, time::Instant};

    use rustls::{
        ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName},
        version,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    use super::{folder::Folder, *};
    use crate::tls_stream::TlsStream;

    /// A client that trusts `trusted` alone and speaks these versions of TLS.
    fn client(trusted: CertificateDer<'static>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(client)
    }

    /// Connects and hears a word; the protocol agreed on and the kind of handshake, or why it failed.
    async fn connect(
        server: &Arc<ServerConfig>,
        client: &Arc<ClientConfig>,
    ) -> Result<(Vec<u8>, HandshakeKind), String> {
        let (near, far) = tokio::io::duplex(16_384);
        let name = ServerName::try_from("localhost").unwrap();
        let connect = TlsConnector::from(client.clone()).connect(name, near);
        let (client, server) = tokio::join!(connect, TlsStream::accept(server.clone(), far));
        let mut stream = client.map_err(|error| error.to_string())?;
        server.unwrap().write_all(b"word").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        let connection = stream.get_ref().1;
        let protocol = connection.alpn_protocol().expect("a protocol was agreed on");
        Ok((protocol.to_vec(), connection.handshake_kind().unwrap()))
    }

    /// Connects as a client that trusts `trusted` alone; the protocol agreed on, or why the handshake failed.
    async fn shake_hands(server: Arc<ServerConfig>, trusted: CertificateDer<'static>) -> Result<Vec<u8>, String> {
        connect(&server, &client(trusted, rustls::DEFAULT_VERSIONS)).await.map(|(protocol, _)| protocol)
    }

    #[actix::test]
    async fn a_client_that_comes_back_shakes_hands_for_less_also_when_the_certificate_was_replaced() {
        let folder = Folder::with_certificate("tickets");
        let (server, certificate) = folder.load().unwrap();
        // Each thread has a configuration of its own.
        let other_thread = Arc::new((*server).clone());
        let clients = [&version::TLS13, &version::TLS12].map(|version| client(folder.der(), &[version]));
        for client in &clients {
            assert_eq!(connect(&server, client).await.unwrap().1, HandshakeKind::Full);
            assert_eq!(connect(&other_thread, client).await.unwrap().1, HandshakeKind::Resumed);
        }
        folder.issue();
        assert!(matches!(certificate.refresh(), Refresh::Applied));
        for client in &clients {
            assert_eq!(connect(&server, client).await.unwrap().1, HandshakeKind::Resumed);
        }
        assert_eq!(server.max_early_data_size, 0);
    }

    #[actix::test]
    async fn a_ticket_of_another_process_is_no_reason_to_refuse_its_client() {
        let folder = Folder::with_certificate("other-process");
        let client = client(folder.der(), rustls::DEFAULT_VERSIONS);
        for _ in 0..2 {
            let (server, _) = folder.load().unwrap();
            assert_eq!(connect(&server, &client).await.unwrap().1, HandshakeKind::Full);
        }
    }

    #[actix::test]
    async fn a_client_that_trusts_the_certificate_agrees_on_http_1_1() {
        let folder = Folder::with_certificate("agrees");
        let (server, _) = folder.load().unwrap();
        assert_eq!(shake_hands(server, folder.der()).await, Ok(b"http/1.1".to_vec()));
    }

    #[actix::test]
    async fn replaced_files_are_presented_to_the_next_client() {
        let folder = Folder::with_certificate("replaced");
        let (server, certificate) = folder.load().unwrap();
        let old = folder.der();
        folder.issue();
        assert!(matches!(certificate.refresh(), Refresh::Applied));
        assert!(matches!(certificate.refresh(), Refresh::Unchanged));
        assert!(matches!(certificate.read_again(), Refresh::Applied));
        assert_eq!(shake_hands(server.clone(), folder.der()).await, Ok(b"http/1.1".to_vec()));
        assert!(shake_hands(server, old).await.is_err());
    }

    #[actix::test]
    async fn the_watch_finds_replaced_files_by_itself_and_counts_the_reload() {
        let folder = Folder::with_certificate("watched");
        let (server, certificate) = folder.load().unwrap();
        let metrics = Metrics::new();
        let applied = metrics.reloads.with_label_values(&["applied"]);
        let (_follower, work) = watch(certificate, metrics.clone());
        let watch = actix::spawn(work);
        folder.issue();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while applied.get() == 0 {
            assert!(Instant::now() < deadline, "the new certificate was not found");
            look.tick().await;
        }
        watch.abort();
        assert_eq!(shake_hands(server, folder.der()).await, Ok(b"http/1.1".to_vec()));
    }

    #[actix::test]
    async fn a_broken_pair_is_refused_once_and_the_old_certificate_stays() {
        let folder = Folder::with_certificate("broken");
        let (server, certificate) = folder.load().unwrap();
        let old = folder.der();
        fs::write(folder.cert(), "not a certificate").unwrap();
        let metrics = Metrics::new();
        for _ in 0..3 {
            certificate.report(&certificate.refresh(), &metrics);
        }
        assert_eq!(metrics.reloads.with_label_values(&["refused"]).get(), 1);
        assert_eq!(shake_hands(server, old).await, Ok(b"http/1.1".to_vec()));
    }

    #[test]
    fn files_that_vanish_and_come_back_unchanged_are_taken_again() {
        let folder = Folder::with_certificate("back");
        let (_, certificate) = folder.load().unwrap();
        let pem = fs::read(folder.cert()).unwrap();
        fs::remove_file(folder.cert()).unwrap();
        assert!(matches!(certificate.refresh(), Refresh::Refused(TlsError::Unreadable(..))));
        fs::write(folder.cert(), pem).unwrap();
        assert!(matches!(certificate.refresh(), Refresh::Applied));
    }

    #[test]
    fn a_missing_file_is_named_with_its_setting() {
        let folder = Folder::with_certificate("missing");
        fs::remove_file(folder.key()).unwrap();
        assert_eq!(folder.refusal(), "cannot read key.pem (GAUNG_TLS_KEY): No such file or directory (os error 2)");
    }

    #[test]
    fn a_certificate_file_without_one_is_named() {
        let folder = Folder::with_certificate("no-certificate");
        fs::copy(folder.key(), folder.cert()).unwrap();
        assert_eq!(
            folder.refusal(),
            "no certificate in cert.pem (GAUNG_TLS_CERT); expected PEM: the server's certificate first, then its chain"
        );
    }

    #[test]
    fn a_key_file_without_one_is_named() {
        let folder = Folder::with_certificate("no-key");
        fs::copy(folder.cert(), folder.key()).unwrap();
        assert_eq!(folder.refusal(), "no private key in key.pem (GAUNG_TLS_KEY); expected PEM, not encrypted");
    }

    #[test]
    fn another_certificates_key_is_named_as_such() {
        let folder = Folder::with_certificate("mismatch");
        let other = Folder::with_certificate("mismatch-other");
        fs::copy(other.key(), folder.key()).unwrap();
        assert_eq!(
            folder.refusal(),
            "the key in key.pem (GAUNG_TLS_KEY) does not belong to the certificate in cert.pem (GAUNG_TLS_CERT)"
        );
    }

    #[test]
    fn a_file_cut_short_is_named() {
        let folder = Folder::with_certificate("cut");
        let pem = fs::read(folder.cert()).unwrap();
        fs::write(folder.cert(), &pem[..pem.len() / 2]).unwrap();
        assert!(folder.refusal().starts_with("cert.pem (GAUNG_TLS_CERT) is not valid PEM: "), "{}", folder.refusal());
    }
}
