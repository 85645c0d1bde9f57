//! One export: a request to the collector, and what came of it.

use std::time::Duration;

use actix_web::http::{
    StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use awc::{Client, error::SendRequestError};
use bytes::Bytes;

use super::request;
use crate::{
    config::Collector as Place,
    outgoing::{self, Trust},
};

/// How long a request may take from its connect to the answer's end: the standard's default.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Answers after which the same spans may be sent again (OTLP 1.x, "Retryable Response Codes").
const RETRYABLE: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// Where spans are posted.
pub(super) struct Collector {
    client: Client,
    place: Place,
}

/// Why a post did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    #[error(transparent)]
    Network(SendRequestError),
}

impl Failure {
    /// Whether it may arrive later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => RETRYABLE.contains(status),
            Self::Network(_) => true,
        }
    }
}

impl Collector {
    /// To be called on the thread that exports.
    pub(super) fn new(trust: &Trust, place: Place) -> Self {
        Self { client: trust.client(TIMEOUT, 1), place }
    }

    /// For the log: a URL may carry a token.
    pub(super) fn host(&self) -> String {
        let uri: Option<Uri> = self.place.url.parse().ok();
        uri.as_ref().and_then(Uri::host).unwrap_or("invalid url").to_owned()
    }

    /// Posts a request; how many of its spans the collector has rejected.
    pub(super) async fn post(&self, body: Bytes) -> Result<usize, Failure> {
        let mut request = self.client.post(&self.place.url);
        for (name, value) in &self.place.headers {
            request = request.insert_header((name.as_str(), value.as_str()));
        }
        let request = request
            .insert_header((USER_AGENT, concat!("gaung/", env!("CARGO_PKG_VERSION"))))
            .insert_header((CONTENT_TYPE, "application/x-protobuf"));
        let mut response = request.send_body(body).await.map_err(Failure::Network)?;
        let answer = outgoing::body(&mut response, MAX_ANSWER_BYTES).await;
        match response.status() {
            status if status.is_success() => Ok(request::rejected(&answer)),
            status => Err(Failure::Status(status)),
        }
    }
}
