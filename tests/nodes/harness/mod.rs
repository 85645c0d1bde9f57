//! Real nodes as processes, a real nats-server, and what stands between them and around them.

pub mod back_end;
pub mod balancer;
pub mod certificates;
pub mod cluster;
pub mod collector;
pub mod credentials;
pub mod load;
pub mod metrics;
pub mod nats;
pub mod node;
mod proofs;
pub mod proxy;
pub mod raw_nats;
pub mod reader;
pub mod roamer;
pub mod stalls;
pub mod tally;
pub mod webhook_log;

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::time::timeout;

pub use crate::common::client::{Client, PATIENCE, eventually, http_client, inner, upgrade};

/// How long a cluster may take to agree with itself after a fault has ended.
pub const AGREEMENT: Duration = Duration::from_secs(20);

/// A port that nobody listens on now. It is outside the range from which the system takes ports for outgoing
/// connections: nobody takes it while its owner is down, and who connects to it then never meets itself.
pub fn free_port() -> u16 {
    let range = 12_000..32_000;
    loop {
        let port = rand::random_range(range.clone());
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A directory of its own for one thing of one test.
pub fn new_folder(what: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gaung-{what}-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&folder).expect("the directory is new");
    folder
}

/// Sends a signal, as `kill` calls it, to a process of ours.
pub fn send_signal(process: u32, signal: &str) {
    let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(sent.expect("the kill command is installed").success(), "process {process} takes no {signal}");
}

/// SIGSTOP. Its threads stop some moments after the signal, and then this returns.
pub fn stop_process(process: u32) {
    send_signal(process, "STOP");
    let deadline = Instant::now() + PATIENCE;
    while !is_stopped(process) {
        assert!(Instant::now() < deadline, "process {process} does not stand still");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether all its threads are, where the system tells.
fn is_stopped(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    let stats = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    stats.into_iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
}

/// Waits for a condition for longer or shorter than [`PATIENCE`].
pub async fn within<F: Future<Output = bool>>(limit: Duration, what: &str, condition: impl Fn() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(limit, poll).await.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"));
}
