//! Where the node's apps come from, what watches that place, and where they are changed.

use std::sync::PoisonError;

use gaung_cluster::records::{self, RecordSettings};
use rand::random;
use tokio::task::JoinHandle;

use super::{apps_file, foundation::Foundation, join::run_on_its_thread};
use crate::{
    app::AppChange,
    app_store::{AppStore, FileStore, NatsStore, Seal},
    cluster::VERSION,
    config::{AppsSource, AppsStoreConfig, Config},
    files::Follower,
    protocol::{Close, Secret},
    session::registry::{CloseApp, SessionRegistries},
};

/// The name of the thread that follows the apps in NATS, as the system shows it.
const APPS_THREAD: &str = "gaung-apps";

/// Where apps are changed, and what puts it into force.
pub(super) struct Watched {
    pub(super) store: AppStore,
    /// What follows the apps file, if there is one.
    pub(super) file: Option<(Follower, JoinHandle<()>)>,
}

pub(super) fn watch(
    apps: &AppsSource,
    config: &Config,
    foundation: &Foundation,
    registries: &SessionRegistries,
) -> Watched {
    let registry = foundation.registry.clone();
    match apps {
        AppsSource::File { path, .. } => {
            let close = closer(registries.clone());
            let (follower, work) = apps_file::watch(path.clone(), registry.clone(), foundation.metrics.clone(), close);
            // Without a token nobody changes anything, and revisions need not outlive the process.
            let seal = config.admin.token.clone().unwrap_or_else(|| Secret::new(hex::encode(random::<[u8; 32]>())));
            let store = AppStore::File(FileStore::new(path.clone(), seal, registry, follower.clone()));
            Watched { store, file: Some((follower, actix::spawn(work))) }
        }
        AppsSource::Nats(settings) => {
            let store = follow_nats(settings, config, foundation, closer(registries.clone()));
            let store = store.map_or_else(|| AppStore::Fixed(registry), AppStore::Nats);
            Watched { store, file: None }
        }
        AppsSource::Fixed(_) | AppsSource::Development(_) => Watched { store: AppStore::Fixed(registry), file: None },
    }
}

/// `None` for a node that is alone, which no sound configuration has.
fn follow_nats(
    settings: &AppsStoreConfig,
    config: &Config,
    foundation: &Foundation,
    on_change: impl Fn(AppChange) + Send + Sync + 'static,
) -> Option<NatsStore> {
    let (cluster, node) = (config.cluster.as_ref()?, foundation.cluster.as_ref()?.link().node());
    let bus = cluster.bus_settings(node, VERSION);
    let (stream, worker) = records::open(RecordSettings { bus, replicas: settings.replicas });
    let seal = Seal::new(&settings.key_bytes(), cluster.name.as_str());
    let (registry, metrics) = (foundation.registry.clone(), foundation.metrics.clone());
    let store = NatsStore::open(stream, seal, settings.cache.clone(), registry, metrics);
    let hears = store.clone();
    run_on_its_thread(APPS_THREAD, async move {
        if let Err(error) = worker.run(|heard| hears.hear(heard, &on_change)).await {
            tracing::error!(%error, "the apps in NATS cannot be followed");
        }
    });
    Some(store)
}

/// Closes the sockets of apps that are gone or disabled.
fn closer(registries: SessionRegistries) -> impl Fn(AppChange) + Send + Sync + 'static {
    move |change| {
        let (app, close) = match change {
            AppChange::Added(_) | AppChange::Changed(_) | AppChange::Enabled(_) => return,
            AppChange::Disabled(app) => (app, Close::AppDisabled),
            AppChange::Removed(app) => (app, Close::AppUnknown),
        };
        for sessions in registries.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            sessions.do_send(CloseApp { app_id: app.id().clone(), close });
        }
    }
}
