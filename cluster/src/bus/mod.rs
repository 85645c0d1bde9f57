//! Carries frames between nodes: a thin NATS shell around the core. With `queue`, the only part of this crate that
//! knows a clock, a log, a socket.
//!
//! The way of an event: `link` → `task` → the core → `nats_client` → NATS → `nats_client` → `task` → the core →
//! `on_output`. `connect` and `report` look after the connection, `loopback` checks whether it carries messages.

mod burst;
mod connect;
mod credentials;
mod link;
mod loopback;
mod nats_client;
mod permits;
mod report;
mod settings;
mod status;
mod task;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::core::{Input, Output};
use link::Command;
use report::Report;
use status::Gauges;

pub use connect::{InvalidServer, connect};
pub use link::Link;
pub use permits::{Full, Limits, PublishPermit};
pub use settings::{Auth, BusSettings, BusTls};
pub use status::Status;

/// The bus, to be run on a thread of its own.
pub struct Bus {
    settings: BusSettings,
    commands: mpsc::UnboundedReceiver<Command>,
    report: Arc<Report>,
    gauges: Arc<Gauges>,
}

/// A bus and a link to it. Commands sent before the bus runs wait. Fails on invalid server addresses.
pub fn open(settings: BusSettings) -> Result<(Link, Bus), InvalidServer> {
    connect::parse(&settings.servers)?;
    let (sender, commands) = mpsc::unbounded_channel();
    let gauges = Arc::new(Gauges::new());
    let link = Link::new(settings.core.node, sender, gauges.clone(), settings.limits);
    let report = Arc::new(Report::new(&settings, "bus", gauges.clone()));
    Ok((link, Bus { settings, commands, report, gauges }))
}

impl Bus {
    /// Takes the next input that a link has sent, for a simulation that drives a core without a server. Nobody answers
    /// questions there.
    pub fn next_input(&mut self) -> Option<Input> {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Input(input) | Command::Event(input, _) => return Some(input),
                Command::Question(_) | Command::Close { .. } => {}
            }
        }
        None
    }

    /// Runs until [`Link::close`], or until every [`Link`] is dropped. Passes the core's outputs for rooms, sessions
    /// and webhooks to `on_output`, in order; it must not block. Needs a tokio runtime with time and I/O, best a
    /// current-thread one that runs nothing else.
    pub async fn run(self, on_output: impl FnMut(Output)) {
        let client = connect::connect_reporting(&self.settings, &self.report).await;
        let client = client.expect("open has read the addresses");
        task::Task::new(self, client, on_output).work().await;
    }
}
