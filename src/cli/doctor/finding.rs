//! What was observed, and what that means: the sentences of `gaung doctor`. Pure.

use std::{fmt, io, net::SocketAddr};

use gaung::protocol::Close;
use rustls::{CertificateError, Error as TlsError};
use serde_json::Value;

use super::report::Finding;
use crate::cli::line::Message;

/// Clocks that are further apart are told of; the API refuses signatures long after that.
const MAX_SKEW_SECONDS: i64 = 60;

/// What a proxy must be told, wherever one takes an upgrade for a request.
const LET_UPGRADES_PASS: &str = "Let the proxy speak HTTP/1.1 to the server and hand on the headers Upgrade and \
                                 Connection (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                                 proxy_set_header Connection \"upgrade\";).";

/// What to do where too many sockets come at once.
const RAISE_CONNECTION_RATE: &str = "Wait, or raise GAUNG_MAX_CONNECTION_RATE, or GAUNG_MAX_CONNECTION_RATE_PER_IP where the \
                                     answer names it.";

/// What to do where one address has too many connections.
const RAISE_ADDRESS_LIMIT: &str = "Raise GAUNG_MAX_CONNECTIONS_PER_IP; behind a proxy set GAUNG_TRUSTED_PROXIES, so that \
                                   clients do not share its address.";

/// Where to look when the server itself answers oddly.
const LOOK_AT_THE_LOG: &str = "Look at the server's log and at /readyz of its admin port.";

/// How something that takes connections fails to speak HTTP.
pub(super) enum Cut {
    /// It says nothing.
    Silent,
    /// It says something else, or ends the connection.
    Other(String),
}

pub(super) fn of_name(host: &str, why: &str) -> Finding {
    Finding::new(
        "name_unknown",
        format!("The name {host} does not resolve: {why}."),
        "Correct the spelling of the host, or its DNS record.",
    )
}

pub(super) fn of_port(address: SocketAddr, error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Finding::new(
            "nothing_listens",
            format!("Nothing listens at {address}."),
            "Start the server, or correct the port (GAUNG_PORT); a server on 127.0.0.1 hears only its own machine \
             (GAUNG_HOST).",
        ),
        io::ErrorKind::TimedOut => Finding::new(
            "no_way",
            format!("{address} does not answer at all."),
            "Open the port in the firewall or the security group, or correct the host.",
        ),
        _ => Finding::new(
            "no_way",
            format!("{address} cannot be reached: {error}."),
            "Correct the host and the port, or the network between.",
        ),
    }
}

pub(super) fn of_tls(host: &str, address: SocketAddr, error: &TlsError) -> Finding {
    match error {
        TlsError::InvalidMessage(_) => Finding::new(
            "tls_on_plain",
            format!("{address} was asked for TLS, but does not speak it."),
            "Write http:// or ws:// (REVERB_SCHEME=http, forceTLS: false), or the port on which TLS is served \
             (GAUNG_TLS_CERT).",
        ),
        TlsError::InvalidCertificate(error) => of_certificate(host, error),
        error => of_cut_handshake(address, &error.to_string()),
    }
}

fn of_certificate(host: &str, error: &CertificateError) -> Finding {
    let (text, advice) = match error {
        CertificateError::UnknownIssuer => (
            format!("The certificate of {host} is not signed by an authority that is trusted."),
            "Serve the whole chain, intermediate certificates too, or name an authority of your own with --ca; \
             browsers and Laravel must trust it as well.",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("The certificate is not valid for the name {host}."),
            "Use the name in the certificate, or have one issued for this name.",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("The certificate of {host} has expired."),
            "Renew it; Gaung reads the new files by itself (GAUNG_TLS_CERT, GAUNG_TLS_KEY).",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (format!("The certificate of {host} is not valid yet."), "Set this machine's clock, or wait until it is.")
        }
        error => (
            format!("The certificate of {host} is not accepted: {error}."),
            "Have another one issued, or name its authority with --ca.",
        ),
    };
    Finding::new("certificate", text, advice)
}

