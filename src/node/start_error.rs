//! Why a node did not start, in the words that its operator reads.

use std::{fmt, io, net::SocketAddr};

use gaung_cluster::bus::InvalidServer;

use crate::{descriptors::TooFew, tls};

/// Why a node did not start. The operator must act.
#[derive(Debug)]
pub enum StartError {
    Listen {
        address: SocketAddr,
        /// The variables that set it.
        settings: &'static str,
        error: io::Error,
    },
    Tls(tls::TlsError),
    /// `GAUNG_CA` cannot be used.
    Trust(String),
    /// `GAUNG_NATS_URL` names no server.
    Cluster(InvalidServer),
    /// There are not enough descriptors to serve anybody.
    Descriptors(TooFew),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, settings, error } => write!(f, "cannot listen on {address} ({settings}): {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::Descriptors(error) => error.fmt(f),
            Self::Trust(error) => f.write_str(error),
            Self::Cluster(error) => write!(f, "cannot join the cluster (GAUNG_NATS_URL): {error}"),
        }
    }
}

impl std::error::Error for StartError {}
