//! Takes spans out of the queue in batches, and sees each batch to the collector or gives it up.

use std::time::Duration;

use opentelemetry_proto::tonic::{resource::v1::Resource, trace::v1::Span};
use prometheus::IntCounter;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use tracing::{debug, info, warn};

use super::{
    post::{Collector, Failure},
    request,
};

/// Spans of one request at most.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const DELAY: Duration = Duration::from_secs(1);

/// How often a batch is tried before it is given up, and the first of the pauses between, each of which is twice the one
/// before; the queue takes what comes meanwhile.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    collector: Collector,
    resource: Resource,
    exported: IntCounter,
    dropped: IntCounter,
    /// Whether the last request failed: only the first failure is logged as a warning, and the recovery.
    is_failing: bool,
    /// Whether it was told that the collector rejects spans.
    has_told_rejected: bool,
    /// Spans that were dropped until the last line about them.
    dropped_told: u64,
}

impl Worker {
    pub(super) fn new(collector: Collector, resource: Resource, [exported, dropped]: [IntCounter; 2]) -> Self {
        let (is_failing, has_told_rejected, dropped_told) = (false, false, 0);
        Self { collector, resource, exported, dropped, is_failing, has_told_rejected, dropped_told }
    }

    /// Runs until it is told to close and nothing waits any more.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Span>, mut closing: watch::Receiver<bool>) {
        loop {
            let batch = next_batch(&mut waiting, &mut closing).await;
            if batch.is_empty() {
                return;
            }
            self.export(batch, &mut closing).await;
        }
    }

    async fn export(&mut self, batch: Vec<Span>, closing: &mut watch::Receiver<bool>) {
        let spans = batch.len();
        let body = request::encode(&self.resource, batch);
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let failure = match self.collector.post(body.clone()).await {
                Ok(rejected) => return self.arrived(spans, rejected),
                Err(failure) => failure,
            };
            self.tell(&failure);
            if !failure.may_pass() || attempt == ATTEMPTS || is_closing_within(pause, closing).await {
                break;
            }
            pause *= 2;
        }
        self.dropped.inc_by(spans as u64);
    }

    fn arrived(&mut self, spans: usize, rejected: usize) {
        let rejected = rejected.min(spans);
        self.exported.inc_by((spans - rejected) as u64);
        self.dropped.inc_by(rejected as u64);
        if rejected > 0 && !std::mem::replace(&mut self.has_told_rejected, true) {
            warn!(host = %self.collector.host(), spans = rejected, "the collector rejects spans; its log says why");
        }
        let dropped = self.dropped.get() - std::mem::replace(&mut self.dropped_told, self.dropped.get());
        if std::mem::take(&mut self.is_failing) {
            info!(host = %self.collector.host(), dropped, "traces are exported again");
        }
    }

    fn tell(&mut self, failure: &Failure) {
        let host = self.collector.host();
        match std::mem::replace(&mut self.is_failing, true) {
            false => warn!(%host, %failure, "traces are not exported (OTEL_EXPORTER_OTLP_ENDPOINT); it is tried on"),
            true => debug!(%host, %failure, "traces are still not exported"),
        }
    }
}

/// The next spans: as many as come within the delay, but no more than a request has. None if nothing waits and nothing is
/// to come.
async fn next_batch(waiting: &mut mpsc::Receiver<Span>, closing: &mut watch::Receiver<bool>) -> Vec<Span> {
    let mut batch = Vec::new();
    tokio::select! {
        biased;
        _ = waiting.recv_many(&mut batch, BATCH) => {}
        () = is_closing(closing) => return batch,
    }
    let end = Instant::now() + DELAY;
    while batch.len() < BATCH {
        let rest = BATCH - batch.len();
        let more = tokio::select! {
            biased;
            more = timeout_at(end, waiting.recv_many(&mut batch, rest)) => more.unwrap_or(0),
            () = is_closing(closing) => 0,
        };
        if more == 0 {
            break;
        }
    }
    batch
}

/// Waits until the node wants to end; whoever could say so has gone with it.
async fn is_closing(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Pauses; whether the node wants to end meanwhile.
async fn is_closing_within(pause: Duration, closing: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = sleep(pause) => false,
        () = is_closing(closing) => true,
    }
}
