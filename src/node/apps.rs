//! Where the node's apps come from, what watches that place, and where they are changed.

use std::sync::PoisonError;

use rand::random;
use tokio::task::JoinHandle;

use super::{apps_file, foundation::Foundation};
use crate::{
    app::AppChange,
    app_store::{AppStore, FileStore},
    config::{AppsSource, Config},
    files::Follower,
    protocol::{Close, Secret},
    session::registry::{CloseApp, SessionRegistries},
};

/// Where apps are changed, and what puts it into force.
pub(super) struct Watched {
    pub(super) store: AppStore,
    pub(super) followers: Vec<Follower>,
    pub(super) tasks: Vec<JoinHandle<()>>,
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
            Watched { store, followers: vec![follower], tasks: vec![actix::spawn(work)] }
        }
        AppsSource::Fixed(_) | AppsSource::Development(_) => {
            Watched { store: AppStore::Fixed(registry), followers: Vec::new(), tasks: Vec::new() }
        }
    }
}

/// Closes the sockets of apps that are gone or disabled.
fn closer(registries: SessionRegistries) -> impl Fn(AppChange) + Send + 'static {
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
