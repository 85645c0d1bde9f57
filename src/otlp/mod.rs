//! Exports spans to a collector of OpenTelemetry: OTLP over HTTP, as protobuf. All of it happens on one thread of its own,
//! which nothing waits for but the end of the node, and that not for long.

mod post;
mod request;
mod worker;

use std::time::Duration;

use actix::Arbiter;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::{config::TracesConfig, metrics::Metrics, outgoing::Trust, spans::Spans};

use worker::Worker;

/// The outcomes of spans, as `gaung_traces_spans_total` counts them.
const EXPORTED: &str = "exported";
const DROPPED: &str = "dropped";

/// What exports the spans of a node.
pub struct Exporter {
    closing: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Exporter {
    /// Starts the thread if there is a collector to export to; returns where spans go from then on. `instance` tells this
    /// process from others of the same name. To be called inside an actix system.
    pub fn start(config: &TracesConfig, instance: &str, trust: &Trust, metrics: &Metrics) -> Option<(Spans, Self)> {
        let collector = config.collector()?;
        let resource = request::resource(&config.resource(instance));
        let outcomes = [EXPORTED, DROPPED].map(|outcome| metrics.traces_spans.with_label_values(&[outcome]));
        let (spans, waiting) = Spans::sampled_by(config.sampler(), outcomes[1].clone());
        let ((closing, is_closing), (end, ended)) = (watch::channel(false), oneshot::channel());
        let trust = trust.clone();
        // Made on its thread, which its client cannot leave.
        let work = move || {
            let worker = Worker::new(post::Collector::new(&trust, collector), resource, outcomes);
            actix::spawn(async move {
                worker.run(waiting, is_closing).await;
                // Who has gone does not wait.
                let _ = end.send(());
            });
        };
        Arbiter::new().spawn_fn(work);
        Some((spans, Self { closing, ended }))
    }

    /// Exports what waits, each batch once, and ends. What the collector has not taken by the limit is lost.
    pub async fn close(self, limit: Duration) {
        self.closing.send_replace(true);
        if timeout(limit, self.ended).await.is_err() {
            tracing::warn!(limit_seconds = limit.as_secs(), "the last traces were not exported in time");
        }
    }
}