pub(super) fn of_cut_handshake(address: SocketAddr, why: &str) -> Finding {
    Finding::new(
        "tls_cut",
        format!("The TLS handshake with {address} failed: {why}."),
        "If TLS is not served there, write http:// or ws://; otherwise look at the log of what ends TLS.",
    )
}

pub(super) fn plain_on_tls(address: SocketAddr) -> Finding {
    Finding::new(
        "plain_on_tls",
        format!("{address} was asked for plain HTTP, but serves TLS."),
        "Write https:// or wss:// (REVERB_SCHEME=https, forceTLS: true).",
    )
}

pub(super) fn of_no_http(address: SocketAddr, cut: Cut) -> Finding {
    let text = match cut {
        Cut::Silent => format!("{address} takes connections but does not answer a request."),
        Cut::Other(why) => format!("What listens at {address} does not answer in HTTP: {why}."),
    };
    Finding::new("no_http", text, "Correct the port: another program listens there, or the server hangs.")
}

pub(super) fn of_gateway(status: u16) -> Finding {
    Finding::new(
        "gateway",
        format!("A proxy answers with {status}: it finds no server behind it."),
        "Start the server, or correct the address in the proxy's configuration.",
    )
}

/// `None` where no clock is told.
pub(super) fn of_clock(ahead_seconds: Option<i64>) -> Result<String, Finding> {
    let Some(ahead) = ahead_seconds else { return Ok("the server does not tell its time".to_owned()) };
    if ahead.abs() <= MAX_SKEW_SECONDS {
        return Ok(format!("the server's clock and this machine's agree within {MAX_SKEW_SECONDS} s"));
    }
    let direction = if ahead > 0 { "before" } else { "behind" };
    Err(Finding::new(
        "clock",
        format!("The server's clock is {} s {direction} this machine's.", ahead.abs()),
        "Let both follow a time server; requests signed too far from the server's time are refused \
         (GAUNG_SIGNATURE_SECONDS).",
    ))
}

/// By what `/ready` of the public port answers.
pub(super) fn of_readiness(status: u16, body: &str) -> Result<String, Finding> {
    match status {
        200 => Ok("the server is ready".to_owned()),
        500 => Err(not_ready(&reason(body))),
        status => Ok(format!("/ready is answered with {status}, so that only --admin can tell")),
    }
}

/// By what `/readyz` of the admin port answers.
pub(super) fn of_admin(status: u16, body: &str) -> Result<String, Finding> {
    match status {
        200 => Ok("the server is ready".to_owned()),
        _ => Err(not_ready(&format!("{status} {body}"))),
    }
}

pub(super) fn of_silent_admin(admin: &str, why: impl fmt::Display) -> Finding {
    Finding::new(
        "not_ready",
        format!("The admin port {admin} cannot be asked: {}.", bare(&why.to_string())),
        "Correct --admin, or reach it from within its network (GAUNG_ADMIN_HOST, GAUNG_ADMIN_PORT).",
    )
}

fn not_ready(why: &str) -> Finding {
    Finding::new(
        "not_ready",
        format!("The server is not ready: {why}."),
        "Wait until it is, or remove what it waits for; while it goes away, another one should have the address.",
    )
}

/// By the status that an upgrade is answered with.
pub(super) fn of_upgrade(status: u16, base: &str) -> Finding {
    let at = format!("{base}/app/{{key}}");
    match status {
        404 => Finding::new(
            "path_unknown",
            format!("The upgrade is answered with 404: a proxy or another server has nothing at {at}."),
            "Let the proxy forward /app as well as /apps, or correct the path prefix (GAUNG_PATH_PREFIX, wsPath).",
        ),
        200 | 400 | 426 => Finding::new(
            "upgrade_dropped",
            format!(
                "The upgrade is answered with {status}: a proxy has dropped it, so that it arrives as a plain request."
            ),
            LET_UPGRADES_PASS,
        ),
        300..=399 => Finding::new(
            "redirected",
            format!("The upgrade is answered with {status}: sockets do not follow redirects."),
            "Use the address to which it leads, often https:// instead of http://.",
        ),
        401 | 403 => Finding::new(
            "forbidden",
            format!(
                "The upgrade is answered with {status}: something in front of the server requires a login or forbids it."
            ),
            "Except /app from that rule; the server itself knows no login.",
        ),
        502..=504 => of_gateway(status),
        status => Finding::new(
            "upgrade_refused",
            format!("The upgrade is answered with {status}, which no server of this protocol sends."),
            LET_UPGRADES_PASS,
        ),
    }
}

