//! The configuration in the words of `gaung-cluster`.

use gaung_cluster::{
    NodeId,
    bus::{Auth, BusSettings, BusTls},
    core,
};

use crate::config::{ClusterConfig, Login};

/// The release, as peers and the NATS servers see it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the bus of the node `node` is told.
pub fn of(config: &ClusterConfig, node: NodeId) -> BusSettings {
    let tls = config.tls.clone();
    let core = core::Settings {
        node,
        version: VERSION.into(),
        expected_nodes: config.expected_nodes,
        reach: config.reach,
        page: core::PAGE,
    };
    BusSettings {
        servers: config.servers.clone(),
        auth: auth(&config.login),
        tls: BusTls { required: tls.required, ca: tls.ca, cert: tls.cert, key: tls.key },
        subjects: config.subjects.clone(),
        core,
        version: VERSION,
        max_queued_events: config.max_queued_events,
    }
}

fn auth(login: &Login) -> Auth {
    match login {
        Login::Nobody => Auth::None,
        Login::User { user, password } => Auth::User { user: user.clone(), password: password.expose().to_owned() },
        Login::Token(token) => Auth::Token(token.expose().to_owned()),
        Login::Credentials(path) => Auth::Credentials(path.clone()),
    }
}
