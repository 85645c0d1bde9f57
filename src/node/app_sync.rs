//! How many sockets each app and each tenant has, and what else is limited, told to the other nodes and heard from them; which apps want webhooks, and which nodes
//! share the posting. Looked at now and then, so that no socket ever waits for it.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use gaung_cluster::{
    NodeId,
    core::{Core, Input},
    totals::RemoteUsage,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::{
        App, Registry,
        tenants::Tenant,
        usage::{Resource, Usage},
    },
    cluster::Cluster,
    webhook::Webhooks,
};

/// How often the apps are looked at. A connection quota over all nodes is exact but for what happens in that time.
const EVERY: Duration = Duration::from_millis(250);

/// What was told so far.
pub(super) struct AppSync {
    cluster: Cluster,
    registry: Registry,
    webhooks: Webhooks,
    told: HashMap<Arc<str>, usize>,
    told_of_tenants: HashMap<(Arc<str>, Arc<str>), usize>,
    wanting: BTreeSet<Arc<str>>,
    nodes: BTreeSet<NodeId>,
}

impl AppSync {
    /// Has announced nothing yet.
    pub(super) fn new(cluster: Cluster, registry: Registry, webhooks: Webhooks) -> Self {
        let (told, wanting, nodes) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { cluster, registry, webhooks, told, told_of_tenants: HashMap::new(), wanting, nodes }
    }

    /// Counts until the bus is gone.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let apps = self.registry.all();
            self.tell_connections(&apps);
            self.tell_tenants(&apps);
            self.tell_webhooks(&apps);
            if !self.hear(&apps).await {
                return;
            }
        }
    }

    /// An app that is gone keeps its counter as long as sockets do; they are closed, so it is told as empty.
    fn tell_connections(&mut self, apps: &[Arc<App>]) {
        let counts = apps.iter().map(|app| (app.id().clone(), app.counters.connections())).collect();
        tell_changed(&mut self.told, counts, |app_id, sockets| self.cluster.connections(app_id, sockets));
    }

    fn tell_tenants(&mut self, apps: &[Arc<App>]) {
        let of_app = |app: &Arc<App>| {
            let sockets = |tenant: &Tenant| tenant.usage.local(Resource::Connections);
            let tenants = app.tenants().all().into_iter().filter(|tenant| sockets(tenant) > 0);
            tenants.map(|tenant| ((app.id().clone(), tenant.id().clone()), sockets(&tenant))).collect::<Vec<_>>()
        };
        let counts = apps.iter().flat_map(of_app).collect();
        let tell = |(app, tenant): &(_, _), sockets| self.cluster.tenant_connections(app, tenant, sockets);
        tell_changed(&mut self.told_of_tenants, counts, tell);
    }

    fn tell_webhooks(&mut self, apps: &[Arc<App>]) {
        let wanting = apps.iter().filter(|app| !app.settings().webhooks.is_empty());
        let wanting: BTreeSet<_> = wanting.map(|app| app.id().clone()).collect();
        if wanting != self.wanting {
            self.wanting.clone_from(&wanting);
            self.cluster.link().send(Input::Webhooks(wanting));
        }
    }

    /// Returns whether the bus is still there.
    async fn hear(&mut self, apps: &[Arc<App>]) -> bool {
        let ids: Vec<Arc<str>> = apps.iter().map(|app| app.id().clone()).collect();
        let answer = self.cluster.link().ask(move |core| {
            let remote: Vec<_> = ids.iter().map(|app_id| RemoteOfApp::of(core, app_id)).collect();
            (remote, core.ready_nodes())
        });
        let Some((remote, nodes)) = answer.await else { return false };
        for (app, remote) in apps.iter().zip(remote) {
            remote.apply(app);
            app.set_nodes(nodes.len().max(1));
        }
        if nodes != self.nodes {
            self.nodes.clone_from(&nodes);
            self.webhooks.set_nodes(nodes);
        }
        true
    }
}

/// Tells what has changed since it was told. What is counted no longer is none.
fn tell_changed<K: Eq + Hash>(told: &mut HashMap<K, usize>, counts: HashMap<K, usize>, tell: impl Fn(&K, usize)) {
    let gone = told.keys().filter(|key| !counts.contains_key(*key)).map(|key| (key, &0));
    for (key, count) in counts.iter().chain(gone) {
        if told.get(key).copied().unwrap_or_default() != *count {
            tell(key, *count);
        }
    }
    *told = counts;
}

/// What an app and its tenants have on other nodes only.
struct RemoteOfApp {
    of_app: RemoteUsage,
    of_tenants: HashMap<Arc<str>, RemoteUsage>,
}

impl RemoteOfApp {
    fn of(core: &Core, app_id: &str) -> Self {
        let of_tenants = core.remote_usage_of_tenants(app_id).map(|(tenant, usage)| (tenant.clone(), usage));
        Self { of_app: core.remote_usage(app_id), of_tenants: of_tenants.collect() }
    }

    /// A tenant of which nothing is known there any more has nothing there.
    fn apply(self, app: &App) {
        set_remote(&app.counters.usage, self.of_app);
        for tenant in app.tenants().all() {
            if !self.of_tenants.contains_key(tenant.id()) {
                set_remote(&tenant.usage, RemoteUsage::default());
            }
        }
        for (tenant, remote) in self.of_tenants {
            set_remote(&app.tenants().get(&tenant).usage, remote);
        }
    }
}

fn set_remote(usage: &Usage, remote: RemoteUsage) {
    let RemoteUsage { connections, subscriptions, rooms, members } = remote;
    let counts = [
        (Resource::Connections, connections),
        (Resource::Subscriptions, subscriptions),
        (Resource::Channels, rooms),
        (Resource::Members, members),
    ];
    for (resource, count) in counts {
        usage.set_remote(resource, usize::try_from(count).unwrap_or(usize::MAX));
    }
}
