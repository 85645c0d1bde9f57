//! Why a node did not start, in the words that its operator reads.

use std::{io, net::SocketAddr};

use gaung_cluster::bus::InvalidServer;

use crate::{descriptors::TooFew, tls};

/// Why a node did not start. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address} ({settings}): {error}")]
    Listen {
        address: SocketAddr,
        /// The variables that set it.
        settings: &'static str,
        error: io::Error,
    },
    #[error("cannot share the ports with another process (GAUNG_REUSE_PORT): {0}")]
    ReusePort(io::Error),
    #[error(transparent)]
    Tls(tls::TlsError),
    /// `GAUNG_CA` cannot be used.
    #[error("{0}")]
    Trust(String),
    /// The public keys of an issuer cannot be used.
    #[error("{0}")]
    Issuer(String),
    #[error("cannot join the cluster (GAUNG_NATS_URL): {0}")]
    Cluster(InvalidServer),
    #[error(transparent)]
    Descriptors(TooFew),
}
