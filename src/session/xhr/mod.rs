//! Sessions over the HTTP transports of pusher-js (protocol.md §1.17): what their clients are sent stands in the answers to
//! `receives`, one after the other, what they send comes in requests of its own, on any connection and any thread. Between
//! the two stands a session like all others, with an `outbox` and a `wire`. In a cluster a request may come to a node that
//! does not have the session.

pub mod path;
mod receive;
mod sends;
mod sessions;
mod shared;
mod wire;

use std::time::Duration;

use sha2::{Digest, Sha256};

pub use receive::{Received, receive};
pub use sessions::{Unsent, XhrSessions};

/// How long a session is kept between two answers, and how long a closed one waits for somebody whom it can tell.
const GAP: Duration = Duration::from_secs(10);

/// After which time an answer in which nothing stands gets a sign of life. Proxies usually cut after a minute.
const QUIET: Duration = Duration::from_secs(25);

/// What a session is known by, on all nodes: a hash, for its path may have a resume id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XhrKey(pub [u8; 16]);

impl XhrKey {
    fn of(session: &str) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(session)[..16]);
        Self(key)
    }
}

#[cfg(test)]
mod tests;
