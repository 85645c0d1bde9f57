//! A nats-server of our own for the cluster cases, and what went through it, as it tells itself.

use std::{
    io::{self, BufRead, BufReader, ErrorKind},
    net::SocketAddr,
    path::Path,
    process::{ChildStderr, Command, Stdio},
    thread,
};

use serde::Deserialize;

use super::{BenchError, http};

/// A nats-server on free ports of the loopback. It keeps no files and is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    process: std::process::Child,
    /// Where nodes connect.
    pub clients: SocketAddr,
    monitor: SocketAddr,
}

/// Payload bytes of one connection since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// The connection's number; later ones have larger numbers.
    cid: u64,
    /// What its client published.
    #[serde(rename = "in_bytes")]
    pub published: u64,
    /// What its client received.
    #[serde(rename = "out_bytes")]
    pub received: u64,
}

#[derive(Deserialize)]
struct Connections {
    connections: Vec<Flow>,
}

impl Broker {
    /// Starts one; `None` if there is no such program.
    pub fn start(program: &Path) -> Result<Option<Self>, BenchError> {
        let mut command = Command::new(program);
        // A port of -1 is a free one.
        command.args(["--addr", "127.0.0.1", "--port", "-1", "--http_port", "-1"]);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BenchError::io("starting nats-server", error)),
        };
        let mut log = BufReader::new(process.stderr.take().expect("stderr was piped"));
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        // Made before the log is read: it ends the process if that fails.
        let mut broker = Self { process, clients: unspecified, monitor: unspecified };
        (broker.clients, broker.monitor) = read_addresses(&mut log)?;
        forget(log);
        Ok(Some(broker))
    }

    /// What has gone over each connection so far, the oldest first.
    pub fn flows(&self) -> Result<Vec<Flow>, BenchError> {
        let body = http::get(self.monitor, "/connz")?;
        let connections: Result<Connections, _> = serde_json::from_slice(&body);
        let Ok(Connections { connections: mut flows }) = connections else {
            return Err(BenchError::io("reading /connz of nats-server", ErrorKind::InvalidData.into()));
        };
        flows.sort_by_key(|flow| flow.cid);
        Ok(flows)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already, which is what they are for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads on until the process ends, so that it never waits for somebody to read its log.
fn forget(mut log: BufReader<ChildStderr>) {
    thread::spawn(move || io::copy(&mut log, &mut io::sink()));
}

/// Finds the addresses for clients and for the monitor in the log.
fn read_addresses(log: &mut impl BufRead) -> Result<(SocketAddr, SocketAddr), BenchError> {
    let (mut clients, mut monitor) = (None, None);
    let mut last = String::new();
    for line in log.lines() {
        let line = line.map_err(|error| BenchError::io("reading the log of nats-server", error))?;
        let address = line.rsplit(' ').next().and_then(|word| word.parse::<SocketAddr>().ok());
        if line.contains("Listening for client connections on") {
            clients = address;
        }
        if line.contains("Starting http monitor on") {
            monitor = address;
        }
        if let (Some(clients), Some(monitor)) = (clients, monitor) {
            return Ok((clients, monitor));
        }
        last = line;
    }
    Err(BenchError::Start(format!("nats-server ended before it told its ports: {last}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "[7] 2026/01/01 10:00:00.1 [INF] Starting nats-server
[7] 2026/01/01 10:00:00.2 [INF] Starting http monitor on 127.0.0.1:34955
[7] 2026/01/01 10:00:00.3 [INF] Listening for client connections on 127.0.0.1:45731
[7] 2026/01/01 10:00:00.4 [INF] Server is ready
";

    #[test]
    fn both_addresses_are_found_in_the_log() {
        let (clients, monitor) = read_addresses(&mut LOG.as_bytes()).unwrap();
        assert_eq!((clients.port(), monitor.port()), (45731, 34955));
    }

    #[test]
    fn a_server_that_ends_is_quoted() {
        let error = read_addresses(&mut "[7] [FTL] no memory\n".as_bytes()).unwrap_err();
        assert!(error.to_string().contains("no memory"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_no_error() {
        assert!(Broker::start(Path::new("/no/such/nats-server")).unwrap().is_none());
    }
}
