//! Follows the apps file: a change is in force within a second, and a broken file changes nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{
    app::{AppChange, Registry},
    config,
    files::{self, Follower, Look},
    metrics::Metrics,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A file system's clock is coarse: a file that was written this recently may be written again within the same tick,
/// so its stamp proves nothing yet.
const STAMP_IS_FRESH: Duration = Duration::from_secs(2);

/// Looks at the apps file twice a second for as long as the future is polled, applies what changed, and hands each change
/// on, so that the sockets of apps that are gone or disabled can be closed. Reads on a thread of its own.
pub(super) fn watch(
    path: PathBuf,
    registry: Registry,
    metrics: Metrics,
    on_change: impl Fn(AppChange),
) -> (Follower, impl Future<Output = ()>) {
    let mut file = AppsFile::new(path);
    let counts = metrics.clone();
    let look = move |look| file.look(look, &registry, &counts, SystemTime::now());
    files::follow("apps file", LOOK_EVERY, metrics, look, move |changes: Vec<AppChange>| {
        changes.into_iter().for_each(&on_change);
    })
}

/// The file as it was when we last looked.
struct AppsFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    content: Option<Content>,
}

/// What cannot stay the same when the file changes, but for two writes within a tick. The resolved path is among it
/// because Kubernetes swaps a symbolic link to publish a new version.
#[derive(PartialEq)]
struct Stamp {
    resolved: PathBuf,
    modified: SystemTime,
    length: u64,
}

/// The text, or why there is none.
type Content = Result<String, String>;

