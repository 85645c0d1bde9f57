//! What no cluster variable can tell by itself.

use std::{fs, net::IpAddr, path::PathBuf};

use super::{ClusterConfig, Environment, Form, Login, Problems};

/// Without NATS, everything else about the cluster is a mistake: the operator meant many nodes and would get one.
pub(super) fn alone(environment: &Environment, problems: &mut Problems) {
    for variable in ClusterConfig::variables() {
        if environment.get(variable.name).is_some() {
            problems.add(format!(
                "{} is set but GAUNG_NATS_URL is not; without it the node is alone and in no cluster",
                variable.name
            ));
        }
    }
}

/// A file that cannot be read now would be told of much later, by a connection that fails.
pub(super) fn files(form: &Form, problems: &mut Problems) {
    let files: [(&str, &Option<PathBuf>); 4] = [
        ("GAUNG_NATS_CREDENTIALS", &form.nats_credentials),
        ("GAUNG_NATS_CA", &form.nats_ca),
        ("GAUNG_NATS_CERT", &form.nats_cert),
        ("GAUNG_NATS_KEY", &form.nats_key),
    ];
    for (name, file) in files {
        let Some(Err(error)) = file.as_ref().map(fs::read) else { continue };
        problems.add(format!("{name} is {:?}; it cannot be read: {error}", file.as_deref().unwrap_or("".as_ref())));
    }
}

/// A certificate is nothing without its key.
pub(super) fn tls(form: &Form, problems: &mut Problems) {
    let missing = match (&form.nats_cert, &form.nats_key) {
        (Some(_), None) => "GAUNG_NATS_KEY",
        (None, Some(_)) => "GAUNG_NATS_CERT",
        (Some(_), Some(_)) | (None, None) => return,
    };
    problems.add(format!(
        "{missing} is not set; a certificate of the node's own needs both GAUNG_NATS_CERT and GAUNG_NATS_KEY"
    ));
}

/// What is allowed but may not be meant.
pub(in crate::config) fn warning(cluster: &ClusterConfig) -> Option<String> {
    let is_known = cluster.login != Login::Nobody || cluster.tls.cert.is_some();
    let server = cluster.servers.iter().find(|server| !is_loopback(server)).filter(|_| !is_known)?;
    Some(format!(
        "GAUNG_NATS_URL has {server} but the node does not log in there: whoever reaches it may read and publish every \
         event; set GAUNG_NATS_USER and GAUNG_NATS_PASSWORD, GAUNG_NATS_TOKEN or GAUNG_NATS_CREDENTIALS"
    ))
}

/// Whether an address `scheme://host:port` is this machine's own.
fn is_loopback(address: &str) -> bool {
    let host = address.split_once("://").and_then(|(_, server)| server.rsplit_once(':')).map(|(host, _)| host);
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
