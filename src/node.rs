//! One node: wires everything, runs it, and takes it down in order. Used by `gaung serve` and by the tests.

mod app_sync;
mod apps;
mod apps_file;
mod failures;
mod foundation;
mod h2;
pub(crate) mod inbound;
mod join;
mod last_events;
mod listen;
mod nodes_file;
mod ports;
mod rebalancing;
mod start_error;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_server::ServerHandle;
use futures_util::future::{join, join_all, pending};
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

pub use start_error::StartError;

use failures::Failures;
use foundation::Foundation;
use listen::Workers;
use ports::{Ports, SharedPorts};

use crate::{
    admin::PublicPort,
    app::Registry,
    cluster::Cluster,
    config::{AppsSource, Config, DrainConfig},
    files::Follower,
    metrics::Metrics,
    otlp::Exporter,
    page::Pages,
    readiness::Readiness,
    session::registry::{Drain, EndRevoked, SessionRegistries},
    tls,
    webhook::{HAND_BACK, Webhooks},
};

/// How long sessions may take, after the drain's window, to hear their close frame.
const MAX_CLOSING: Duration = Duration::from_secs(5);

/// How long webhooks that wait may take at the end, less what sessions took beyond the drain's window.
const LAST_WEBHOOKS: Duration = Duration::from_secs(10);

/// How long the other nodes keep the members of this one after it has gone, so that users who come back to another
/// node in that time never seem to have left.
const HOLD: Duration = Duration::from_secs(10);

/// How long the other nodes can ask after the last session has closed: a client is back after a second.
const LAST_QUESTIONS: Duration = Duration::from_secs(3);

/// How long what waits for the other nodes may take to reach NATS at the end.
const LAST_PUBLISHES: Duration = Duration::from_secs(2);

/// How long what waits for the history stream may take at the end to be stored.
const LAST_STORES: Duration = Duration::from_secs(2);

// Everything that may have to wait for somebody else's fault has its time.
const _: () = assert!(
    LAST_WEBHOOKS.as_secs() + HAND_BACK.as_secs() + LAST_STORES.as_secs() <= DrainConfig::MARGIN.as_secs(),
    "an orchestrator would kill the node before it has ended"
);

/// How long the last spans may take to be exported, while what waits for NATS and its stream is sent.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The pause after all sessions were looked at for revoked tokens.
const REVOKED_PAUSE: Duration = Duration::from_millis(50);

/// How often a drain looks whether sessions remain.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running node. Dropping it stops nothing; [`Node::leave`] and [`Node::stop`] do.
pub struct Node {
    /// Where clients and back ends connect.
    pub public: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    pub metrics: Metrics,
    /// Its apps, which count what becomes of their sockets and requests.
    pub registry: Registry,
    servers: [ServerHandle; 2],
    watches: Vec<JoinHandle<()>>,
    followers: Vec<Follower>,
    failed: UnboundedReceiver<String>,
    registries: SessionRegistries,
    readiness: Readiness,
    webhooks: Webhooks,
    cluster: Option<Cluster>,
    pages: Pages,
    exporter: Option<Exporter>,
    drain: DrainConfig,
    /// Where another process may listen beside this one.
    shared_ports: Option<SharedPorts>,
}

impl Node {
    /// Starts everything; returns when both listeners accept. Needs an actix system.
    pub async fn start(config: Config, apps: AppsSource) -> Result<Self, StartError> {
        tls::install_crypto_provider();
        let ports = Ports::bind(&config)?;
        let certificate = certificate(&config).map_err(StartError::Tls)?;
        let (foundation, setup) = Foundation::lay(&config, &apps)?;
        let workers = Workers::new(config.server.http_threads, foundation.shares);
        let shared = foundation.shared(&config, workers);
        let (public_address, admin_address) = (ports.public.address, ports.admin.address);
        let path_prefix = shared.path_prefix.clone();
        let public_port = PublicPort { port: public_address.port(), tls: certificate.is_some(), path_prefix };
        let (registries, readiness) = (SessionRegistries::default(), shared.readiness.clone());
        let watched = apps::watch(&apps, &config, &foundation, &registries);
        let store = watched.store;
        let admin_page = foundation.admin(&config, &shared, public_port, store.clone());
        let pages = shared.rooms.pages().clone();
        let rebalancer = foundation.rebalancer(&config, &registries, &readiness);
        let Foundation { metrics, registry, webhooks, cluster, exporter, key_reader, .. } = foundation;
        let (failures, failed) = Failures::channel();
        let files = follow_certificate(certificate.as_ref(), &metrics).into_iter();
        let files = files.chain(follow_nodes(&config, cluster.as_ref(), &metrics)).chain(watched.file);
        let (followers, mut watches): (Vec<_>, Vec<_>) = files.unzip();
        watches.extend(rebalancer.map(actix::spawn).into_iter().chain(key_reader));
        watches.push(actix::spawn(shared.repeats.clone().sweep()));
        watches.push(actix::spawn(end_revoked(shared.revocations.changes(), registries.clone())));
        watches.extend(setup.into_iter().flat_map(|setup| setup.run(&shared, &webhooks, store.clone(), &failures)));
        let tls = certificate.map(|(config, _)| config);
        let (public, admin, shared_ports) = ports.listen()?;
        let servers = [
            listen::public(public, shared, workers, tls, (registries.clone(), failures.clone())),
            listen::admin(admin, admin_page, config.http.keep_alive, failures),
        ];
        Ok(Self {
            public: public_address,
            admin: admin_address,
            metrics,
            servers,
            watches,
            followers,
            failed,
            registry,
            registries,
            readiness,
            webhooks,
            cluster,
            pages,
            exporter,
            drain: config.drain,
            shared_ports,
        })
    }

    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Reads the apps file and the certificate again at once, whatever they look like, and nothing else.
    pub fn reload(&self) {
        self.followers.iter().for_each(Follower::look_now);
    }

