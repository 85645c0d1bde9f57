//! How a node joins its cluster: opens the bus, and dispatches what comes over it to rooms and webhooks.

use std::{
    thread,
    time::{Duration, Instant},
};

use gaung_cluster::{
    NodeId,
    bus::{Bus, InvalidServer},
    core::Core,
    delivery::Sampling,
    frame,
    history::{self, HistorySettings},
    queue::QueueSettings,
};
use tokio::{runtime, task::JoinHandle, time::sleep};

use super::failures::Failures;
use crate::{
    app::Registry,
    app_store::AppStore,
    cluster::{BUS_THREAD, Cluster, HISTORY_THREAD, VERSION},
    config::{ClusterConfig, Config},
    metrics::Metrics,
    node::{app_sync::AppSync, inbound::Inbound},
    outgoing::Trust,
    readiness::Readiness,
    revocations::Revocations,
    session::services::Shared,
    spans::Spans,
    webhook::{Resources, Timing, Webhooks},
};

/// Bytes of events that may wait for the history stream. Most of them are those that the ring keeps anyway.
const MAX_UNSTORED_BYTES: usize = 32 << 20;

/// How often a node that starts looks whether it is in step with the others.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The bus and its handle, before the bus runs, and what stores events in the stream.
pub(super) struct ClusterSetup {
    pub cluster: Cluster,
    bus: Bus,
    storing: Option<history::Worker>,
}

/// Opens the setup. The node's name is drawn at random: a process that starts again is another node.
pub(super) fn open(config: &ClusterConfig) -> Result<ClusterSetup, InvalidServer> {
    let (cluster, bus) = Cluster::open(config, rand::random())?;
    let Some(stream) = config.history_stream else { return Ok(ClusterSetup { cluster, bus, storing: None }) };
    let settings = HistorySettings {
        bus: config.bus_settings(cluster.link().node(), VERSION),
        replicas: stream.replicas,
        max_bytes: stream.max_bytes,
        max_waiting_bytes: MAX_UNSTORED_BYTES,
    };
    let (stream, storing) = history::open(settings);
    Ok(ClusterSetup { cluster: cluster.with_stream(stream), bus, storing: Some(storing) })
}

/// The webhooks of a node, which a stream keeps if the cluster has one.
pub(super) fn webhooks(
    config: &Config,
    trust: &Trust,
    setup: Option<&ClusterSetup>,
    registry: &Registry,
    metrics: &Metrics,
) -> Webhooks {
    let stream =
        config.cluster.as_ref().zip(setup).and_then(|(config, setup)| stream(config, setup.cluster.link().node()));
    let resources = Resources { max_bytes: config.limits.max_webhook_bytes, trust: trust.clone() };
    let (metrics, timing) = (metrics.clone(), Timing::default());
    match stream {
        Some(stream) => Webhooks::start_with_stream(metrics, timing, resources, stream, registry.clone()),
        None => Webhooks::start(metrics, timing, resources),
    }
}

fn stream(config: &ClusterConfig, node: NodeId) -> Option<QueueSettings> {
    let name = config.webhook_stream.as_deref()?;
    Some(QueueSettings::new(config.bus_settings(node, VERSION), name, config.webhook_stream_replicas))
}

impl ClusterSetup {
    /// The same, whose events between nodes have spans.
    pub(super) fn with_spans(self, spans: &Spans) -> Self {
        Self { cluster: self.cluster.with_spans(spans.clone()), ..self }
    }

    /// Sets everything going; returns the tasks that look after it.
    pub(super) fn run(
        self,
        shared: &Shared,
        webhooks: &Webhooks,
        apps: AppStore,
        failures: &Failures,
    ) -> Vec<JoinHandle<()>> {
        let Self { cluster, bus, storing } = self;
        let mut inbound = Inbound {
            rooms: shared.rooms.clone(),
            repeats: shared.repeats.clone(),
            registry: shared.registry.clone(),
            webhooks: webhooks.clone(),
            cluster: cluster.clone(),
            xhr: shared.xhr.clone(),
            revocations: shared.revocations.clone(),
            metrics: shared.metrics.clone(),
            sampling: Sampling::default(),
            started: Instant::now(),
        };
        run_on_its_thread(BUS_THREAD, bus.run(move |output| inbound.dispatch(output)));
        if let Some(storing) = storing {
            run_on_its_thread(HISTORY_THREAD, store(storing));
        }
        let app_sync = AppSync::new(cluster.clone(), shared.registry.clone(), webhooks.clone());
        vec![
            actix::spawn(sync_apps(app_sync, shared.readiness.clone(), failures.clone())),
            actix::spawn(get_in_step(cluster, apps, shared.revocations.clone(), shared.readiness.clone())),
            actix::spawn(shared.revocations.clone().keep_in_step()),
        ]
    }
}

/// Waits until the node knows its apps, how things stand on all others and which tokens were revoked, and says so to those
/// who ask whether it is ready.
async fn get_in_step(cluster: Cluster, apps: AppStore, revocations: Revocations, readiness: Readiness) {
    apps.known().await;
    while let Some(stage) = cluster.link().ask(Core::readiness).await {
        if stage == frame::Readiness::Ready {
            revocations.learn().await;
            return readiness.in_step();
        }
        sleep(LOOK_EVERY).await;
    }
}

/// No arbiter, because nothing else may be on this thread, and because operators know a thread by its name.
pub(super) fn run_on_its_thread(name: &str, work: impl Future<Output = ()> + Send + 'static) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a thread has a runtime");
    let work = move || runtime.block_on(work);
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system has a thread for it");
}

async fn store(storing: history::Worker) {
    if let Err(error) = storing.run().await {
        tracing::error!(%error, "histories have no stream");
    }
}

/// Counts for the other nodes. Ends only if the bus does, which must not happen while the node runs: no room could open.
async fn sync_apps(app_sync: AppSync, readiness: Readiness, failures: Failures) {
    app_sync.run().await;
    readiness.drain();
    failures.tell("the thread that talks to NATS has ended");
}
