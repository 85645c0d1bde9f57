//! One webhook request (protocol.md §4.1): its headers, its signature, its answer.

use std::{sync::Arc, time::Duration};

use actix_web::http::{
    StatusCode,
    header::{ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE, USER_AGENT},
};
use actix_web::web::Bytes;
use awc::{Client, ClientRequest, SendClientRequest, error::SendRequestError};
use gaung_cluster::TraceContext;

use crate::{
    config::{AppSettings, WebhookEndpoint},
    outgoing::{self, Trust},
    protocol::signature,
};

/// Bytes of an answer that are read, so that its connection can be used again. A longer answer costs the connection.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Headers that frame the message; an endpoint's own headers cannot set them.
const FRAMING: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE];

/// Why a post did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The endpoint answered with a status other than 2xx; redirects are not followed.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    #[error(transparent)]
    Network(SendRequestError),
}

/// The client for all endpoints. Without a limit of connections, because one would let slow endpoints hold up the others.
pub fn client(trust: &Trust, timeout: Duration) -> Client {
    trust.client(timeout, 0)
}

/// Starts a post, signed with the app's settings of now: a rotated key or a changed header holds for old posts too.
pub fn send(
    client: &Client,
    settings: &AppSettings,
    own: &WebhookEndpoint,
    body: Bytes,
    trace: Option<TraceContext>,
) -> SendClientRequest {
    let endpoint = current(&settings.webhooks, own);
    let mut request = client.post(&own.url).camel_case().insert_header((ACCEPT, "application/json"));
    request = request.insert_header((USER_AGENT, concat!("gaung/", env!("CARGO_PKG_VERSION"))));
    if let Some(trace) = trace {
        request = request.insert_header(("traceparent", trace.traceparent()));
    }
    for (name, value) in endpoint.headers.iter().filter(|(name, _)| !is_framing(name)) {
        request = request.insert_header((name.as_str(), value.as_str()));
    }
    sign(request, settings, &body).content_type("application/json").send_body(body)
}

/// Waits for the answer: 2xx is success, whatever its body. Returns the status.
pub async fn answer(sent: SendClientRequest) -> Result<StatusCode, Failure> {
    let mut response = sent.await.map_err(Failure::Network)?;
    let status = response.status();
    // For the sake of the connection.
    outgoing::body(&mut response, MAX_ANSWER_BYTES).await;
    if status.is_success() { Ok(status) } else { Err(Failure::Status(status)) }
}

/// The settings of an endpoint as the app lists them now; where it was taken off the list, those that it had.
fn current<'a>(listed: &'a [Arc<WebhookEndpoint>], own: &'a WebhookEndpoint) -> &'a WebhookEndpoint {
    let same = listed.iter().find(|endpoint| ***endpoint == *own);
    same.or_else(|| listed.iter().find(|endpoint| endpoint.url == own.url)).map_or(own, |endpoint| endpoint)
}

fn sign(request: ClientRequest, settings: &AppSettings, body: &[u8]) -> ClientRequest {
    let Some(pair) = settings.keys.first() else { return request };
    request
        .insert_header(("X-Pusher-Key", pair.key.as_str()))
        .insert_header(("X-Pusher-Signature", signature::hex_hmac(&pair.secret, body)))
}

fn is_framing(name: &str) -> bool {
    FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing.as_str()))
}

impl Failure {
    /// What the endpoint answered, if it did.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Network(_) => None,
        }
    }
}
