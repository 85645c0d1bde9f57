//! How many sockets each app and each tenant has, and what else is limited, told to the other nodes and heard from them; which apps want webhooks, and which nodes
//! share the posting. Looked at now and then, so that no socket ever waits for it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use gaung_cluster::{
    NodeId,
    core::{Core, Input},
    totals::Elsewhere,
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::{
        App, Registry,
        usage::{Kept, Usage},
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
        let counts: HashMap<_, _> = apps.iter().map(|app| (app.id().clone(), app.counters.connections())).collect();
        let gone = self.told.keys().filter(|app_id| !counts.contains_key(*app_id)).map(|app_id| (app_id, &0));
        for (app_id, sockets) in counts.iter().chain(gone) {
            if self.told.get(app_id).copied().unwrap_or_default() != *sockets {
                self.cluster.connections(app_id, *sockets);
            }
        }
        self.told = counts;
    }

    fn tell_tenants(&mut self, apps: &[Arc<App>]) {
        let mut counts = HashMap::new();
        for app in apps {
            for tenant in app.tenants().all() {
                let sockets = tenant.usage.here(Kept::Connections);
                if sockets > 0 {
                    counts.insert((app.id().clone(), tenant.id().clone()), sockets);
                }
            }
        }
        let gone = self.told_of_tenants.keys().filter(|of| !counts.contains_key(*of)).map(|of| (of, &0));
        for (of, sockets) in counts.iter().chain(gone) {
            if self.told_of_tenants.get(of).copied().unwrap_or_default() != *sockets {
                self.cluster.tenant_connections(&of.0, &of.1, *sockets);
            }
        }
        self.told_of_tenants = counts;
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
            let known: Vec<_> = ids.iter().map(|app_id| KnownOfApp::of(core, app_id)).collect();
            (known, core.ready_nodes())
        });
        let Some((known, nodes)) = answer.await else { return false };
        for (app, known) in apps.iter().zip(known) {
            known.tell(app);
            app.set_nodes(nodes.len().max(1));
        }
        if nodes != self.nodes {
            self.nodes.clone_from(&nodes);
            self.webhooks.set_nodes(nodes);
        }
        true
    }
}

/// What an app and its tenants have on other nodes only.
struct KnownOfApp {
    connections: u64,
    elsewhere: Elsewhere,
    tenants: HashMap<Arc<str>, Elsewhere>,
}

impl KnownOfApp {
    fn of(core: &Core, app_id: &Arc<str>) -> Self {
        Self {
            connections: core.remote_connections(app_id),
            elsewhere: core.elsewhere(app_id),
            tenants: core.tenants_elsewhere(app_id).map(|(tenant, known)| (tenant.clone(), known)).collect(),
        }
    }

    /// Those of whom nothing is known elsewhere any more have nothing there.
    fn tell(self, app: &App) {
        set_elsewhere(&app.counters.usage, Elsewhere { connections: self.connections, ..self.elsewhere });
        for tenant in app.tenants().all() {
            if !self.tenants.contains_key(tenant.id()) {
                set_elsewhere(&tenant.usage, Elsewhere::default());
            }
        }
        for (tenant, elsewhere) in self.tenants {
            set_elsewhere(&app.tenants().get(&tenant).usage, elsewhere);
        }
    }
}

fn set_elsewhere(usage: &Usage, elsewhere: Elsewhere) {
    let Elsewhere { connections, subscriptions, rooms, members } = elsewhere;
    let counts = [
        (Kept::Connections, connections),
        (Kept::Subscriptions, subscriptions),
        (Kept::Channels, rooms),
        (Kept::Members, members),
    ];
    for (kept, count) in counts {
        usage.set_elsewhere(kept, usize::try_from(count).unwrap_or(usize::MAX));
    }
}