pub(super) fn of_garbled_upgrade(why: &str) -> Finding {
    Finding::new("upgrade_dropped", format!("The upgrade is not answered as it must be: {why}."), LET_UPGRADES_PASS)
}

pub(super) fn of_silent_upgrade() -> Finding {
    let text = "Plain requests are answered, but the upgrade is not.";
    Finding::new("upgrade_dropped", text, LET_UPGRADES_PASS)
}

pub(super) fn of_mute_socket(how: &str) -> Finding {
    let text = format!("The socket opens, but does not work: {}.", bare(how));
    Finding::new("mute", text, LOOK_AT_THE_LOG)
}

pub(super) fn of_path(base: &str) -> Finding {
    Finding::new(
        "path_unknown",
        format!("The server speaks, but serves no sockets at {base}/app/{{key}}."),
        "Correct the path prefix (GAUNG_PATH_PREFIX, wsPath).",
    )
}

pub(super) fn of_prefix(base: &str, prefix: &str) -> Finding {
    let right = if prefix.is_empty() { "without a path prefix".to_owned() } else { format!("under {prefix}") };
    Finding::new(
        "wrong_prefix",
        format!("Sockets are served {right}, not at {base}/app/{{key}}."),
        format!("Write wsPath: '{prefix}' in the browser and the same prefix in Laravel's options.path."),
    )
}

/// By the first message on a socket. `key` is not told, because it may be a secret in the wrong place.
pub(super) fn of_greeting(greeting: &Message, key: &str, origin: Option<&str>) -> Result<String, Finding> {
    let Some(problem) = greeting.problem() else { return Ok("the server knows the app's key".to_owned()) };
    let code = greeting.code().unwrap_or_default();
    let is = |close: Close| code == close.code();
    Err(match origin {
        _ if is(Close::AppUnknown) => Finding::new(
            "key_unknown",
            format!("The server knows no app with this key ({} characters).", key.chars().count()),
            "Compare REVERB_APP_KEY or GAUNG_APP_KEY here with the server's; blanks and quotes count.",
        ),
        _ if is(Close::AppDisabled) => Finding::new(
            "app_disabled",
            "The app is switched off.",
            "Set enabled to true in the apps file, or GAUNG_APP_ENABLED=true.",
        ),
        _ if is(Close::OverQuota) || problem.contains("quota") => Finding::new(
            "over_quota",
            "The app has as many sockets as it may have.",
            "Raise max_connections of the app (GAUNG_APP_MAX_CONNECTIONS), or close sockets.",
        ),
        Some(origin) if is(Close::OriginRefused) => Finding::new(
            "origin_refused",
            format!("Pages of {origin} may not connect."),
            "Add its host to the app's allowed_origins (GAUNG_APP_ALLOWED_ORIGINS).",
        ),
        None if is(Close::OriginRefused) => Finding::new(
            "origin_refused",
            "The app takes sockets of certain pages only, and none was named.",
            "Say the page's origin with --origin https://shop.example.com, or set allowed_origins \
             (GAUNG_APP_ALLOWED_ORIGINS).",
        ),
        _ if is(Close::OverCapacity) => of_full_node(&problem),
        _ => Finding::new("refused", format!("The server refuses the socket: {problem}."), LOOK_AT_THE_LOG),
    })
}

