//! What the client tells of a connection, as log lines, counts and the last error. Called from the client's own tasks.
//! Shows no secret and no name of a room: addresses are host and port, subjects are told by their class.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use async_nats::{ClientError, ConnectErrorKind, Event, Server, ServerError};
use tokio::sync::Notify;

use super::{settings::BusSettings, status::Gauges};
use crate::subject::{Subject, Subjects};

/// The distance of lines about one kind of trouble.
const QUIET: Duration = Duration::from_secs(30);

/// One connection's report.
#[derive(Debug)]
pub(super) struct Report {
    role: &'static str,
    login: &'static str,
    subjects: Subjects,
    gauges: Arc<Gauges>,
    changed: Notify,
    failures: Rarely,
    slowness: Rarely,
    refusals: Rarely,
    attempts: Mutex<HashMap<String, usize>>,
}

/// Whether a line about some trouble is due.
#[derive(Debug, Default)]
struct Rarely(Mutex<Option<Instant>>);

impl Report {
    pub fn new(settings: &BusSettings, role: &'static str, gauges: Arc<Gauges>) -> Self {
        Self {
            role,
            login: settings.auth.settings(),
            subjects: settings.subjects.clone(),
            gauges,
            changed: Notify::new(),
            failures: Rarely::default(),
            slowness: Rarely::default(),
            refusals: Rarely::default(),
            attempts: Mutex::default(),
        }
    }

    pub fn role(&self) -> &'static str {
        self.role
    }

    /// Waits until the connection may have come or gone. The client can lose its events: they are hints.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes an event of the client.
    pub fn note(&self, event: &Event) {
        match event {
            Event::Connected => self.recover(),
            Event::Disconnected | Event::Closed => self.changed.notify_one(),
            Event::LameDuckMode => tracing::info!(role = self.role, "the NATS server is about to stop"),
            Event::Draining => {}
            Event::SlowConsumer(_) => self.lag(),
            Event::ServerError(error) => self.refuse(error),
            Event::ClientError(error) => self.fail(error),
        }
    }

    /// Takes the servers before an attempt to connect; those that failed since the attempt before say why.
    pub fn attempt(&self, servers: &[Server]) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for server in servers {
            let address = format!("{}:{}", server.addr.host(), server.addr.port());
            let before = attempts.insert(address.clone(), server.failed_attempts).unwrap_or(0);
            if let Some(error) = server.last_error.as_deref().filter(|_| server.failed_attempts > before) {
                self.complain(&address, error);
            }
        }
    }

    fn recover(&self) {
        self.failures.reset();
        self.gauges.set_error(None);
        self.changed.notify_one();
    }

    fn complain(&self, address: &str, error: &str) {
        let role = self.role;
        if is_login(error) {
            let login = self.login;
            self.gauges.set_error(Some(format!("the NATS server {address} refuses our login; check {login}: {error}")));
            if self.failures.is_due() {
                tracing::error!(role, address, error, "the NATS server refuses our login; check {login}");
            }
            return;
        }
        let error = without_riddle(error);
        self.gauges.set_error(Some(format!("no connection to the NATS server {address}: {error}")));
        if self.failures.is_due() {
            tracing::warn!(role, address, error, "no connection to the NATS server; trying for ever");
        }
    }

    fn lag(&self) {
        let dropped = self.gauges.slow_consumers.fetch_add(1, Relaxed) + 1;
        if self.slowness.is_due() {
            tracing::warn!(role = self.role, dropped, "messages of NATS come faster than they are read; asking again");
        }
    }

    fn refuse(&self, error: &ServerError) {
        let text = match error {
            ServerError::Other(text) => self.without_names(text),
            ServerError::AuthorizationViolation | ServerError::SlowConsumer(_) => error.to_string(),
        };
        if self.refusals.is_due() {
            tracing::error!(role = self.role, error = text, "the NATS server refuses what we do");
        }
        self.gauges.set_error(Some(format!("the NATS server refuses what we do: {text}")));
    }

    /// Why an attempt failed is told before the next one, but for names that nobody resolves.
    fn fail(&self, error: &ClientError) {
        match error {
            ClientError::Other(kind) if *kind != ConnectErrorKind::Dns.to_string() => {}
            ClientError::Other(_) | ClientError::MaxReconnects | ClientError::ServerNotInPool => {
                self.complain("of GAUNG_NATS_URL", &error.to_string());
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
            None => "a subject of somebody else",
        };
        format!("{before}{class}{after}")
    }
}

impl Rarely {
    fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= QUIET);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }

    fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a TLS client says of a server that answers in plain text, in words that an operator can act upon.
fn without_riddle(error: &str) -> &str {
    let is_plain = error.contains("InvalidContentType");
    if is_plain { "it does not speak TLS, which GAUNG_NATS_TLS or tls:// asks for" } else { error }
}

fn is_login(error: &str) -> bool {
    let kinds = [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];
    kinds.iter().any(|kind| error.starts_with(&kind.to_string()))
}
