//! One node: wires everything, runs it, and takes it down in order. Used by `gaung serve` and by the tests.

mod app_sync;
mod apps_file;
mod h2;
pub(crate) mod inbound;
mod join;
mod listen;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix::Addr;
use actix_server::ServerHandle;
use futures_util::future::{join_all, pending};
use gaung_cluster::bus::InvalidServer;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::JoinHandle,
    time::{sleep, timeout},
};

use listen::Workers;

use crate::{
    admin::{Admin, ConsoleSettings, PublicPort, SoketiNames},
    app::{AppChange, Registry},
    capacity::Capacity,
    cluster::Cluster,
    config::{AdminConfig, AppsSource, Config, DrainConfig},
    connection::{address::Addresses, permits::ConnectionPermits},
    descriptors::{Shares, TooFew},
    files::Follower,
    metrics::Metrics,
    outgoing::Trust,
    process,
    protocol::Close,
    readiness::Readiness,
    repeats::Repeats,
    room::Rooms,
    session::{
        registry::{CloseApp, Drain, SessionRegistry},
        services::Shared,
    },
    tls,
    webhook::Webhooks,
};

/// How long sessions may take, after the drain's window, to hear their close frame.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long webhooks that wait may take at the end, less what sessions took of their farewell.
const LAST_WEBHOOKS: Duration = Duration::from_secs(10);

/// How long the other nodes keep the members of this one after it has gone, so that users who come back elsewhere in
/// that time never seem to have left.
const HOLD: Duration = Duration::from_secs(10);

/// How long the last words to the other nodes may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often a drain looks whether sessions remain.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running node. Dropping it stops nothing; [`Node::leave`] and [`Node::stop`] do.
pub struct Node {
    /// Where clients and back ends connect.
    pub public: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    pub metrics: Metrics,
    servers: [ServerHandle; 2],
    watches: Vec<JoinHandle<()>>,
    followers: Vec<Follower>,
    failed: UnboundedReceiver<String>,
    registry: Registry,
    registries: SessionRegistries,
    readiness: Readiness,
    webhooks: Webhooks,
    cluster: Option<Cluster>,
    drain: DrainConfig,
}

/// The registries of the HTTP threads, which sign in when they start.
type SessionRegistries = Arc<Mutex<Vec<Addr<SessionRegistry>>>>;

/// What of the node has ended that must not. Cheap to clone.
#[derive(Clone)]
struct Failures(UnboundedSender<String>);

/// Why a node did not start. The operator must act.
#[derive(Debug)]
pub enum StartError {
    Listen {
        address: SocketAddr,
        /// The variables that set it.
        settings: &'static str,
        error: io::Error,
    },
    Tls(tls::TlsError),
    /// `GAUNG_CA` cannot be used.
    Trust(String),
    /// `GAUNG_NATS_URL` names no server.
    Cluster(InvalidServer),
    /// There are not enough descriptors to serve anybody.
    Descriptors(TooFew),
}

