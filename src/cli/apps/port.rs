//! The admin port's `/apps`, with the token.

use std::time::Duration;

use awc::http::{Method, header};
use gaung::{config::AdminConfig, protocol::Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::cli::{Failure, admin_port};

/// How long a change may take: the server waits for its file system, or for NATS.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the apps are, and who asks.
pub(super) struct Port {
    base: String,
    token: Option<Secret>,
}

/// What the app must be.
pub(super) enum Condition {
    New,
    Present,
    Revision(String),
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Port {
    pub(super) fn new(flag: Option<&str>, admin: &AdminConfig) -> Result<Self, Failure> {
        Ok(Self { base: admin_port::base(flag, admin)?, token: admin.token.clone() })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None, None).await
    }

    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        condition: Condition,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let condition = match condition {
            Condition::New => (header::IF_NONE_MATCH, "*".to_owned()),
            Condition::Present => (header::IF_MATCH, "*".to_owned()),
            Condition::Revision(revision) => (header::IF_MATCH, format!("\"{revision}\"")),
        };
        self.ask(method, path, Some(condition), body).await
    }

    /// What an answer is, once it has come.
    pub(super) fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T, Failure> {
        serde_json::from_value(answer)
            .map_err(|error| Failure::new(format!("{} did not answer with apps: {error}", self.base)))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        condition: Option<(header::HeaderName, String)>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.base);
        let with_headers = |mut request: awc::ClientRequest| {
            request = request.insert_header(("x-gaung-client", "cli")).content_type("application/json");
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.expose());
            }
            condition.into_iter().fold(request, awc::ClientRequest::insert_header)
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = admin_port::ask(method, &url, PATIENCE, with_headers, body).await?;
        if !answer.status.is_success() {
            let told = serde_json::from_str(&answer.body).map_or(answer.body, |Refused { error }| error);
            return Err(Failure::new(format!("{url} answers {}: {told}", answer.status.as_u16())));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer.body)
            .map_err(|error| Failure::new(format!("{url} did not answer with JSON: {error}")))
    }
}

/// A path below `/apps`.
pub(super) fn path(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| format!("/{}", utf8_percent_encode(part, NON_ALPHANUMERIC)));
    format!("/apps{}", parts.collect::<String>())
}
