//! How many sockets each app has, told to the other nodes and heard from them; which apps want webhooks, and which nodes
//! share the posting. Looked at now and then, so that no socket ever waits for it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use gaung_cluster::{NodeId, core::Input};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::{App, Registry},
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
    wanting: BTreeSet<Arc<str>>,
    nodes: BTreeSet<NodeId>,
}

impl AppSync {
    /// Has announced nothing yet.
    pub(super) fn new(cluster: Cluster, registry: Registry, webhooks: Webhooks) -> Self {
        let (told, wanting, nodes) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { cluster, registry, webhooks, told, wanting, nodes }
    }

    /// Counts until the bus is gone.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let apps = self.registry.all();
            self.tell_connections(&apps);
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
            let remote: Vec<u64> = ids.iter().map(|app_id| core.remote_connections(app_id)).collect();
            (remote, core.ready_nodes())
        });
        let Some((counts, nodes)) = answer.await else { return false };
        for (app, sockets) in apps.iter().zip(counts) {
            app.counters.set_remote_connections(usize::try_from(sockets).unwrap_or(usize::MAX));
        }
        if nodes != self.nodes {
            self.nodes.clone_from(&nodes);
            self.webhooks.set_nodes(nodes);
        }
        true
    }
}
