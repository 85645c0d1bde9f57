//! What no cluster variable can tell by itself.

use std::{
    fs,
    net::IpAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use gaung_cluster::bus::Auth;

use super::{ClusterConfig, Environment, Form, Problems};
use crate::files;

/// How many nodes a cluster may be meant to have.
pub(super) const MANY_NODES: RangeInclusive<u64> = 1..=1_000;

/// Without NATS, everything else about the cluster is a mistake: the operator meant many nodes and would get one.
pub(super) fn alone(environment: &Environment, problems: &mut Problems) {
    for variable in ClusterConfig::variables() {
        if environment.get(variable.name).is_some() {
            problems.add(format!("{} is set but GAUNG_NATS_URL is not; without it the node is alone", variable.name));
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
        let Some(file) = file else { continue };
        if let Err(error) = fs::read(file) {
            problems.add(format!("{name} is {file:?}; it cannot be read: {error}"));
        }
    }
}

/// How many nodes the cluster is meant to have: what the file says, where there is one.
pub(super) fn nodes(form: &Form, environment: &Environment, problems: &mut Problems) -> usize {
    let Some(file) = &form.cluster_nodes_file else { return form.cluster_nodes };
    if environment.get("GAUNG_CLUSTER_NODES").is_some() {
        problems.add(
            "GAUNG_CLUSTER_NODES and GAUNG_CLUSTER_NODES_FILE are both set: set the one that is to be used".to_owned(),
        );
    }
    read_nodes(file).unwrap_or_else(|problem| {
        problems.add(format!("GAUNG_CLUSTER_NODES_FILE is {file:?}; {problem}"));
        form.cluster_nodes
    })
}

/// The number of nodes in a file, or what is wrong with it.
pub fn read_nodes(file: &Path) -> Result<usize, String> {
    let text = files::read_text(file).map_err(|error| format!("it cannot be read: {error}"))?;
    let number = text.trim().parse().ok().filter(|number| MANY_NODES.contains(number));
    let number = number.and_then(|number| usize::try_from(number).ok());
    let (least, most) = MANY_NODES.into_inner();
    let excerpt: String = text.trim().chars().take(20).collect();
    number.ok_or_else(|| format!("it must hold a whole number from {least} to {most}, and holds {excerpt:?}"))
}

/// A certificate is nothing without its key.
pub(super) fn tls(form: &Form, problems: &mut Problems) {
    let missing = match (&form.nats_cert, &form.nats_key) {
        (Some(_), None) => "GAUNG_NATS_KEY",
        (None, Some(_)) => "GAUNG_NATS_CERT",
        (Some(_), Some(_)) | (None, None) => return,
    };
    problems.add(format!("{missing} is not set; the node's certificate needs both GAUNG_NATS_CERT and GAUNG_NATS_KEY"));
}

/// What is allowed but may not be meant.
pub(in crate::config) fn warning(cluster: &ClusterConfig) -> Option<String> {
    let is_known = cluster.auth != Auth::None || cluster.tls.cert.is_some();
    let server = cluster.servers.iter().find(|server| !is_loopback(server)).filter(|_| !is_known)?;
    Some(format!(
        "the node does not log in to {server} (GAUNG_NATS_URL): anybody who reaches it may read and forge every event; set \
         GAUNG_NATS_USER and GAUNG_NATS_PASSWORD, GAUNG_NATS_TOKEN or GAUNG_NATS_CREDENTIALS"
    ))
}

/// Whether an address `scheme://host:port` is this machine's own.
fn is_loopback(address: &str) -> bool {
    let host = address.split_once("://").and_then(|(_, server)| server.rsplit_once(':')).map(|(host, _)| host);
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