impl AppsFile {
    fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, content: None }
    }

    /// Applies the file if it holds anything else than at the last look or if that is asked for, and returns what that
    /// changed.
    fn look(&mut self, look: Look, registry: &Registry, metrics: &Metrics, now: SystemTime) -> Vec<AppChange> {
        if look == Look::Asked {
            (self.stamp, self.content) = (None, None);
        }
        let Some(content) = self.read(now) else { return Vec::new() };
        let apps = content.clone().and_then(|text| config::parse_apps(&text).map_err(|problems| problems.to_string()));
        let first = self.content.replace(content).is_none();
        match apps {
            Ok(apps) => {
                let changes = registry.apply(apps);
                // The registry was made from the file: the first look counts only if it found another one.
                if !(first && changes.is_empty()) {
                    metrics.reloads.with_label_values(&["applied"]).inc();
                    self.tell(&changes, registry);
                } else if look == Look::Asked {
                    tracing::info!(file = %self.path.display(), "apps file reloaded, unchanged");
                }
                changes
            }
            Err(problems) => {
                metrics.reloads.with_label_values(&["refused"]).inc();
                tracing::error!(file = %self.path.display(), problems, "apps file refused; the current apps stay in force");
                Vec::new()
            }
        }
    }

    /// What the file holds, if that is anything else than at the last look.
    fn read(&mut self, now: SystemTime) -> Option<Content> {
        let stamp = Stamp::of(&self.path).ok();
        if stamp == self.stamp && stamp.as_ref().is_some_and(|stamp| stamp.is_settled(now)) {
            return None;
        }
        self.stamp = stamp;
        let content = files::read_text(&self.path).map_err(|error| format!("it cannot be read: {error}"));
        (self.content.as_ref() != Some(&content)).then_some(content)
    }

    fn tell(&self, changes: &[AppChange], registry: &Registry) {
        for change in changes {
            tracing::info!(app = %change.app().id(), change = change.name(), "app reloaded");
        }
        let (changes, apps) = (changes.len(), registry.all().len());
        tracing::info!(file = %self.path.display(), changes, apps, "apps file applied");
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let resolved = fs::canonicalize(path)?;
        let metadata = fs::metadata(&resolved)?;
        Ok(Self { resolved, modified: metadata.modified()?, length: metadata.len() })
    }

    /// A time in the future proves as little as a fresh one.
    fn is_settled(&self, now: SystemTime) -> bool {
        now.duration_since(self.modified).is_ok_and(|age| age > STAMP_IS_FRESH)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        process,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    /// A directory of its own for each test, removed afterwards.
    struct Directory(PathBuf);

    impl Directory {
        fn new() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("gaung-watch-{}-{number}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// A file that was read once, with the registry that was made from it.
    struct Watched {
        directory: Directory,
        file: AppsFile,
        registry: Registry,
        metrics: Metrics,
    }

    impl Watched {
        fn new(text: &str) -> Self {
            let directory = Directory::new();
            let file = AppsFile::new(directory.write("apps.json", text));
            let registry = Registry::new(config::parse_apps(text).unwrap());
            let mut watched = Self { directory, file, registry, metrics: Metrics::new() };
            assert_eq!(watched.look(), [""; 0]);
            watched
        }

        fn look(&mut self) -> Vec<String> {
            self.look_as(Look::Routine)
        }

        fn look_as(&mut self, look: Look) -> Vec<String> {
            let changes = self.file.look(look, &self.registry, &self.metrics, SystemTime::now());
            changes.iter().map(|change| format!("{} {}", change.name(), change.app().id())).collect()
        }

        fn reloads(&self) -> (u64, u64) {
            let count = |outcome| self.metrics.reloads.with_label_values(&[outcome]).get();
            (count("applied"), count("refused"))
        }
    }

    const ONE: &str = r#"[{"id":"a","key":"a-key","secret":"s"}]"#;
    const TWO: &str = r#"[{"id":"a","key":"a-key","secret":"s"},{"id":"b","key":"b-key","secret":"s"}]"#;
    /// As long as `ONE`.
    const OTHER_KEY: &str = r#"[{"id":"a","key":"b-key","secret":"s"}]"#;

    #[test]
    fn a_file_that_stays_the_same_changes_and_counts_nothing() {
        let mut watched = Watched::new(ONE);
        assert_eq!(watched.look(), [""; 0]);
        assert_eq!(watched.reloads(), (0, 0));
    }

    #[test]
    fn a_changed_file_is_applied_and_counted() {
        let mut watched = Watched::new(ONE);
        watched.directory.write("apps.json", TWO);
        assert_eq!(watched.look(), ["added b"]);
        watched.directory.write("apps.json", ONE);
        assert_eq!(watched.look(), ["removed b"]);
        assert_eq!(watched.reloads(), (2, 0));
    }

    #[test]
    fn a_change_of_the_same_length_within_one_tick_of_the_clock_is_seen() {
        let mut watched = Watched::new(ONE);
        watched.directory.write("apps.json", OTHER_KEY);
        assert_eq!(watched.look(), ["changed a"]);
    }

    #[test]
    fn a_change_between_start_and_first_look_is_applied() {
        let directory = Directory::new();
        let mut file = AppsFile::new(directory.write("apps.json", TWO));
        let registry = Registry::new(config::parse_apps(ONE).unwrap());
        assert_eq!(file.look(Look::Routine, &registry, &Metrics::new(), SystemTime::now()).len(), 1);
    }

    #[test]
    fn a_broken_file_keeps_the_apps_and_is_counted_once_per_content() {
        let mut watched = Watched::new(ONE);
        watched.directory.write("apps.json", "[{");
        assert_eq!(watched.look(), [""; 0]);
        assert_eq!(watched.look(), [""; 0]);
        assert!(watched.registry.by_key("a-key").is_some());
        assert_eq!(watched.reloads(), (0, 1));
        watched.directory.write("apps.json", TWO);
        assert_eq!(watched.look(), ["added b"]);
        assert_eq!(watched.reloads(), (1, 1));
    }

    #[test]
    fn a_file_that_vanished_keeps_the_apps_and_is_counted_once() {
        let mut watched = Watched::new(ONE);
        fs::remove_file(&watched.file.path).unwrap();
        assert_eq!(watched.look(), [""; 0]);
        assert_eq!(watched.look(), [""; 0]);
        assert!(watched.registry.by_id("a").is_some());
        assert_eq!(watched.reloads(), (0, 1));
    }

    #[test]
    fn a_look_that_is_asked_for_reads_what_looks_the_same_and_tells_a_refusal_again() {
        let mut watched = Watched::new(ONE);
        assert_eq!(watched.look_as(Look::Asked), [""; 0]);
        assert_eq!(watched.reloads(), (0, 0));
        watched.directory.write("apps.json", "[{");
        assert_eq!((watched.look(), watched.look_as(Look::Asked)), (vec![], vec![]));
        assert_eq!(watched.reloads(), (0, 2));
    }

    #[test]
    fn a_pipe_in_the_place_of_the_file_keeps_the_apps_and_is_not_waited_for() {
        let mut watched = Watched::new(ONE);
        let path = watched.directory.0.join("apps.json");
        fs::remove_file(&path).unwrap();
        assert!(process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(watched.look(), [""; 0]);
        assert!(watched.registry.by_id("a").is_some());
        assert_eq!(watched.reloads(), (0, 1));
    }

    #[test]
    fn a_swapped_symbolic_link_is_followed_though_time_and_length_are_the_same() {
        let directory = Directory::new();
        let written = SystemTime::now() - STAMP_IS_FRESH * 2;
        for (name, text) in [("first", ONE), ("second", OTHER_KEY)] {
            let path = directory.write(&format!("{name}/apps.json"), text);
            fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
        }
        let link = directory.0.join("current");
        symlink("first", &link).unwrap();
        let mut file = AppsFile::new(link.join("apps.json"));
        let registry = Registry::new(config::parse_apps(ONE).unwrap());
        let mut look = || file.look(Look::Routine, &registry, &Metrics::new(), SystemTime::now()).len();
        assert_eq!((look(), look()), (0, 0));
        symlink("second", directory.0.join("next")).unwrap();
        fs::rename(directory.0.join("next"), &link).unwrap();
        assert_eq!(look(), 1);
    }

    #[tokio::test]
    async fn every_change_reaches_the_registry_and_then_the_listener() {
        let directory = Directory::new();
        let path = directory.write("apps.json", ONE);
        let registry = Registry::new(config::parse_apps(ONE).unwrap());
        let (told, mut heard) = mpsc::unbounded_channel();
        let seen = registry.clone();
        let (_follower, work) = watch(path, registry, Metrics::new(), move |change| {
            told.send((change.name(), seen.by_id("b").is_some())).unwrap();
        });
        let task = tokio::spawn(work);
        for (text, expected) in [(TWO, ("added", true)), (ONE, ("removed", false)), (TWO, ("added", true))] {
            directory.write("apps.json", text);
            assert_eq!(timeout(Duration::from_secs(10), heard.recv()).await.unwrap(), Some(expected));
        }
        task.abort();
    }
}
