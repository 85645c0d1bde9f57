//! What carries frames between nodes: a thin shell of NATS around the core. The only part of this crate that knows a
//! clock, a log, a socket.
//!
//! The way of an event: `link` → `task` → the core → `wire` → NATS → `wire` → `task` → the core → `tell`. Beside it,
//! `connect` and `report` see to the connection, `canary` to whether it carries anything.

mod canary;
mod connect;
mod credentials;
mod link;
mod load;
mod permits;
mod report;
mod settings;
mod status;
mod task;
mod wire;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::core::Output;
use link::Order;
use report::Report;
use status::Gauges;

pub use connect::{InvalidServer, connect};
pub use link::Link;
pub use permits::{Full, Limits, PublishPermit};
pub use settings::{Auth, BusSettings, BusTls};
pub use status::Status;

/// The bus thread's work, to be run on a thread of its own.
pub struct Bus {
    settings: BusSettings,
    orders: mpsc::UnboundedReceiver<Order>,
    report: Arc<Report>,
    gauges: Arc<Gauges>,
}

/// A bus that has not begun, and a link to it. What is told meanwhile waits. Refuses addresses that are none.
pub fn open(settings: BusSettings) -> Result<(Link, Bus), InvalidServer> {
    connect::parse(&settings.servers)?;
    let (sender, orders) = mpsc::unbounded_channel();
    let gauges = Arc::new(Gauges::new());
    let link = Link::new(settings.core.node, sender, gauges.clone(), settings.limits);
    let report = Arc::new(Report::new(&settings, "bus", gauges.clone()));
    Ok((link, Bus { settings, orders, report, gauges }))
}

impl Bus {
    /// Works until [`Link::close`], or until nobody holds a [`Link`]. Everything that rooms, sessions and webhooks want
    /// of the core is told in order; `tell` must not wait. Needs a tokio runtime with time and I/O, best one of a single
    /// thread that has nothing else to do.
    pub async fn run(self, tell: impl FnMut(Output)) {
        let client = connect::connect_reporting(&self.settings, &self.report).await;
        let client = client.expect("open has read the addresses");
        task::Task::new(self, client, tell).work().await;
    }
}
