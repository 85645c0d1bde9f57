//! Where the apps are kept, and how they are changed while the server runs: in the apps file, in NATS, or nowhere that could
//! be changed. What is kept comes into force the way in which it always does, by those who watch it.
//!
//! The way of a change: `change` decides what becomes of the one app → the store finds the result sound with all other apps
//! and keeps it, whole or not at all → it is in force → the caller writes one line about it.

mod cache;
mod change;
mod file;
mod file_text;
pub mod import;
mod known;
mod nats;
mod record;
mod sealed;
mod write;

use crate::app::Registry;

pub use change::{Change, ChangeError, Decided, Expected, Kept, Oldest, Place, decide, pair_of};
pub use file::FileStore;
pub use nats::{NatsStore, StoreStatus};
pub use record::{MASK, Record, ShownApp};
pub use sealed::{KEY_BYTES, Seal};

use crate::protocol::AppKey;

/// Where the apps are kept. Cheap to clone.
#[derive(Clone)]
pub enum AppStore {
    /// In the environment: they change with a restart.
    Fixed(Registry),
    /// In the apps file.
    File(FileStore),
    /// In NATS, for all nodes.
    Nats(NatsStore),
}

/// An app as it is kept, and its state; without a revision where it cannot be changed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub app: ShownApp,
    pub revision: Option<String>,
}

/// What became of a change that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// `None` if the app is gone.
    pub app: Option<Listed>,
    /// Whether it was not there before.
    pub is_new: bool,
    /// The pair that was drawn for it, to be told once.
    pub drawn: Option<AppKey>,
}

impl AppStore {
    /// All apps that are kept, in the order of their ids.
    pub async fn list(&self) -> Result<Vec<Listed>, ChangeError> {
        let mut apps = match self {
            Self::Fixed(registry) => registry.all().iter().map(|app| fixed(app.id(), &app.settings())).collect(),
            Self::File(store) => listed(store.read().await?),
            Self::Nats(store) => listed(store.list()?),
        };
        apps.sort_by(|one, other| one.app.id.cmp(&other.app.id));
        Ok(apps)
    }

    /// Changes one app. Returns when the change is kept, and in force on this node unless that takes seconds.
    pub async fn change(&self, id: &str, change: Change, expected: Expected) -> Result<Changed, ChangeError> {
        let pair = pair_of(std::array::from_fn(|_| rand::random()));
        match self {
            Self::Fixed(_) => Err(ChangeError::Refused(
                "the apps stand in the environment and change with a restart; set GAUNG_APPS_FILE to a file that the node may \
                 write, or GAUNG_APPS_STORE to nats, to change them while it runs"
                    .to_owned(),
            )),
            Self::File(store) => store.change(id, (change, expected), pair).await,
            Self::Nats(store) => store.change(id, (change, expected), pair).await,
        }
    }
}

impl AppStore {
    /// How the apps in NATS fare; `None` if they are kept elsewhere.
    pub fn status(&self) -> Option<StoreStatus> {
        match self {
            Self::Nats(store) => Some(store.status()),
            Self::Fixed(_) | Self::File(_) => None,
        }
    }

    /// Waits until it is known which apps there are.
    pub async fn known(&self) {
        match self {
            Self::Nats(store) => store.known().await,
            Self::Fixed(_) | Self::File(_) => {}
        }
    }
}

fn fixed(id: &str, settings: &crate::config::AppSettings) -> Listed {
    Listed { app: ShownApp::of_settings(id, settings), revision: None }
}

fn listed(kept: Vec<Kept>) -> Vec<Listed> {
    kept.into_iter().map(Listed::from).collect()
}

impl From<Kept> for Listed {
    fn from(Kept { record, revision }: Kept) -> Self {
        Self { app: record.show(), revision: Some(revision) }
    }
}