impl Node {
    /// Starts everything; returns when both listeners accept. Needs an actix system.
    pub async fn start(config: Config, apps: AppsSource) -> Result<Self, StartError> {
        tls::install_crypto_provider();
        let public = bind(config.server.host, config.server.port, "GAUNG_HOST, GAUNG_PORT")?;
        let admin = bind(config.admin.host, config.admin.port, "GAUNG_ADMIN_HOST, GAUNG_ADMIN_PORT")?;
        let certificate = certificate(&config).map_err(StartError::Tls)?;
        let shares = shares(&config).map_err(StartError::Descriptors)?;
        let metrics = Metrics::new();
        let registry = Registry::new(apps.apps().to_vec());
        let setup = config.cluster.as_ref().map(join::open).transpose().map_err(StartError::Cluster)?;
        let trust = Trust::new(config.outgoing.ca.as_deref()).map_err(StartError::Trust)?;
        let webhooks = join::webhooks(&config, &trust, setup.as_ref(), &registry, &metrics);
        let cluster = setup.as_ref().map(|setup| setup.cluster.clone());
        let rooms = Rooms::start(config.server.room_threads, &config.limits, &webhooks, &metrics, cluster.clone());
        let readiness = readiness(&config, shares, cluster.as_ref());
        let addresses = Addresses::new(config.limits.max_connections_per_ip, config.limits.ipv6_client_prefix);
        let workers = Workers::new(config.server.http_threads, shares);
        let shared = Shared {
            registry: registry.clone(),
            rooms,
            repeats: Repeats::new(config.limits.max_idempotency_bytes, cluster.clone(), metrics.clone()),
            metrics: metrics.clone(),
            permits: ConnectionPermits::new(workers.connections(&config.http), &config.limits, addresses.clone()),
            addresses,
            limits: config.limits,
            http: config.http,
            tenant: config.tenant,
            callback_log: Arc::default(),
            trust,
            path_prefix: config.server.path_prefix,
            refuses_upgrades: config.drain.refuses_upgrades,
            readiness: readiness.clone(),
            started: Instant::now(),
        };
        let (public_address, admin_address) = (local(&public), local(&admin));
        let admin_page = Admin {
            registry: registry.clone(),
            rooms: shared.rooms.clone(),
            webhooks: webhooks.clone(),
            metrics: metrics.clone(),
            link: cluster.as_ref().map(|cluster| cluster.link().clone()),
            permits: shared.permits.clone(),
            readiness: readiness.clone(),
            started: shared.started,
            drain_limit: config.drain.limit(),
            soketi_names: soketi_names(&config.admin, public_address.port()),
            console: console_settings(config.admin, &shared, (public_address.port(), certificate.is_some())),
            version: env!("CARGO_PKG_VERSION"),
        };
        let registries = SessionRegistries::default();
        let (failures, failed) = mpsc::unbounded_channel();
        let failures = Failures(failures);
        let (followers, mut watches) = watches(&apps, &shared.registry, &metrics, &registries, certificate.as_ref());
        watches.push(actix::spawn(shared.repeats.clone().sweep()));
        watches.extend(setup.into_iter().flat_map(|setup| setup.run(&shared, &webhooks, &failures)));
        let tls = certificate.map(|(config, _)| config);
        let servers = [
            listen::public(public, shared, workers, tls, (registries.clone(), failures.clone())),
            listen::admin(admin, admin_page, failures),
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
            drain: config.drain,
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
    pub async fn stop(self) {
        self.readiness.leave(Instant::now());
        self.readiness.drain();
        if timeout(self.drain.end(), self.end()).await.is_err() {
            tracing::warn!("the shutdown timed out; unfinished work is lost");
        }
    }

    /// The other nodes are told only here: who leaves during the lag has left, and is not to be held.
    async fn end(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.say_bye(HOLD);
        }
        let began = Instant::now();
        self.close_sessions().await;
        let late = began.elapsed().saturating_sub(self.drain.window);
        self.webhooks.flush(LAST_WEBHOOKS.saturating_sub(late)).await;
        self.watches.iter().for_each(JoinHandle::abort);
        if let Some(cluster) = &self.cluster {
            // After the last sync of the apps: what is left here stays.
            self.registry.all().iter().for_each(|app| cluster.connections(app.id(), app.counters.connections()));
        }
        // What is posted until the listeners have closed must reach the other nodes too.
        join_all(self.servers.iter().map(|server| server.stop(true))).await;
        if let Some(cluster) = &self.cluster {
            cluster.link().close(LAST_WORDS).await;
        }
        tracing::info!("stopped");
    }

    async fn close_sessions(&self) {
        let registries = self.registries.lock().expect("no thread panics while it signs in").clone();
        registries.iter().for_each(|sessions| sessions.do_send(Drain(self.drain.window)));
        let all_closed = async {
            // Every session has a permit, from before its handshake is answered to its end.
            while self.registry.all().iter().any(|app| app.counters.connections() > 0) {
                sleep(LOOK_EVERY).await;
            }
        };
        if timeout(self.drain.window + FAREWELL, all_closed).await.is_err() {
            tracing::warn!("some sessions did not close in time");
        }
    }
}

/// The names of metrics for those who come from Soketi, if they are wanted.
fn soketi_names(admin: &AdminConfig, port: u16) -> Option<SoketiNames> {
    let prefix = admin.soketi_metrics_prefix.clone()?;
    Some(SoketiNames { prefix, port })
}

fn console_settings(admin: AdminConfig, shared: &Shared, (port, tls): (u16, bool)) -> ConsoleSettings {
    ConsoleSettings {
        token: admin.token,
        shows_payloads: admin.console_payloads,
        public: PublicPort { port, tls, path_prefix: shared.path_prefix.clone() },
        api: listen::api(shared),
    }
}

/// `None` where the system tells no limit.
fn shares(config: &Config) -> Result<Option<Shares>, TooFew> {
    let threads = config.server.http_threads + config.server.room_threads;
    let Some(shares) = process::max_descriptors().map(|limit| Shares::of(limit, threads)).transpose()? else {
        return Ok(None);
    };
    if let Some(set) = config.limits.max_connections.filter(|set| *set as u64 > shares.sockets) {
        tracing::warn!(
            set,
            sockets = shares.sockets,
            descriptors = shares.limit,
            "GAUNG_MAX_CONNECTIONS exceeds what the file-descriptor limit allows; the node accepts fewer sockets"
        );
    }
    Ok(Some(shares))
}

fn readiness(config: &Config, shares: Option<Shares>, cluster: Option<&Cluster>) -> Readiness {
    let capacity = Capacity::within(&config.limits, shares);
    let Some(cluster) = cluster else { return Readiness::alone(capacity) };
    let lifeline = (!config.admin.ready_without_nats).then(|| cluster.link().clone());
    Readiness::in_cluster(capacity, lifeline)
}

impl Failures {
    /// Nobody may listen any more, where the node stops.
    fn tell(&self, failure: impl Into<String>) {
        let _ = self.0.send(failure.into());
    }
}

/// What asks for a look at the apps file and the certificate files, and the tasks that take in what the looks find.
fn watches(
    apps: &AppsSource,
    registry: &Registry,
    metrics: &Metrics,
    registries: &SessionRegistries,
    certificate: Option<&Certificate>,
) -> (Vec<Follower>, Vec<JoinHandle<()>>) {
    let apps = match apps {
        AppsSource::File { path, .. } => {
            Some(follow_apps(path.clone(), registry.clone(), metrics.clone(), registries.clone()))
        }
        AppsSource::Fixed(_) | AppsSource::Development(_) => None,
    };
    let certificate = certificate.map(|(_, certificate)| {
        let (follower, work) = tls::watch(certificate.clone(), metrics.clone());
        (follower, actix::spawn(work))
    });
    apps.into_iter().chain(certificate).unzip()
}

fn follow_apps(
    path: PathBuf,
    registry: Registry,
    metrics: Metrics,
    registries: SessionRegistries,
) -> (Follower, JoinHandle<()>) {
    let (follower, work) = apps_file::watch(path, registry, metrics, move |change| {
        let (app, close) = match change {
            AppChange::Added(_) | AppChange::Changed(_) | AppChange::Enabled(_) => return,
            AppChange::Disabled(app) => (app, Close::AppDisabled),
            AppChange::Removed(app) => (app, Close::AppUnknown),
        };
        for sessions in registries.lock().expect("no thread panics while it signs in").iter() {
            sessions.do_send(CloseApp { app_id: app.id().clone(), close });
        }
    });
    (follower, actix::spawn(work))
}

/// The listener's TLS configuration and the certificate that [`tls::watch`] renews.
type Certificate = (Arc<rustls::ServerConfig>, Arc<tls::Certificate>);

fn certificate(config: &Config) -> Result<Option<Certificate>, tls::TlsError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => tls::server_config(cert, key).map(Some),
        (None, _) | (_, None) => Ok(None),
    }
}

fn bind(host: IpAddr, port: u16, settings: &'static str) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(host, port);
    listen::bind(address).map_err(|error| StartError::Listen { address, settings, error })
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound listener has an address")
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, settings, error } => write!(f, "cannot listen on {address} ({settings}): {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::Descriptors(error) => error.fmt(f),
            Self::Trust(error) => f.write_str(error),
            Self::Cluster(error) => write!(f, "cannot join the cluster (GAUNG_NATS_URL): {error}"),
        }
    }
}

impl std::error::Error for StartError {}
