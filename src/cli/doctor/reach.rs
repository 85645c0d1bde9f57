//! From a name to the first HTTP answer.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use actix_http::header::{self, HttpDate};
use awc::error::{ConnectError, SendRequestError};
use rustls::{ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    PATIENCE,
    finding::{self, Cut},
    in_time,
    report::{Finding, Report},
};
use crate::cli::{Failure, target::Target, trust};

/// The first byte of what a TLS server sends: of a handshake, or of an alert (RFC 8446 §5.1).
const TLS_ANSWERS: [u8; 2] = [22, 21];

/// What the server answers to a request for `/ready`.
pub(super) struct Reply {
    pub status: u16,
    pub body: String,
    /// How many seconds the server's clock is before ours, if it tells.
    pub ahead_seconds: Option<i64>,
}

/// Name, port, TLS, HTTP: each needs the one before. `None` if one of them failed.
pub(super) async fn reach(target: &Target, report: &mut Report) -> Result<Option<Reply>, Failure> {
    let (host, port) = target.address()?;
    let Some(addresses) = report.add("name", resolve(&host, port).await)? else { return Ok(None) };
    let Some(address) = report.add("port", connect(&addresses).await)? else { return Ok(None) };
    let asked = ask(target).await;
    if target.is_tls() {
        let shaken = match &asked {
            Err(SendRequestError::Connect(error)) => Err(of_handshake(&host, address, error)),
            Ok(_) | Err(_) => Ok((format!("the certificate is trusted and is that of {host}"), ())),
        };
        if report.add("tls", shaken)?.is_none() {
            return Ok(None);
        }
    }
    let answered = match asked {
        Ok(reply) => understand(target, reply, &host, address).await,
        Err(error) => Err(no_answer(target, &error, &host, address).await),
    };
    report.add("http", answered)
}

async fn resolve(host: &str, port: u16) -> Result<(String, Vec<SocketAddr>), Finding> {
    let found = match in_time(tokio::net::lookup_host((host, port))).await {
        Some(Ok(found)) => found.collect::<Vec<_>>(),
        Some(Err(error)) => return Err(finding::of_name(host, &error.to_string())),
        None => return Err(finding::of_name(host, "no name server answers")),
    };
    let mut addresses: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
    addresses.dedup();
    match addresses.as_slice() {
        [] => Err(finding::of_name(host, "it has no address")),
        [only] if only == host => Ok((format!("{host} is an address"), found)),
        _ => Ok((format!("{host} is {}", addresses.join(", ")), found)),
    }
}

/// The first address that takes a connection, as browsers try them.
async fn connect(addresses: &[SocketAddr]) -> Result<(String, SocketAddr), Finding> {
    let mut failed = None;
    for address in addresses {
        let error = match in_time(TcpStream::connect(address)).await {
            Some(Ok(_)) => return Ok((format!("{address} takes connections"), *address)),
            Some(Err(error)) => error,
            None => io::ErrorKind::TimedOut.into(),
        };
        failed = Some(finding::of_port(*address, &error));
    }
    Err(failed.expect("a name without an address has failed before"))
}

async fn ask(target: &Target) -> Result<Reply, SendRequestError> {
    let started = SystemTime::now();
    let request = target.client().get(format!("{}/ready", target.base())).timeout(PATIENCE);
    let mut answer = request.send().await?;
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok()?.parse::<HttpDate>().ok());
    // A body that is cut off or too long is nothing that a node says of its readiness.
    let body = answer.body().limit(64 << 10).await.unwrap_or_default();
    Ok(Reply {
        status: answer.status().as_u16(),
        body: String::from_utf8_lossy(&body).trim().to_owned(),
        ahead_seconds: date.map(|date| seconds_between(started, date.into())),
    })
}

/// How far `theirs` is before `ours`; negative if it is behind.
fn seconds_between(ours: SystemTime, theirs: SystemTime) -> i64 {
    let seconds = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
    match theirs.duration_since(ours) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

fn of_handshake(host: &str, address: SocketAddr, error: &ConnectError) -> Finding {
    match error {
        ConnectError::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => finding::of_tls(host, address, error),
            None => finding::of_cut_handshake(address, &error.to_string()),
        },
        error => finding::of_cut_handshake(address, &error.to_string()),
    }
}

async fn understand(
    target: &Target,
    reply: Reply,
    host: &str,
    address: SocketAddr,
) -> Result<(String, Reply), Finding> {
    match reply.status {
        // What web servers say to plain requests on their TLS port.
        400 if !target.is_tls() && speaks_tls(host, address).await => Err(finding::plain_on_tls(address)),
        502..=504 => Err(finding::of_gateway(reply.status)),
        status => Ok((format!("{} is answered with status {status}", target.base()), reply)),
    }
}

async fn no_answer(target: &Target, error: &SendRequestError, host: &str, address: SocketAddr) -> Finding {
    if !target.is_tls() && speaks_tls(host, address).await {
        return finding::plain_on_tls(address);
    }
    let cut = match error {
        SendRequestError::Timeout => Cut::Silent,
        error => Cut::Other(error.source().map_or_else(|| error.to_string(), ToString::to_string)),
    };
    finding::of_no_http(address, cut)
}

/// Whether a greeting of TLS is answered in TLS; a server that says nothing does not.
async fn speaks_tls(host: &str, address: SocketAddr) -> bool {
    in_time(first_byte(host, address)).await.and_then(Result::ok).is_some_and(|byte| TLS_ANSWERS.contains(&byte))
}

async fn first_byte(host: &str, address: SocketAddr) -> io::Result<u8> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = trust::nobody();
    let mut greeting = Vec::new();
    ClientConnection::new(config, name).map_err(io::Error::other)?.write_tls(&mut greeting)?;
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(&greeting).await?;
    socket.read_u8().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_before_ours_or_behind() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(seconds_between(ours, ours + Duration::from_secs(90)), 90);
        assert_eq!(seconds_between(ours, ours - Duration::from_secs(90)), -90);
    }
}
