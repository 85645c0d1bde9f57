//! Why a measurement could not be made.

use std::{fmt, io, net::SocketAddr, time::Duration};

/// Why `gaung bench` gave up. It never prints figures of a measurement that went wrong.
#[derive(Debug)]
pub enum BenchError {
    /// The operating system refused something.
    Io {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: io::Error,
    },
    /// The server under test ended, or did not print its addresses.
    Start(String),
    /// A request was answered with another status than 200.
    Refused {
        /// The first line of the request, without its query.
        request: String,
        /// The status.
        status: u16,
    },
    /// A socket was not admitted or not subscribed; the server's own words.
    NotAdmitted(String),
    /// A node did not come to what it should.
    Disagrees {
        /// Where it is public.
        node: SocketAddr,
        /// What was counted.
        what: &'static str,
        /// How many it said last.
        actual: u64,
        /// How many it should have said.
        expected: u64,
    },
    /// Nothing arrived for a while although something was outstanding.
    Silent {
        /// What was waited for.
        waiting_for: &'static str,
        /// How many had come.
        done: u64,
        /// How many should come.
        expected: u64,
        /// How long nothing came.
        patience: Duration,
    },
}

impl BenchError {
    /// An error of the operating system while doing something.
    pub(super) fn io(doing: &'static str, error: io::Error) -> Self {
        Self::Io { doing, error }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => write!(f, "{doing}: {error}"),
            Self::Start(problem) => write!(f, "the process to measure did not start: {problem}"),
            Self::Refused { request, status } => write!(f, "{request} was answered with {status} instead of 200"),
            Self::NotAdmitted(answer) => write!(f, "the server did not admit a socket: {answer}"),
            Self::Disagrees { node, what, actual, expected } => {
                write!(f, "node {node} knows {actual} {what} instead of {expected}")
            }
            Self::Silent { waiting_for, done, expected, patience } => {
                write!(f, "{done} of {expected} {waiting_for} came, then nothing for {} s", patience.as_secs())
            }
        }
    }
}

impl std::error::Error for BenchError {}
