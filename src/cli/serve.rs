//! `gaung serve`: the server, from its start to a signal.

use std::{
    io::{self, IsTerminal, Write},
    process,
    time::Duration,
};

use actix::System;
use gaung::{
    config::{Loaded, LogConfig, LogFormat},
    node::Node,
    readiness::Readiness,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tracing_subscriber::EnvFilter;

use super::{
    Failure,
    systemd::{self, Stage},
    welcome::Welcome,
};

/// The exit code of a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// How long systemd waits for a node to be in step: one that cannot be serves its own clients all the same.
const START: Duration = Duration::from_secs(30);

/// How often it is looked whether the node is in step.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Serves until SIGTERM or SIGINT, then drains; SIGINT comes from somebody at a terminal, who waits for no load balancer.
/// A second signal ends the process at once.
pub fn run(loaded: Loaded) -> Result<(), Failure> {
    start_log(&loaded.config.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Fails only where a provider is installed already, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let descriptors = rlimit::increase_nofile_limit(u64::MAX);
    let descriptors = descriptors.map_err(|error| Failure::new(format!("raising the descriptor limit: {error}")))?;
    tracing::info!(descriptors, "file-descriptor limit");
    System::new().block_on(serve(loaded))
}

async fn serve(loaded: Loaded) -> Result<(), Failure> {
    // Before anything is printed: who reads the addresses may send a signal at once.
    let mut signals = Signals::listen().map_err(|error| Failure::new(format!("listening for signals: {error}")))?;
    let welcome = Welcome::new(&loaded);
    let node = Node::start(loaded.config, loaded.apps).await.map_err(Failure::new)?;
    // A closed stdout is no reason not to serve.
    let _ = write!(io::stdout(), "{}", welcome.text(node.public, node.admin)).and_then(|()| io::stdout().flush());
    let starting = actix::spawn(tell_systemd(node.readiness().clone()));
    let signal = signals.next().await;
    starting.abort();
    systemd::notify(Stage::Stopping);
    tracing::info!("draining; a second signal exits at once");
    let end = async {
        match signal {
            Caught::Terminate => node.leave().await,
            Caught::Interrupt => node.stop().await,
        }
    };
    tokio::select! {
        () = end => Ok(()),
        _ = signals.next() => process::exit(INTERRUPTED),
    }
}

/// Units that start after this one, and whoever restarts one node after the other, wait until it wants sockets.
async fn tell_systemd(readiness: Readiness) {
    let ready = async {
        while !readiness.ready() {
            sleep(LOOK_EVERY).await;
        }
    };
    // After that time it is told so all the same.
    let _ = timeout(START, ready).await;
    systemd::notify(Stage::Ready);
}

/// What asks the process to end.
#[derive(Clone, Copy)]
enum Caught {
    Terminate,
    Interrupt,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Terminate,
            _ = self.interrupt.recv() => Caught::Interrupt,
        }
    }
}

/// Logs go to stderr: stdout belongs to the addresses.
fn start_log(config: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter);
    let filter = filter.map_err(|error| Failure::usage(format!("GAUNG_LOG is {:?}: {error}", config.filter)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        // Flat, as collectors want it; nothing of ours opens spans.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
    Ok(())
}
