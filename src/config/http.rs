//! What the public listener grants to requests and their connections.

use std::{fmt::Display, time::Duration};

use serde::Deserialize;

use super::{Rule::Number, Variable, fields};

const MIB: u64 = 1_048_576;

/// HTTP on the public listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct HttpConfig {
    /// `GAUNG_MAX_HELD_BODY_BYTES` (67,108,864): request bodies that the node holds at one time.
    pub max_held_body_bytes: usize,
    /// `GAUNG_KEEP_ALIVE_SECONDS` (630): how long an HTTP connection may be idle. Google's balancers reuse theirs for 600 s
    /// and want the server's to outlast 620.
    #[serde(rename = "keep_alive_seconds", deserialize_with = "fields::seconds")]
    pub keep_alive: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { max_held_body_bytes: 67_108_864, keep_alive: Duration::from_secs(630) }
    }
}

impl HttpConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let default = Self::default();
        let rows: [(_, &dyn Display, _, _); 2] = [
            (
                "GAUNG_MAX_HELD_BODY_BYTES",
                &default.max_held_body_bytes,
                Number(MIB..=MIB * 65_536),
                "request bodies that the node holds at one time; over it the API answers 503",
            ),
            (
                "GAUNG_KEEP_ALIVE_SECONDS",
                &default.keep_alive.as_secs(),
                Number(1..=86_400),
                "how long an HTTP connection may be idle; longer than balancers reuse theirs",
            ),
        ];
        rows.map(Variable::from).into()
    }
}
