//! The apps file as the place where apps are changed. One change at a time; what an editor wrote in between is found by the
//! app's revision, which is a name of its content, and is never overwritten.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::{
    sync::{Mutex, oneshot},
    time::{sleep, timeout},
};

use super::{
    Change, ChangeError, Changed, Decided, Expected, Kept, Listed, Record, decide, file_text::FileText, write,
};
use crate::{
    app::Registry,
    config::{self, AppSettings},
    files::{self, Follower},
    protocol::{AppKey, Secret},
};

/// How long the file system may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a change may take to be in force before its caller is answered anyway, and how often that is looked at.
const IN_FORCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The apps file. Cheap to clone.
#[derive(Clone)]
pub struct FileStore(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// Revisions are made with it: nobody can find out a secret from one.
    seal: Secret,
    registry: Registry,
    follower: Follower,
    turn: Mutex<()>,
}

/// What is in force when a change is.
type Apps = Vec<(String, AppSettings)>;

impl FileStore {
    /// `seal` stays the same as long as revisions are to.
    pub fn new(path: PathBuf, seal: Secret, registry: Registry, follower: Follower) -> Self {
        Self(Arc::new(Shared { path, seal, registry, follower, turn: Mutex::default() }))
    }

    /// The apps in the file.
    pub(super) async fn read(&self) -> Result<Vec<Kept>, ChangeError> {
        let shared = self.0.clone();
        on_a_thread(move || shared.kept(&shared.text()?)).await
    }

    pub(super) async fn change(
        &self,
        id: &str,
        change: (Change, Expected),
        pair: AppKey,
    ) -> Result<Changed, ChangeError> {
        let _turn = self.0.turn.lock().await;
        let (shared, its_id) = (self.0.clone(), id.to_owned());
        let (changed, apps) = on_a_thread(move || shared.change(&its_id, change, pair)).await?;
        self.0.follower.look_now();
        // Where it takes longer, it is kept all the same.
        let _ = timeout(IN_FORCE, self.be_in_force(id, &apps)).await;
        Ok(changed)
    }

    async fn be_in_force(&self, id: &str, apps: &Apps) {
        let kept = apps.iter().find(|(other, _)| other == id).map(|(_, settings)| settings);
        while self.0.registry.by_id(id).map(|app| (**app.settings()).clone()).as_ref() != kept {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Shared {
    fn text(&self) -> Result<String, ChangeError> {
        files::read_text(&self.path).map_err(|error| self.failed("read", &error))
    }

    fn kept(&self, text: &str) -> Result<Vec<Kept>, ChangeError> {
        Ok(self.parse(text)?.records().map(|record| self.keep(record.clone())).collect())
    }

    fn keep(&self, record: Record) -> Kept {
        let mut seal =
            Hmac::<Sha256>::new_from_slice(self.seal.expose().as_bytes()).expect("a key may have any length");
        let object = serde_json::to_vec(&record.to_object()).expect("an object of JSON can be written");
        seal.update(&object);
        Kept { record, revision: hex::encode(&seal.finalize().into_bytes()[..12]) }
    }

    fn parse<'a>(&self, text: &'a str) -> Result<FileText<'a>, ChangeError> {
        FileText::parse(text).ok_or_else(|| {
            let problems = config::parse_apps(text).map_err(|problems| problems.to_string());
            let problem = problems.err().unwrap_or_else(|| "an app has no id".to_owned());
            ChangeError::Refused(format!("the apps file {} is broken; repair it first: {problem}", self.path.display()))
        })
    }

    fn change(&self, id: &str, change: (Change, Expected), pair: AppKey) -> Result<(Changed, Apps), ChangeError> {
        self.check_place()?;
        let text = self.text()?;
        let (file, (change, expected)) = (self.parse(&text)?, change);
        let before = file.records().find(|record| record.id == id).map(|record| self.keep(record.clone()));
        let Decided { record, drawn } = decide(id, before.as_ref(), (change, &expected), pair)?;
        let new = file.with(id, record.as_ref());
        let apps = config::parse_apps(&new).map_err(|problems| ChangeError::Invalid(problems.lines().to_vec()))?;
        if new != text {
            self.write(&text, &new)?;
        }
        let app = record.map(|record| Listed::from(self.keep(record)));
        Ok((Changed { app, is_new: before.is_none(), drawn }, apps))
    }

    /// A link would be replaced by a file, and whatever swaps links would take the change back.
    fn check_place(&self) -> Result<(), ChangeError> {
        let path = self.path.display();
        let metadata = fs::symlink_metadata(&self.path).map_err(|error| self.failed("read", &error))?;
        if metadata.is_symlink() {
            return Err(ChangeError::Refused(format!(
                "the apps file {path} is a symbolic link, as of a Kubernetes ConfigMap or Secret; change its source, or use a \
                 file of its own"
            )));
        }
        if metadata.permissions().readonly() {
            return Err(ChangeError::Refused(format!("the apps file {path} may not be written; change its rights")));
        }
        Ok(())
    }

    fn write(&self, before: &str, after: &str) -> Result<(), ChangeError> {
        if self.text()? != before {
            let path = self.path.display();
            return Err(ChangeError::Failed(format!("the apps file {path} was written meanwhile; try again")));
        }
        write::replace(&self.path, after.as_bytes()).map_err(|error| self.unwritten(&self.path, &error))
    }

    fn unwritten(&self, path: &Path, error: &io::Error) -> ChangeError {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ResourceBusy => {
                ChangeError::Refused(format!(
                    "the apps file {} cannot be replaced: {error}; the node must be allowed to write in its folder",
                    path.display()
                ))
            }
            _ => self.failed("written", error),
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> ChangeError {
        ChangeError::Failed(format!("the apps file {} cannot be {what}: {error}", self.path.display()))
    }
}

/// Nobody waits for a file system that hangs.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ChangeError> + Send + 'static,
) -> Result<T, ChangeError> {
    let (done, is_done) = oneshot::channel();
    let run = move || drop(done.send(work()));
    let failed = |text: String| ChangeError::Failed(text);
    std::thread::Builder::new().name("apps-file".to_owned()).spawn(run).map_err(|error| failed(error.to_string()))?;
    match timeout(PATIENCE, is_done).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(failed("the apps file was not changed: a thread ended".to_owned())),
        Err(_) => {
            Err(failed(format!("the apps file takes longer than {} s; its file system may hang", PATIENCE.as_secs())))
        }
    }
}
