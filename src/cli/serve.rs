//! `gaung serve`: the server, from its start to a signal.

use std::{
    io::{self, IsTerminal, Write},
    process,
    time::Duration,
};

use actix::System;
use gaung::{
    config::{Loaded, LogConfig, LogFormat},
    fatal::{self, ThreadWatch},
    log::Log,
    node::Node,
    readiness::Answers,
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

/// How long the last log lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT, then drains; SIGINT comes from somebody at a terminal, who waits for no load balancer.
/// A second signal ends the process at once. SIGHUP reads apps file and certificate again, and ends nothing, not even while
/// the configuration is still being read: what writes the apps file may send it at any time.
pub(super) fn run(load: impl FnOnce() -> Result<Loaded, Failure>) -> Result<(), Failure> {
    let system = System::new();
    let hang_up = system.block_on(async { signal(SignalKind::hangup()) }).map_err(deaf)?;
    let loaded = load()?;
    let log = Log::on_stderr().map_err(|error| Failure::new(format!("starting the log: {error}")))?;
    start_log(&loaded.config.log, log.clone())?;
    fatal::end_with_panics(log.clone());
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Fails only where a provider is installed already, and then that one serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let descriptors = rlimit::increase_nofile_limit(u64::MAX);
    let descriptors = descriptors.map_err(|error| Failure::new(format!("raising the descriptor limit: {error}")))?;
    tracing::info!(descriptors, "file-descriptor limit");
    let served = system.block_on(serve(loaded, hang_up, &log));
    log.flush(LAST_LINES);
    served
}

async fn serve(loaded: Loaded, hang_up: Signal, log: &Log) -> Result<(), Failure> {
    // Before anything is printed: who reads the addresses may send a signal at once.
    let mut signals = Signals::listen(hang_up).map_err(deaf)?;
    let welcome = Welcome::new(&loaded);
    let mut node = Node::start(loaded.config, loaded.apps).await.map_err(Failure::new)?;
    let threads = ThreadWatch::start(log.clone());
    // A closed stdout is no reason not to serve.
    let _ = write!(io::stdout(), "{}", welcome.text(node.public, node.admin)).and_then(|()| io::stdout().flush());
    let starting = actix::spawn(tell_systemd(node.readiness().clone()));
    let end = serve_until_end(&mut signals, &mut node, log).await;
    starting.abort();
    systemd::notify(Stage::Stopping);
    tracing::info!("draining; a second signal exits at once");
    drop(threads);
    let drain = async {
        match end {
            End::Terminate => node.leave().await,
            End::Interrupt => node.stop().await,
        }
    };
    tokio::select! {
        () = drain => Ok(()),
        () = signals.next_end() => {
            log.flush(LAST_LINES);
            process::exit(INTERRUPTED)
        }
    }
}

/// Units that start after this one, and a rollout of one node after the other, wait until it wants sockets.
async fn tell_systemd(readiness: Readiness) {
    let ready = async {
        while readiness.objection(Answers::ALL).is_some() {
            sleep(LOOK_EVERY).await;
        }
    };
    // After that time it is told so all the same.
    let _ = timeout(START, ready).await;
    systemd::notify(Stage::Ready);
}

async fn serve_until_end(signals: &mut Signals, node: &mut Node, log: &Log) -> End {
    loop {
        let caught = tokio::select! {
            caught = signals.next() => caught,
            failure = node.failed() => fatal::end(log, &failure),
        };
        match caught {
            Caught::End(end) => return end,
            Caught::Reload => {
                tracing::info!("SIGHUP: reloading the apps file and the certificate; other settings need a restart");
                node.reload();
            }
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy)]
enum Caught {
    Reload,
    End(End),
}

/// How the process is asked to end.
#[derive(Clone, Copy)]
enum End {
    Terminate,
    Interrupt,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen(hang_up: Signal) -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hang_up })
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::End(End::Terminate),
            _ = self.interrupt.recv() => Caught::End(End::Interrupt),
            _ = self.hang_up.recv() => Caught::Reload,
        }
    }

    /// The next that asks for the end; there is nothing to reload any more.
    async fn next_end(&mut self) {
        while let Caught::Reload = self.next().await {}
    }
}

fn deaf(error: io::Error) -> Failure {
    Failure::new(format!("listening for signals: {error}"))
}

fn start_log(config: &LogConfig, log: Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter);
    let filter = filter.map_err(|error| Failure::usage(format!("GAUNG_LOG is {:?}: {error}", config.filter)))?;
    let filter = without_actix_http(filter, &config.filter);
    // What cannot be logged is counted; to tell it on stderr, as the library does, would wait for its reader.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).log_internal_errors(false);
    match config.format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        // Flat, as collectors want it; nothing of ours opens spans.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
    Ok(())
}

/// Of a request that it cannot read actix-http writes a line each time, which anybody can cause as often as they like, and
/// which does not say whose it was. The listener does, once a minute.
fn without_actix_http(filter: EnvFilter, text: &str) -> EnvFilter {
    if text.contains("actix_http") {
        return filter;
    }
    filter.add_directive("actix_http=off".parse().expect("a target and a level are a directive"))
}
