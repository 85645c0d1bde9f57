//! What one node does a second and what that costs, beside the least that it could cost (the floor).
//!
//! The server under test and the floor are processes of their own, so that their CPU time and memory are theirs alone;
//! this process opens the sockets, triggers and reads. Rounds of the two alternate, because machines are noisy.
//!
//! Way through the files: `plan` says how much, `cases`, `tls` and `scrape` what is measured on one node, `builds` on two builds
//! of it, and `pair`, `members` and `rooms` on several, `swarm` is the client, `report` the outcome.

mod broker;
mod builds;
mod cases;
mod child;
mod cluster;
mod error;
mod event;
mod floor;
mod frames;
mod handshake;
mod http;
mod link;
mod members;
mod pages;
mod pair;
mod plan;
mod process;
mod progress;
mod publisher;
mod report;
mod rooms;
mod round;
mod scrape;
mod seat;
mod statistics;
mod subscriber;
mod swarm;
mod tally;
mod target;
mod tls;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;

use error::BenchError;
use plan::{Case, Plan};
use report::Report;

/// Measures fan-out, triggers, connects and memory of a server on this machine.
///
/// Rounds of the server alternate with rounds of the floor: one thread that writes a ready frame to each socket.
#[derive(Debug, Clone, Parser)]
#[command(name = "gaung-bench", version, after_help = EXAMPLES)]
pub struct Options {
    /// Only these cases, separated by commas: a to e, g to n (f, the floor, runs beside a and b)
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Case>,
    /// Fewer sockets and messages; done within a minute
    #[arg(long)]
    pub quick: bool,
    /// Pages that come back within a second in case l; 10,000 where nothing is said, 2,000 with --quick
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub pages: Option<u32>,
    /// Print the figures as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// The server to start: `gaung` beside this program where nothing is said
    #[arg(long, value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Another build of the server, with which case m compares; it is left out if there is none
    #[arg(long, value_name = "PATH")]
    pub beside: Option<PathBuf>,
    /// The nats-server that the cases of a cluster (h to j) start; they are left out if there is none
    #[arg(long, value_name = "PATH", default_value = "nats-server")]
    pub nats_server: PathBuf,
    /// A further variable for the server under test, for example GAUNG_HTTP_THREADS=2; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub server_env: Vec<(String, String)>,
    /// Measure the running server with this process id instead of starting one
    #[arg(long, requires_all = ["url", "admin_url"])]
    pub pid: Option<u32>,
    /// Where that server is public, for example 127.0.0.1:6001
    #[arg(long, value_name = "ADDRESS", requires = "pid", value_parser = parse_address)]
    pub url: Option<SocketAddr>,
    /// Where its admin port is, for example 127.0.0.1:9601
    #[arg(long, value_name = "ADDRESS", requires = "pid", value_parser = parse_address)]
    pub admin_url: Option<SocketAddr>,
    /// The app's id
    #[arg(long, default_value = "gaung")]
    pub app_id: String,
    /// The app's key
    #[arg(long, default_value = "gaung-key")]
    pub key: String,
    /// The app's secret
    #[arg(long, default_value = "gaung-secret")]
    pub secret: String,
    /// Be the floor: the loop that the server is compared with
    #[arg(long, hide = true)]
    pub floor: bool,
}

const EXAMPLES: &str = "\
Examples:
  gaung-bench --quick
  gaung-bench --only a,c --json
  gaung-bench --only m --beside ./gaung-of-before
  gaung-bench --only a --server-env GAUNG_HTTP_THREADS=2";

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gaung-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. Progress goes to stderr, the result to stdout.
fn run(options: Options) -> Result<(), BenchError> {
    rlimit::increase_nofile_limit(u64::MAX).map_err(|error| BenchError::io("raising the descriptor limit", error))?;
    if options.floor {
        return floor::serve();
    }
    let mut plan = if options.quick { Plan::quick() } else { Plan::full() };
    plan.pages = options.pages.unwrap_or(plan.pages);
    let mut report = Report::default();
    for case in Case::ALL.into_iter().filter(|case| options.only.is_empty() || options.only.contains(case)) {
        cases::measure_case(case, &plan, &options, &mut report)?;
    }
    let text = if options.json { report.json() } else { report.table() };
    progress::end();
    println!("{text}");
    Ok(())
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// An address, with or without `http://` or `https://` before it.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("http://").or(text.strip_prefix("https://")).unwrap_or(text).trim_end_matches('/');
    address.parse().map_err(|_| format!("{text:?} is not an address such as 127.0.0.1:6001"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_as_a_url() {
        let address = Ok(SocketAddr::from(([127, 0, 0, 1], 6001)));
        assert_eq!(parse_address("127.0.0.1:6001"), address);
        assert_eq!(parse_address("http://127.0.0.1:6001/"), address);
        assert_eq!(parse_address("https://127.0.0.1:6001"), address);
        assert!(parse_address("localhost").is_err());
    }

    #[test]
    fn a_variable_keeps_everything_after_its_first_equals_sign() {
        assert_eq!(parse_variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(parse_variable("A").is_err());
    }
}