    /// Waits until a part of the node has ended that must not, and says which. The node is of no use from then on.
    pub async fn failed(&mut self) -> String {
        match self.failed.recv().await {
            Some(reason) => reason,
            None => pending().await,
        }
    }

    /// Goes away as after SIGTERM: load balancers have the lag to notice, then [`Node::stop`].
    pub async fn leave(self) {
        self.readiness.leave(Instant::now());
        self.leave_ports();
        if !self.drain.lag.is_zero() {
            tracing::info!(
                seconds = self.drain.lag.as_secs(),
                "reporting not ready; serving goes on until load balancers notice"
            );
            sleep(self.drain.lag).await;
        }
        self.stop().await;
    }

    /// Turns not ready, closes the sessions over the drain's window, posts the webhooks that wait, and stops listening.
    /// The other nodes are told first, and hear everything before the end. Takes no longer than
    /// [`DrainConfig::end`].
    pub async fn stop(mut self) {
        self.readiness.leave(Instant::now());
        self.leave_ports();
        self.readiness.drain();
        if timeout(self.drain.end(), self.end()).await.is_err() {
            tracing::warn!("the shutdown timed out; unfinished work is lost");
        }
    }

    /// Who listens beside this process takes what is new.
    fn leave_ports(&self) {
        if let Some(ports) = &self.shared_ports {
            ports.leave();
        }
    }

    /// The other nodes are told only here: who leaves during the lag has left, and is not to be held.
    async fn end(&mut self) {
        if let Some(cluster) = &self.cluster {
            cluster.say_bye(HOLD);
        }
        let began = Instant::now();
        let closed = self.close_sessions().await;
        let late = began.elapsed().saturating_sub(self.drain.window);
        join(self.webhooks.flush(LAST_WEBHOOKS.saturating_sub(late)), self.tell_others(closed)).await;
        self.watches.iter().for_each(JoinHandle::abort);
        if let Some(cluster) = &self.cluster {
            // After the last sync of the apps: what is left here stays.
            self.registry.all().iter().for_each(|app| cluster.connections(app.id(), app.counters.connections()));
        }
        // What is posted until the listeners have closed must reach the other nodes too.
        join_all(self.servers.iter().map(|server| server.stop(true))).await;
        let exporter = self.exporter.take();
        let exported = async {
            if let Some(exporter) = exporter {
                exporter.close(LAST_SPANS).await;
            }
        };
        join(self.close_bus(), exported).await;
        tracing::info!("stopped");
    }

    async fn close_bus(&self) {
        let Some(cluster) = &self.cluster else { return };
        cluster.link().close(LAST_PUBLISHES).await;
        if let Some(stream) = cluster.stream() {
            stream.close(LAST_STORES).await;
        }
    }

    /// Who was closed last comes back to a node that may have to ask this one what its channels kept. Pages that have not
    /// come back by then are known to other nodes from then on.
    async fn tell_others(&self, closed: Closed) {
        let Some(cluster) = &self.cluster else { return };
        let keeps = self.registry.all().iter().any(|app| app.settings().history.longest().is_some());
        if !keeps || !cluster.has_peers().await {
            return;
        }
        if closed == Closed::Some {
            sleep(LAST_QUESTIONS).await;
        }
        self.pages.leave_to(cluster).await;
    }

    /// Whether there were any.
    async fn close_sessions(&self) -> Closed {
        let any = self.registry.all().iter().any(|app| app.counters.connections() > 0);
        let registries = self.registries.lock().expect("no thread panics while it signs in").clone();
        registries.iter().for_each(|sessions| sessions.do_send(Drain(self.drain.window)));
        let all_closed = async {
            // Every session has a permit, from before its handshake is answered to its end.
            while self.registry.all().iter().any(|app| app.counters.connections() > 0) {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(self.drain.window + MAX_CLOSING, all_closed).await.is_err() {
            tracing::warn!("some sessions did not close in time");
        }
        if any { Closed::Some } else { Closed::None }
    }
}

/// Whether sessions were closed at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    Some,
    None,
}

/// What follows the certificate files, if there are any.
fn follow_certificate(certificate: Option<&Certificate>, metrics: &Metrics) -> Option<(Follower, JoinHandle<()>)> {
    let (follower, work) = tls::watch(certificate?.1.clone(), metrics.clone());
    Some((follower, actix::spawn(work)))
}

/// Has sessions closed whose tokens were revoked. Many revocations at once are one look at all sessions.
async fn end_revoked(mut changes: watch::Receiver<()>, registries: SessionRegistries) {
    while changes.changed().await.is_ok() {
        for sessions in registries.lock().expect("no thread panics while it signs in").iter() {
            sessions.do_send(EndRevoked);
        }
        sleep(REVOKED_PAUSE).await;
    }
}

/// What follows the number of nodes, if a file says it.
fn follow_nodes(config: &Config, cluster: Option<&Cluster>, metrics: &Metrics) -> Option<(Follower, JoinHandle<()>)> {
    let (of_nodes, link) = (config.cluster.as_ref()?, cluster?.link().clone());
    let path = of_nodes.nodes_file.clone()?;
    let (follower, work) = nodes_file::watch(path, of_nodes.expected_nodes, link, metrics.clone());
    Some((follower, actix::spawn(work)))
}

/// The listener's TLS configuration and the certificate that [`tls::watch`] renews.
type Certificate = (Arc<rustls::ServerConfig>, Arc<tls::Certificate>);

fn certificate(config: &Config) -> Result<Option<Certificate>, tls::TlsError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => tls::server_config(cert, key).map(Some),
        (None, _) | (_, None) => Ok(None),
    }
}
