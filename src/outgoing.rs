//! How this node asks applications: webhooks, access callbacks and keys of issuers go through clients of one kind.

use std::{path::Path, sync::Arc, time::Duration};

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use actix_web::http::Version;
use awc::{Client, ClientResponse, Connector, error::PayloadError};
use bytes::Bytes;
use futures_util::Stream;
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::tls::trust;

/// How long the body of an answer may take, where its status is all that counts: a client's own limit ends with the head.
const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// Whose certificates are believed: those of public authorities, and with `GAUNG_CA` those in its file.
#[derive(Debug, Clone, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

impl Trust {
    /// Public authorities, and the certificates in this PEM file where one is told. The error says what is wrong with it.
    pub fn new(ca: Option<&Path>) -> Result<Self, String> {
        let Some(file) = ca else { return Ok(Self::default()) };
        let mut roots = webpki_roots_cert_store();
        trust::add_file(&mut roots, file)
            .map_err(|error| format!("GAUNG_CA is {file:?}; it cannot be used: {error}"))?;
        Ok(Self(Some(trust::client_config(roots))))
    }

    /// A client with at most so many connections, 0 for any number; a request may take `timeout` from connect to the
    /// head of the answer. HTTP/1 only, because header names have no case in HTTP/2. Redirects are not followed: one leads to a
    /// login page that answers 200 to everybody.
    pub fn client(&self, timeout: Duration, connections: usize) -> Client {
        // To name the version would replace the trusted certificates; ours offers no other anyway.
        let connector = match &self.0 {
            Some(tls) => Connector::new().rustls_0_23(tls.clone()),
            None => Connector::new().max_http_version(Version::HTTP_11),
        };
        Client::builder().connector(connector.limit(connections)).disable_redirects().timeout(timeout).finish()
    }
}

/// The body of an answer whose status is all that counts; nothing where it is too long, too slow or broken, which costs the
/// connection and not the answer.
pub async fn body<S>(answer: &mut ClientResponse<S>, limit: usize) -> Bytes
where
    S: Stream<Item = Result<Bytes, PayloadError>>,
{
    let read = timeout(BODY_PATIENCE, answer.body().limit(limit)).await;
    read.ok().and_then(Result::ok).unwrap_or_default()
}
