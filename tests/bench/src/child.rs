//! Starts the server under test, or this program again as the floor, and ends it with the measurement.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
};

use gaung::protocol::{AppKey, Secret};

use super::{
    BenchError, Options, parse_address,
    target::{Dialect, Target},
};

/// A process to measure.
#[derive(Debug)]
pub struct Child {
    /// `None` for one that somebody else started, and ends.
    _started: Option<Started>,
    /// How to reach it.
    pub target: Target,
}

/// A process of ours. It is killed when this is dropped.
#[derive(Debug)]
struct Started {
    process: std::process::Child,
    /// Held open: a server that prints more must not find its output closed.
    output: BufReader<ChildStdout>,
}

impl Child {
    /// A server on free ports of the loopback, configured by nothing but `options` and its own defaults.
    pub fn server(options: &Options) -> Result<Self, BenchError> {
        Self::server_with(options, &[])
    }

    /// The same, with further variables; those of the options come last.
    pub fn server_with(options: &Options, variables: &[(&str, &str)]) -> Result<Self, BenchError> {
        let app = [
            ("GAUNG_APP_ID", &*options.app_id),
            ("GAUNG_APP_KEY", &options.key),
            ("GAUNG_APP_SECRET", &options.secret),
        ];
        Self::serve(options, app.into_iter().chain(variables.iter().copied()))
    }

    /// A server of the apps in this file. The options' app is not among them.
    pub fn server_of(apps: &Path, options: &Options) -> Result<Self, BenchError> {
        Self::serve(options, [("GAUNG_APPS_FILE", apps)])
    }

    fn serve<'v, V: AsRef<OsStr>>(
        options: &Options,
        variables: impl IntoIterator<Item = (&'v str, V)>,
    ) -> Result<Self, BenchError> {
        let mut command = server_program(options)?;
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["GAUNG_", "REVERB_", "PUSHER_"].iter().any(|prefix| name_text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.arg("serve").envs([
            ("GAUNG_PORT", "0"),
            ("GAUNG_ADMIN_PORT", "0"),
            ("GAUNG_DRAIN_SECONDS", "0"),
            ("GAUNG_LOG", "warn"),
        ]);
        command.envs(variables);
        command.envs(options.server_env.iter().map(|(name, value)| (name, value)));
        Self::start(command, dialect(options))
    }

    /// The floor.
    pub fn floor() -> Result<Self, BenchError> {
        let mut command = Command::new(this_program()?);
        command.arg("--floor");
        Self::start(command, Dialect::Ready)
    }

    /// A server that runs already.
    pub fn running(target: Target) -> Self {
        Self { _started: None, target }
    }

    fn start(mut command: Command, dialect: Dialect) -> Result<Self, BenchError> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|error| BenchError::io("starting the process to measure", error))?;
        let stdout = process.stdout.take().expect("stdout was piped");
        let mut started = Started { process, output: BufReader::new(stdout) };
        let (public, admin) = read_addresses(&mut started.output)?;
        let target = Target::new(started.process.id(), public, admin, dialect);
        Ok(Self { _started: Some(started), target })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already, which is what they are for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a server with the options' app is spoken to.
pub fn dialect(options: &Options) -> Dialect {
    let key = AppKey { key: options.key.clone(), secret: Secret::new(&*options.secret) };
    Dialect::Pusher { app_id: options.app_id.clone(), key }
}

fn this_program() -> Result<PathBuf, BenchError> {
    env::current_exe().map_err(|error| BenchError::io("finding this program's file", error))
}

fn server_program(options: &Options) -> Result<Command, BenchError> {
    let server = match &options.server {
        Some(server) => server.clone(),
        None => this_program()?.with_file_name("gaung"),
    };
    if server.is_file() {
        return Ok(Command::new(server));
    }
    let server = server.display();
    Err(BenchError::Start(format!(
        "there is no server at {server}: `cargo build --release` makes it, --server names another"
    )))
}

/// Reads the lines `public  http://…` and `admin   http://…`, in any order, among others.
fn read_addresses(output: &mut impl BufRead) -> Result<(SocketAddr, SocketAddr), BenchError> {
    let (mut public, mut admin) = (None, None);
    for line in output.lines() {
        let line = line.map_err(|error| BenchError::io("reading the output of the process to measure", error))?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next().map(parse_address)) {
            (Some("public"), Some(Ok(address))) => public = Some(address),
            (Some("admin"), Some(Ok(address))) => admin = Some(address),
            (_, _) => {}
        }
        if let (Some(public), Some(admin)) = (public, admin) {
            return Ok((public, admin));
        }
    }
    Err(BenchError::Start("it ended before it printed its addresses; its messages stand above".to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let options = Options::parse_from(["gaung-bench", "--server", "/nowhere/gaung"]);
        let error = server_program(&options).unwrap_err().to_string();
        assert!(error.contains("/nowhere/gaung") && error.contains("--server"), "{error}");
    }

    #[test]
    fn the_addresses_are_found_among_other_lines() {
        let mut output = "gaung 0.1\n\npublic  http://127.0.0.1:6001\nadmin   http://127.0.0.1:9601\nmore\n".as_bytes();
        let (public, admin) = read_addresses(&mut output).unwrap();
        assert_eq!((public.port(), admin.port()), (6001, 9601));
    }

    #[test]
    fn an_output_that_ends_without_them_is_a_failed_start() {
        let mut output = "public  http://127.0.0.1:6001\n".as_bytes();
        assert!(matches!(read_addresses(&mut output), Err(BenchError::Start(_))));
    }
}
