//! What the two listeners of a node stand on, made from its configuration before anything runs.

use std::{sync::Arc, time::Instant};

use tokio::task::JoinHandle;

use super::{
    join::{self, ClusterSetup},
    listen::{self, Workers},
    rebalancing::Rebalancer,
    start_error::StartError,
};
use crate::{
    admin::{Admin, ConsoleSettings, PublicPort, SoketiNames},
    app::Registry,
    app_store::AppStore,
    capacity::Capacity,
    cluster::Cluster,
    config::{AppsSource, Config},
    connection::{address::Addresses, arrivals::Arrivals, permits::ConnectionPermits},
    descriptors::{Shares, TooFew},
    issuer::Issuer,
    metrics::Metrics,
    otlp::Exporter,
    outgoing::Trust,
    page::Pages,
    process,
    readiness::Readiness,
    rebalance::SharedStage,
    repeats::Repeats,
    revocations::Revocations,
    room::Rooms,
    session::{registry::SessionRegistries, services::Shared, xhr::XhrSessions},
    webhook::Webhooks,
};

pub(super) struct Foundation {
    pub(super) metrics: Metrics,
    pub(super) registry: Registry,
    pub(super) webhooks: Webhooks,
    /// `None` if the node is alone.
    pub(super) cluster: Option<Cluster>,
    /// How the sockets are spread over the nodes; `None` where they are not moved.
    pub(super) rebalance: Option<SharedStage>,
    /// `None` where the system tells no limit of descriptors.
    pub(super) shares: Option<Shares>,
    /// What exports spans, if anything does.
    pub(super) exporter: Option<Exporter>,
    /// What tokens of plain sockets are verified with.
    pub(super) issuer: Issuer,
    /// What reads the keys of their issuer, if anything does.
    pub(super) key_reader: Option<JoinHandle<()>>,
    trust: Trust,
}

impl Foundation {
    /// With the bus, which does not run yet, of a node that belongs to a cluster.
    pub(super) fn lay(config: &Config, apps: &AppsSource) -> Result<(Self, Option<ClusterSetup>), StartError> {
        let shares = shares(config).map_err(StartError::Descriptors)?;
        let mut metrics = Metrics::new();
        let registry = Registry::with_tenants(apps.apps().to_vec(), config.tenant.channels.clone());
        let setup = config.cluster.as_ref().map(join::open).transpose().map_err(StartError::Cluster)?;
        let trust = Trust::new(config.outgoing.ca.as_deref()).map_err(StartError::Trust)?;
        let (issuer, reader) = Issuer::new(&config.issuer, &trust).map_err(StartError::Issuer)?;
        let key_reader = reader.map(actix::spawn);
        let exporter = export(config, setup.as_ref(), &trust, &mut metrics);
        let setup = setup.map(|setup| setup.with_spans(&metrics.spans));
        let webhooks = join::webhooks(config, &trust, setup.as_ref(), &registry, &metrics);
        let cluster = setup.as_ref().map(|setup| setup.cluster.clone());
        let moves = config.cluster.as_ref().is_some_and(|cluster| cluster.rebalance.is_some());
        let rebalance = moves.then(SharedStage::default);
        Ok((
            Self { metrics, registry, webhooks, cluster, rebalance, shares, exporter, issuer, key_reader, trust },
            setup,
        ))
    }

    /// What the public listener works with. Starts the threads of the rooms.
    pub(super) fn shared(&self, config: &Config, workers: Workers) -> Shared {
        let (limits, metrics, cluster) = (&config.limits, &self.metrics, &self.cluster);
        let addresses = Addresses::new(limits.max_connections_per_ip, limits.ipv6_client_prefix);
        Shared {
            registry: self.registry.clone(),
            rooms: Rooms::start(
                config.server.room_threads,
                limits,
                &self.webhooks,
                metrics,
                cluster.clone(),
                Pages::start(&config.pages, cluster.clone(), metrics),
            ),
            repeats: Repeats::new(limits.max_idempotency_bytes, cluster.clone(), metrics.clone()),
            metrics: metrics.clone(),
            permits: ConnectionPermits::new(workers.connections(&config.http), limits, addresses.clone()),
            addresses,
            arrivals: Arc::new(Arrivals::new(limits, config.server.http_threads)),
            limits: limits.clone(),
            http: config.http.clone(),
            tenant: config.tenant.clone(),
            issuer: self.issuer.clone(),
            revocations: Revocations::new(cluster.clone()),
            pages: config.pages.clone(),
            callback_log: Arc::default(),
            trust: self.trust.clone(),
            path_prefix: config.server.path_prefix.clone(),
            refuses_upgrades: config.drain.refuses_upgrades,
            readiness: self.readiness(config),
            xhr: XhrSessions::new(cluster.clone()),
            started: Instant::now(),
        }
    }

    fn readiness(&self, config: &Config) -> Readiness {
        let capacity = Capacity::within(&config.limits, self.shares);
        let Some(cluster) = &self.cluster else { return Readiness::alone(capacity) };
        let lifeline = (!config.admin.ready_without_nats).then(|| cluster.link().clone());
        Readiness::in_cluster(capacity, lifeline)
    }

    /// What moves sockets to other nodes, if anything does.
    pub(super) fn rebalancer(
        &self,
        config: &Config,
        registries: &SessionRegistries,
        readiness: &Readiness,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let rules = config.cluster.as_ref()?.rebalance?;
        let rebalancer = Rebalancer {
            cluster: self.cluster.clone()?,
            registry: self.registry.clone(),
            registries: registries.clone(),
            readiness: readiness.clone(),
            shown: self.rebalance.clone()?,
        };
        Some(rebalancer.run(rules))
    }

    /// What the admin port shows.
    pub(super) fn admin(&self, config: &Config, shared: &Shared, public: PublicPort, apps: AppStore) -> Admin {
        Admin {
            apps,
            registry: self.registry.clone(),
            rooms: shared.rooms.clone(),
            webhooks: self.webhooks.clone(),
            metrics: self.metrics.clone(),
            link: self.cluster.as_ref().map(|cluster| cluster.link().clone()),
            stream: self.cluster.as_ref().and_then(|cluster| cluster.stream().cloned()),
            rebalance: self.rebalance.clone(),
            issuer: self.issuer.clone(),
            permits: shared.permits.clone(),
            readiness: shared.readiness.clone(),
            started: shared.started,
            drain_limit: config.drain.limit(),
            soketi_names: soketi_names(config, public.port),
            console: ConsoleSettings {
                token: config.admin.token.clone(),
                shows_payloads: config.admin.console_payloads,
                public,
                api: listen::api(shared),
            },
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Starts what exports spans, if anything is to; from then on they are recorded.
fn export(config: &Config, setup: Option<&ClusterSetup>, trust: &Trust, metrics: &mut Metrics) -> Option<Exporter> {
    // A node has its name in a cluster, and is another one when it starts again.
    let node = setup.map_or_else(rand::random, |setup| setup.cluster.link().node().bits());
    let (spans, exporter) = Exporter::start(&config.traces, &format!("{node:016x}"), trust, metrics)?;
    metrics.spans = spans;
    Some(exporter)
}

/// The names of metrics for those who come from Soketi, if they are wanted.
fn soketi_names(config: &Config, port: u16) -> Option<SoketiNames> {
    let prefix = config.admin.soketi_metrics_prefix.clone()?;
    Some(SoketiNames { prefix, port })
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
