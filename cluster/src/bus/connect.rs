//! Connects to NATS: login, TLS and retries. Used by the bus and by the webhook queue.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, ServerAddr};

use super::{
    credentials,
    report::Report,
    settings::{Auth, BusSettings, BusTls},
    status::Gauges,
};

/// The interval of our pings. The client closes the connection when the third stays unanswered.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Commands between us and the client's connection, beside one per event that the trigger API may have queued: what a
/// thousand events a second put there in a minute.
const CLIENT_QUEUE: usize = 1 << 16;

/// Messages between the client's connection and us, per subscription.
const SUBSCRIPTION_QUEUE: usize = 1 << 16;

/// The pause before an attempt grows by `PAUSE`, up to `LONGEST_PAUSE`; up to a half of it is added at random.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Invalid server address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GAUNG_NATS_URL is invalid: {0}")]
pub struct InvalidServer(String);

/// A client that connects in the background and reconnects without limit. Returns at once; failures are logged, the
/// first at once and then one in 30 s. `role` distinguishes this connection from the node's others, in logs and in the
/// server's list of connections.
pub async fn connect(settings: &BusSettings, role: &'static str) -> Result<Client, InvalidServer> {
    let report = Report::new(settings, role, Arc::new(Gauges::new()));
    connect_reporting(settings, &Arc::new(report)).await
}

/// The same with a given report.
pub(super) async fn connect_reporting(settings: &BusSettings, report: &Arc<Report>) -> Result<Client, InvalidServer> {
    let servers = parse(&settings.servers)?;
    let (listener, attempts) = (report.clone(), report.clone());
    let options = encrypt(log_in(&settings.auth), &settings.tls)
        .name(format!("gaung/{}/{}/{}", settings.version, settings.core.node, report.role()))
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT)
        .client_capacity(CLIENT_QUEUE + settings.limits.events)
        .subscription_capacity(SUBSCRIPTION_QUEUE)
        .max_reconnects(None)
        .retry_on_initial_connect()
        .reconnect_delay_callback(pause)
        .event_callback(move |event| {
            listener.note(&event);
            std::future::ready(())
        })
        // Chooses nothing: this is the only callback that knows why the previous attempt failed.
        .reconnect_to_server_callback(move |servers, _| {
            attempts.attempt(&servers);
            std::future::ready(None)
        });
    options.connect(servers).await.map_err(|error| InvalidServer(error.to_string()))
}

/// Parses server addresses.
pub(super) fn parse(servers: &[String]) -> Result<Vec<ServerAddr>, InvalidServer> {
    if servers.is_empty() {
        return Err(InvalidServer("no server is given".to_owned()));
    }
    let parse = |server: &String| server.parse().map_err(|error: std::io::Error| InvalidServer(error.to_string()));
    servers.iter().map(parse).collect()
}

fn log_in(auth: &Auth) -> ConnectOptions {
    match auth {
        Auth::None => ConnectOptions::new(),
        Auth::User { user, password } => ConnectOptions::with_user_and_password(user.clone(), password.clone()),
        Auth::Token(token) => ConnectOptions::with_token(token.clone()),
        Auth::Credentials(path) => {
            let path = path.clone();
            ConnectOptions::with_auth_callback(move |nonce| {
                let path = path.clone();
                async move { credentials::sign(&path, &nonce).await }
            })
        }
    }
}

fn encrypt(mut options: ConnectOptions, tls: &BusTls) -> ConnectOptions {
    options = options.require_tls(tls.required);
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    options
}

/// How long to wait before an attempt, with jitter, so that many nodes do not reconnect at the same moment.
fn pause(attempt: usize) -> Duration {
    let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
    PAUSE.saturating_mul(attempt).min(LONGEST_PAUSE).mul_f64(rand::random_range(1.0..1.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_vary() {
        for (attempt, least) in [(1, 50), (2, 100), (19, 950), (20, 1000), (usize::MAX, 1000)] {
            let least = Duration::from_millis(least);
            let pause = pause(attempt);
            assert!(least <= pause && pause < least.mul_f64(1.5), "{attempt}: {pause:?}");
        }
    }

    #[test]
    fn invalid_servers_are_refused() {
        for servers in [vec![], vec!["http://localhost:4222".to_owned()], vec!["nats://a b".to_owned()]] {
            assert!(parse(&servers).is_err(), "{servers:?}");
        }
        assert!(parse(&["nats://localhost:4222".to_owned(), "tls://[::1]:4222".to_owned()]).is_ok());
    }
}
