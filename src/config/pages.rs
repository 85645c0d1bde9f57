//! Clients that name themselves by a resume id, and are given back what they had when they come back.

use std::time::Duration;

use serde::Deserialize;

use super::{Rule, Variable, fields};

/// How long what is kept of pages lasts, and how often they are asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct PagesConfig {
    /// `GAUNG_RECEIPT_SECONDS` (5): how often a page that is sent something is asked whether it has heard it.
    #[serde(rename = "receipt_seconds", deserialize_with = "fields::seconds")]
    pub receipt_interval: Duration,
    /// `GAUNG_MEMBER_GRACE_SECONDS` (10): for how long the user of a page that lost its socket stays a member.
    #[serde(rename = "member_grace_seconds", deserialize_with = "fields::seconds")]
    pub member_grace: Duration,
    /// `GAUNG_SOCKET_ID_SECONDS` (3,600): for how long a page that comes back is given the same socket id.
    #[serde(rename = "socket_id_seconds", deserialize_with = "fields::seconds")]
    pub socket_id_lifetime: Duration,
    /// `GAUNG_PAGE_DOUBT_SECONDS` (60): for how long after its start a node tells pages that it does not know that they
    /// may have missed something.
    #[serde(rename = "page_doubt_seconds", deserialize_with = "fields::seconds")]
    pub doubt: Duration,
}

impl Default for PagesConfig {
    fn default() -> Self {
        Self {
            receipt_interval: Duration::from_secs(5),
            member_grace: Duration::from_secs(10),
            socket_id_lifetime: Duration::from_secs(3_600),
            doubt: Duration::from_secs(60),
        }
    }
}

impl PagesConfig {
    pub(super) fn variables() -> Vec<Variable> {
        let Self { receipt_interval, member_grace, socket_id_lifetime, doubt } = Self::default();
        vec![
            Variable::new(
                "GAUNG_RECEIPT_SECONDS",
                receipt_interval.as_secs(),
                Rule::Number(1..=60),
                "how often a page with a resume id that is sent something is asked whether it has heard it",
            ),
            Variable::new(
                "GAUNG_MEMBER_GRACE_SECONDS",
                member_grace.as_secs(),
                Rule::Number(0..=120),
                "how long the user of a page with a resume id that lost its socket stays a member",
            ),
            Variable::new(
                "GAUNG_SOCKET_ID_SECONDS",
                socket_id_lifetime.as_secs(),
                Rule::Number(0..=86_400),
                "how long a page with a resume id is given the same socket id; 0 gives a new one each time",
            ),
            Variable::new(
                "GAUNG_PAGE_DOUBT_SECONDS",
                doubt.as_secs(),
                Rule::Number(0..=3_600),
                "how long after its start a node tells pages whose resume id it does not know that they may have missed \
                 something",
            ),
        ]
    }
}
