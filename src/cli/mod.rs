//! The commands. All read the same configuration from the environment, so that the development app works without a flag.

mod admin_port;
mod api;
mod apps;
mod channels;
mod check;
mod completions;
mod connection;
mod doctor;
mod events;
mod failure;
mod health;
mod line;
mod manual;
mod peers;
mod roundtrip;
mod serve;
mod sign;
mod subscribe;
mod systemd;
mod table;
mod target;
mod tenants;
mod trigger;
mod trust;
mod users;
mod welcome;

use std::{
    fmt,
    future::Future,
    io::{self, Write},
};

use clap::{FromArgMatches, Parser, Subcommand};
use gaung::config::{self, Loaded};

use failure::Failure;

/// A WebSocket server that speaks the Pusher protocol behind Laravel applications.
///
/// Configured by GAUNG_* variables, and by Laravel's REVERB_* and PUSHER_* where those are not set.
#[derive(Parser)]
#[command(name = "gaung", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Print the effective configuration with secrets masked, or all its problems
    Check(check::Check),
    /// Print the signature of a subscription, a sign-in or an API request, or an access token for tenant sockets
    Sign(sign::Sign),
    /// Publish one event
    Trigger(trigger::Trigger),
    /// Print the events of channels as they arrive
    Subscribe(subscribe::Subscribe),
    /// List the channels that have subscribers, with their counts
    Channels(channels::Channels),
    /// List the members of a presence channel
    Users(users::Users),
    /// Print what a channel keeps of its events
    Events(events::Events),
    /// Send events through a running server, or all nodes behind its address; exit 0 if all arrive
    Roundtrip(roundtrip::Roundtrip),
    /// Connect and publish step by step, and say what is wrong and how to fix it; exit 0 if nothing is wrong
    Doctor(doctor::Doctor),
    /// Ask a running server whether it is ready or alive; exit 0 if it is
    Health(health::Health),
    /// List the nodes of a running server's cluster
    Peers(peers::Peers),
    /// List the apps of a running server, and change them while it runs
    Apps(apps::Apps),
    /// List the tenants that have or do the most
    Tenants(tenants::Tenants),
    /// Print shell completions of commands and flags
    Completions(completions::Completions),
}

impl Cli {
    /// From the process's arguments. Wrong ones end the process with exit code 2, as does a question for help with 0.
    pub(crate) fn of_process() -> Self {
        let matches = manual::command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(load),
            Command::Check(check) => check.run(config::load_environment()),
            Command::Sign(sign) => sign.run(&load()?),
            Command::Trigger(trigger) => wait_for(trigger.run(&load()?)),
            Command::Subscribe(subscribe) => wait_for(subscribe.run(&load()?)),
            Command::Channels(channels) => wait_for(channels.run(&load()?)),
            Command::Users(users) => wait_for(users.run(&load()?)),
            Command::Events(events) => wait_for(events.run(&load()?)),
            Command::Roundtrip(roundtrip) => wait_for(roundtrip.run(&load()?)),
            Command::Doctor(doctor) => wait_for(doctor.run(&load()?)),
            Command::Health(health) => wait_for(health.run()),
            Command::Peers(peers) => wait_for(peers.run()),
            Command::Apps(apps) => wait_for(apps.run()),
            Command::Tenants(tenants) => wait_for(tenants.run()),
            Command::Completions(completions) => completions.run(),
        }
    }
}

fn load() -> Result<Loaded, Failure> {
    config::load_environment().map_err(Failure::configuration)
}

fn wait_for(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    actix::System::new().block_on(command)
}

/// One line on stdout; a reader that went away is a failure and not a panic.
fn print(line: impl fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|error| Failure::new(format!("writing to stdout: {error}")))
}

/// One line on stderr. There is nowhere to tell that stderr is gone.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
