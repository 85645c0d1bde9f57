//! The way to the servers, encrypted, with certificates that openssl makes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gaung_cluster::bus::{BusSettings, BusTls};

use crate::{node::Node, server::NatsServer};

/// A CA and what it signed, in a folder.
struct Authority {
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let authority = Self { folder };
        authority.openssl(&format!("req -x509 -subj /CN={name} -days 1 -keyout ca.key -out ca.pem"));
        authority.sign("server", "subjectAltName=IP:127.0.0.1");
        authority.sign("client", "extendedKeyUsage=clientAuth");
        authority
    }

    fn sign(&self, name: &str, extension: &str) {
        fs::write(self.file(&format!("{name}.ext")), extension).unwrap();
        self.openssl(&format!("req -new -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let mut command = Command::new("openssl");
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -out {name}.pem -extfile {name}.ext"
        );
        command.args(sign.split(' ')).current_dir(&self.folder);
        assert!(command.output().expect("openssl must be on the PATH").status.success());
    }

    /// Makes a key beside whatever else it makes.
    fn openssl(&self, request: &str) {
        let mut command = Command::new("openssl");
        command.args(request.split(' ')).args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        let output = command.current_dir(&self.folder).output().expect("openssl must be on the PATH");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A server's configuration that asks for certificates of this CA.
    fn config(&self) -> String {
        let file = |name| self.file(name).display().to_string();
        let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true }}")
    }

    fn client(&self) -> BusTls {
        let file = |name| Some(self.file(name));
        BusTls { required: true, ca: file("ca.pem"), cert: file("client.pem"), key: file("client.key") }
    }
}

fn on_tls(server: &NatsServer, tls: BusTls) -> Node {
    Node::start_with(BusSettings { tls, ..server.settings() })
}

#[tokio::test]
async fn nodes_reach_one_another_over_tls_with_certificates_on_both_sides() {
    let mut server = NatsServer::absent();
    let authority = Authority::new(server.folder(), "ours");
    server.restart_with(&authority.config());
    let nodes = [on_tls(&server, authority.client()), on_tls(&server, authority.client())];
    for node in &nodes {
        node.until("it sees the other", |core| core.peers().count() == 1).await;
    }
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let mut server = NatsServer::absent();
    let (ours, theirs) = (Authority::new(server.folder(), "ours"), Authority::new(server.folder(), "theirs"));
    server.restart_with(&theirs.config());
    let node = on_tls(&server, BusTls { ca: ours.client().ca, ..theirs.client() });
    let is_untrusted = |error: &str| error.contains("UnknownIssuer");
    node.until_status("it refuses the server", |status| status.last_error.as_deref().is_some_and(is_untrusted)).await;
    assert!(!node.link.status().connected);
}

#[tokio::test]
async fn a_node_without_a_certificate_is_not_let_in() {
    let mut server = NatsServer::absent();
    let authority = Authority::new(server.folder(), "ours");
    server.restart_with(&authority.config());
    let node = on_tls(&server, BusTls { cert: None, key: None, ..authority.client() });
    let status = node.until_status("the refusal is known", |status| status.last_error.is_some()).await;
    assert!(!status.connected, "{status:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = NatsServer::start();
    let node = on_tls(&server, BusTls { required: true, ..BusTls::default() });
    let status = node.until_status("the refusal is known", |status| status.last_error.is_some()).await;
    assert!(!status.connected, "{status:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let mut server = NatsServer::absent();
    let authority = Authority::new(server.folder(), "ours");
    server.restart_with(&authority.config());
    let node = on_tls(&server, BusTls { ca: Some(authority.file("none.pem")), ..authority.client() });
    let status = node.until_status("the failure is known", |status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap().contains("No such file"));
}
