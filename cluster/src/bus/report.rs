//! Turns the client's connection events into log lines, counts and the last error. Called from the client's own tasks.
//! Shows no secret and no room name: addresses are host and port, of subjects only the class.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
};

use async_nats::{ClientError, ConnectErrorKind, Event, Server, ServerError};
use tokio::sync::Notify;

use super::{settings::BusSettings, status::Gauges};
use crate::{
    seldom::Seldom,
    subject::{Subject, Subjects},
};

#[derive(Debug)]
pub(super) struct Report {
    role: &'static str,
    login: &'static str,
    subjects: Subjects,
    gauges: Arc<Gauges>,
    changed: Notify,
    failures: Seldom<30>,
    slowness: Seldom<30>,
    refusals: Seldom<30>,
    attempts: Mutex<HashMap<String, usize>>,
}

impl Report {
    pub(super) fn new(settings: &BusSettings, role: &'static str, gauges: Arc<Gauges>) -> Self {
        Self {
            role,
            login: settings.auth.settings(),
            subjects: settings.subjects.clone(),
            gauges,
            changed: Notify::new(),
            failures: Seldom::default(),
            slowness: Seldom::default(),
            refusals: Seldom::default(),
            attempts: Mutex::default(),
        }
    }

    pub(super) fn role(&self) -> &'static str {
        self.role
    }

    /// Waits until the connection may have changed. The client can lose its events: they are hints.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.reconnected(),
            Event::Disconnected | Event::Closed => self.changed.notify_one(),
            Event::LameDuckMode => tracing::info!(role = self.role, "the NATS server is shutting down"),
            Event::Draining => {}
            Event::SlowConsumer(_) => self.report_slow_consumer(),
            Event::ServerError(error) => self.report_rejection(error),
            Event::ClientError(error) => self.report_client_error(error),
        }
    }

    /// Takes the servers before an attempt to connect; those that failed since the previous attempt say why.
    pub(super) fn attempt(&self, servers: &[Server]) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for server in servers {
            let address = format!("{}:{}", server.addr.host(), server.addr.port());
            let before = attempts.insert(address.clone(), server.failed_attempts).unwrap_or(0);
            if let Some(error) = server.last_error.as_deref().filter(|_| server.failed_attempts > before) {
                self.report_failure(&address, error);
            }
        }
    }

    /// Says of what no server tells the end that it is over, once it has not been for a while. To be called now and then.
    pub(super) fn settle(&self) {
        let role = self.role;
        if self.refusals.faded() {
            tracing::info!(role, "the NATS server has not rejected an operation for a while");
        }
        if self.slowness.faded() {
            tracing::info!(role, "messages from NATS are read in time again");
        }
    }

    /// The last error stands until the bus is healthy: a connection may carry nothing.
    fn reconnected(&self) {
        if self.failures.reset() {
            tracing::info!(role = self.role, "the NATS server takes the connection now");
        }
        self.changed.notify_one();
    }

    fn report_failure(&self, address: &str, error: &str) {
        let role = self.role;
        if is_login(error) {
            let login = self.login;
            self.gauges.set_error(Some(format!("the NATS server {address} refuses our login; check {login}: {error}")));
            if self.failures.count().is_some() {
                tracing::error!(role, address, error, "the NATS server refuses our login; check {login}");
            }
            return;
        }
        let error = plain_error(error);
        self.gauges.set_error(Some(format!("no connection to the NATS server {address}: {error}")));
        if self.failures.count().is_some() {
            tracing::warn!(role, address, error, "no connection to the NATS server; retrying");
        }
    }

    fn report_slow_consumer(&self) {
        let dropped = self.gauges.slow_consumers.fetch_add(1, Relaxed) + 1;
        if self.slowness.count().is_some() {
            tracing::warn!(
                role = self.role,
                dropped,
                "messages from NATS arrive faster than they are read; what was dropped is requested again"
            );
        }
    }

    fn report_rejection(&self, error: &ServerError) {
        let text = match error {
            ServerError::Other(text) => self.without_names(text),
            ServerError::AuthorizationViolation | ServerError::SlowConsumer(_) => error.to_string(),
        };
        if self.refusals.count().is_some() {
            tracing::error!(role = self.role, error = text, "the NATS server rejected an operation");
        }
        self.gauges.set_error(Some(format!("the NATS server rejected an operation: {text}")));
    }

    /// Failed attempts are reported in `attempt`, except for names that do not resolve.
    fn report_client_error(&self, error: &ClientError) {
        match error {
            ClientError::Other(kind) if *kind != ConnectErrorKind::Dns.to_string() => {}
            ClientError::Other(_) | ClientError::MaxReconnects | ClientError::ServerNotInPool => {
                self.report_failure("of GAUNG_NATS_URL", &error.to_string());
            }
        }
    }

    /// A server's text with the class of the subject in place of the subject.
    fn without_names(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once('"') else { return text.to_owned() };
        let (name, after) = rest.split_once('"').unwrap_or((rest, ""));
        let class = match self.subjects.read(name) {
            Some(Subject::State) => "the state subject",
            Some(Subject::Node(_)) => "a node's subject",
            Some(Subject::Room(_)) => "a room's subject",
            None => "a subject outside this cluster",
        };
        format!("{before}{class}{after}")
    }
}

/// Replaces rustls' error for a server that answers in plain text by one that an operator can act on.
fn plain_error(error: &str) -> &str {
    let is_plain = error.contains("InvalidContentType");
    if is_plain { "it does not speak TLS, which GAUNG_NATS_TLS or tls:// asks for" } else { error }
}

fn is_login(error: &str) -> bool {
    let kinds = [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];
    kinds.iter().any(|kind| error.starts_with(&kind.to_string()))
}