/// What 4100 means, by its text.
fn of_full_node(problem: &str) -> Finding {
    let says = |close: Close| problem.contains(close.text());
    if says(Close::OverAddressLimit) {
        return Finding::new(
            "over_address_limit",
            "This address has all the sockets that it may have.",
            RAISE_ADDRESS_LIMIT,
        );
    }
    if says(Close::OverConnectionRate) || says(Close::OverAddressRate) {
        return Finding::new(
            "over_connection_rate",
            "More sockets come at once than are let in; clients try again by themselves.",
            RAISE_CONNECTION_RATE,
        );
    }
    Finding::new(
        "over_capacity",
        "The node has all the sockets that it may have, or it goes away.",
        "Raise GAUNG_MAX_CONNECTIONS, or start more nodes.",
    )
}

pub(super) fn of_subscription(problem: &str) -> Finding {
    Finding::new(
        "secret_wrong",
        format!("The signature of a private channel is refused: {problem}."),
        "Compare REVERB_APP_SECRET or GAUNG_APP_SECRET here with the server's.",
    )
}

/// By what the API answers to an event.
pub(super) fn of_api(status: u16, body: &str, app_id: &str) -> Result<String, Finding> {
    let why = reason(body);
    let refused = format!("The HTTP API refuses an event with {status}: {why}.");
    let (problem, advice) = match status {
        200 => return Ok("an event is taken as Laravel sends it".to_owned()),
        401 if why.contains("auth_timestamp") => ("clock", "Let the server and this machine follow a time server."),
        401 if why.contains("auth_key") => ("key_unknown", "Compare key and id of the app with the server's."),
        401 => ("secret_wrong", "Compare REVERB_APP_SECRET or GAUNG_APP_SECRET here with the server's."),
        403 => ("app_disabled", "Set enabled to true in the apps file, or GAUNG_APP_ENABLED=true."),
        404 if why.contains("unknown app id") => {
            let advice = format!("Compare REVERB_APP_ID or GAUNG_APP_ID, here {app_id}, with the server's.");
            return Err(Finding::new("app_unknown", refused, advice));
        }
        404 => ("path_unknown", "Let the proxy forward /apps as well as /app, with the same path prefix."),
        429 if why.contains("GAUNG_MAX_CONNECTIONS_PER_IP") => ("over_address_limit", RAISE_ADDRESS_LIMIT),
        503 if why.contains("GAUNG_MAX_HTTP_CONNECTIONS") => {
            ("over_http_limit", "Raise GAUNG_MAX_HTTP_CONNECTIONS, or start more nodes.")
        }
        429 => ("over_rate", "Raise events_per_second of the app, or wait."),
        502..=504 => ("gateway", "Start the server, or correct the address in the proxy's configuration."),
        _ => ("api_refused", LOOK_AT_THE_LOG),
    };
    Err(Finding::new(problem, refused, advice))
}

pub(super) fn of_silent_api(why: &str) -> Finding {
    Finding::new("api_silent", format!("The HTTP API does not answer an event: {}.", bare(why)), LOOK_AT_THE_LOG)
}

pub(super) fn of_unheard_event() -> Finding {
    Finding::new(
        "event_lost",
        "The event was taken, but the socket has not heard it.",
        "Socket and API may be on nodes that do not hear one another: look whether `gaung peers` lists all nodes on each.",
    )
}

pub(super) fn of_lost_event(why: &str) -> Finding {
    Finding::new("event_lost", format!("The socket was lost before its event: {}.", bare(why)), LOOK_AT_THE_LOG)
}

/// The text of an answer: of its JSON, or the beginning of whatever it is.
fn reason(body: &str) -> String {
    let json = serde_json::from_str::<Value>(body).ok();
    let error = json.as_ref().and_then(|json| json.get("error")?.as_str());
    error.map_or_else(|| body.chars().take(100).collect(), str::to_owned)
}

/// Without what stands before every failure of a command.
fn bare(failure: &str) -> &str {
    failure.strip_prefix("gaung: ").unwrap_or(failure)
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
