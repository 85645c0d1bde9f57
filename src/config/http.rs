//! What the public listener grants to requests and to connections that are no sockets (yet).

use std::{fmt::Display, time::Duration};

use serde::Deserialize;

use super::{
    Rule::{Number, Origins},
    Variable, fields,
};

const MIB: u64 = 1_048_576;

/// HTTP on the public listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct HttpConfig {
    /// `GAUNG_MAX_HELD_BODY_BYTES` (67,108,864): request bodies that the node holds at one time; one may always come.
    pub max_held_body_bytes: usize,
    /// `GAUNG_MAX_HTTP_CONNECTIONS` (16,384): connections that are no sockets: of HTTP, and before their upgrade.
    pub max_http_connections: usize,
    /// `GAUNG_KEEP_ALIVE_SECONDS` (630): how long an HTTP connection may be idle. Google's balancers reuse theirs for 600 s
    /// and want the server's to outlast 620.
    #[serde(rename = "keep_alive_seconds", deserialize_with = "fields::seconds")]
    pub keep_alive: Duration,
    /// `GAUNG_ANSWER_SECONDS` (10): how long a client may take nothing of its answer.
    #[serde(rename = "answer_seconds", deserialize_with = "fields::seconds")]
    pub answer_timeout: Duration,
    /// `GAUNG_CORS_ORIGINS` (none): hosts whose pages may read the API's answers, comma-separated, with `*`.
    #[serde(deserialize_with = "fields::list")]
    pub cors_origins: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_held_body_bytes: 67_108_864,
            max_http_connections: 16_384,
            keep_alive: Duration::from_secs(630),
            answer_timeout: Duration::from_secs(10),
            cors_origins: Vec::new(),
        }
    }
}

impl HttpConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let default = Self::default();
        let rows: [(_, &dyn Display, _, _); 5] = [
            (
                "GAUNG_MAX_HELD_BODY_BYTES",
                &default.max_held_body_bytes,
                Number(MIB..=MIB * 65_536),
                "request bodies that the node holds at one time, never less than one may have; over it the API answers 503",
            ),
            (
                "GAUNG_MAX_HTTP_CONNECTIONS",
                &default.max_http_connections,
                Number(16..=u64::from(u32::MAX)),
                "HTTP connections, and sockets before their upgrade; over it they are refused, over half of it none is kept alive",
            ),
            (
                "GAUNG_KEEP_ALIVE_SECONDS",
                &default.keep_alive.as_secs(),
                Number(1..=86_400),
                "how long an HTTP connection may be idle; longer than load balancers reuse theirs",
            ),
            (
                "GAUNG_ANSWER_SECONDS",
                &default.answer_timeout.as_secs(),
                Number(1..=300),
                "how long an HTTP client may read nothing of its answer before its connection is closed",
            ),
            (
                "GAUNG_CORS_ORIGINS",
                &"",
                Origins,
                "hosts whose pages may read the API's answers; unset: no page of another origin",
            ),
        ];
        rows.map(Variable::from).into()
    }
}
