//! A certificate authority of the test's own, and what it has signed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::new_folder;

/// A folder with an authority, a certificate for loopback and one for a client.
pub struct Certificates(PathBuf);

impl Certificates {
    pub fn make() -> Self {
        let folder = new_folder("certificates");
        let made = Self(folder);
        made.openssl(&format!("req -x509 {KEY} -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
        for name in ["server", "client"] {
            made.openssl(&format!("req {KEY} -new -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            fs::write(made.path("extensions"), EXTENSIONS).expect("the folder is writable");
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"
            ));
        }
        made
    }

    /// The path of a file: `ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The path as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("the path is text").to_owned()
    }

    /// The block of a nats-server's configuration that presents our certificate; `more` stands inside it.
    pub fn nats_block(&self, more: &str) -> String {
        let (cert, key, ca) = (self.text("server.pem"), self.text("server.key"), self.text("ca.pem"));
        format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?} {more} }}\n")
    }

    fn openssl(&self, arguments: &str) {
        let made = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(Path::new(&self.0))
            .output()
            .expect("the openssl command is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        // What is left is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const EXTENSIONS: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";
