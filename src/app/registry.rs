//! Which apps there are. Looked up on the way of every request and every socket, so a lookup takes no lock; changed
//! by the one task that watches the apps file.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use arc_swap::ArcSwap;

use super::App;
use crate::{config::AppSettings, tenant::TenantChannels};

/// All apps of the node. Cheap to clone; clones see the same apps.
#[derive(Clone, Default)]
pub struct Registry(Arc<Shared>);

/// What became of one app when new settings were applied.
#[derive(Debug)]
pub enum AppChange {
    /// It is new.
    Added(Arc<App>),
    /// Its keys or settings are others now, and they hold already.
    Changed(Arc<App>),
    /// It was switched off: its sockets must be closed with 4003.
    Disabled(Arc<App>),
    /// It was switched on again.
    Enabled(Arc<App>),
    /// It is gone, and can no longer be found: its sockets must be closed.
    Removed(Arc<App>),
}

#[derive(Default)]
struct Shared {
    /// Whose the channels of all apps are.
    channels: TenantChannels,
    index: ArcSwap<Index>,
    /// Apps that were removed, for as long as a socket, a room or a request still holds one. Locked by the one who
    /// applies, so that two writers cannot overwrite one another. Readers never take it.
    removed: Mutex<HashMap<Arc<str>, Weak<App>>>,
}

/// Every app stands in `by_id` once and in `by_key` once for each of its keys.
#[derive(Default)]
struct Index {
    by_id: HashMap<Arc<str>, Arc<App>>,
    by_key: HashMap<String, Arc<App>>,
}

impl Registry {
    /// A registry of these apps: pairs of an id and its settings. Ids and keys are distinct, as `config` ensures.
    pub fn new(apps: Vec<(String, AppSettings)>) -> Self {
        Self::with_tenants(apps, TenantChannels::default())
    }

    /// The same, with other channels of tenants.
    pub fn with_tenants(apps: Vec<(String, AppSettings)>, channels: TenantChannels) -> Self {
        let registry = Self(Arc::new(Shared { channels, ..Shared::default() }));
        registry.apply(apps);
        registry
    }

    /// The app that owns this key. It may be disabled: the caller answers for that.
    pub fn by_key(&self, key: &str) -> Option<Arc<App>> {
        self.0.index.load().by_key.get(key).cloned()
    }

    /// The app of this id. It may be disabled: the caller answers for that.
    pub fn by_id(&self, id: &str) -> Option<Arc<App>> {
        self.0.index.load().by_id.get(id).cloned()
    }

    /// All apps, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<App>> {
        let mut apps: Vec<_> = self.0.index.load().by_id.values().cloned().collect();
        apps.sort_by(|one, other| one.id().cmp(other.id()));
        apps
    }

    /// The app, if there is exactly one.
    pub fn only(&self) -> Option<Arc<App>> {
        let index = self.0.index.load();
        let mut apps = index.by_id.values();
        apps.next().filter(|_| apps.next().is_none()).cloned()
    }

    /// The app of this id, or the only one where none is named.
    pub fn chosen(&self, id: Option<&str>) -> Option<Arc<App>> {
        id.map_or_else(|| self.only(), |id| self.by_id(id))
    }

    /// Makes these the apps, and tells what that changed. An app whose id stays keeps its object, so that its sockets
    /// and counters stay; only its settings are replaced. So does an app that comes back while anybody still holds the
    /// one that was removed: every holder of an app of an id sees the settings that hold now, and its sockets are all counted.
    pub fn apply(&self, apps: Vec<(String, AppSettings)>) -> Vec<AppChange> {
        let mut removed = self.0.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.index.load_full();
        let mut changes = Vec::new();
        let mut after = Index::default();
        for (id, settings) in apps {
            let app = match before.by_id.get(id.as_str()) {
                Some(app) => {
                    changes.extend(replace(app, settings));
                    app.clone()
                }
                None => {
                    let app = add(&id, settings, &self.0.channels, &mut removed);
                    changes.push(AppChange::Added(app.clone()));
                    app
                }
            };
            after.insert(app);
        }
        let gone: Vec<_> = self.all().into_iter().filter(|app| !after.by_id.contains_key(app.id())).collect();
        removed.retain(|_, app| app.strong_count() > 0);
        removed.extend(gone.iter().map(|app| (app.id().clone(), Arc::downgrade(app))));
        changes.extend(gone.into_iter().map(AppChange::Removed));
        self.0.index.store(Arc::new(after));
        changes
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

impl Index {
    fn insert(&mut self, app: Arc<App>) {
        for pair in &app.settings().keys {
            self.by_key.insert(pair.key.clone(), app.clone());
        }
        self.by_id.insert(app.id().clone(), app);
    }
}

/// The app that was removed, with new settings, if anybody holds it still; else a new one.
fn add(
    id: &str,
    settings: AppSettings,
    channels: &TenantChannels,
    removed: &mut HashMap<Arc<str>, Weak<App>>,
) -> Arc<App> {
    let Some(app) = removed.remove(id).and_then(|app| app.upgrade()) else {
        return App::with_tenants(id, settings, channels.clone());
    };
    app.replace_settings(settings);
    app
}

fn replace(app: &Arc<App>, settings: AppSettings) -> Option<AppChange> {
    let before = app.settings();
    if **before == settings {
        return None;
    }
    let change = match (before.enabled, settings.enabled) {
        (true, false) => AppChange::Disabled,
        (false, true) => AppChange::Enabled,
        (true, true) | (false, false) => AppChange::Changed,
    };
    app.replace_settings(settings);
    Some(change(app.clone()))
}

impl AppChange {
    pub fn app(&self) -> &Arc<App> {
        match self {
            Self::Added(app) | Self::Changed(app) | Self::Disabled(app) | Self::Enabled(app) | Self::Removed(app) => {
                app
            }
        }
    }

    /// What became of the app, in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "added",
            Self::Changed(_) => "changed",
            Self::Disabled(_) => "disabled",
            Self::Enabled(_) => "enabled",
            Self::Removed(_) => "removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::AppKey;

    fn app(id: &str) -> (String, AppSettings) {
        (id.to_owned(), AppSettings::new(format!("{id}-key"), "secret"))
    }

    fn with(id: &str, change: impl Fn(&mut AppSettings)) -> (String, AppSettings) {
        let (id, mut settings) = app(id);
        change(&mut settings);
        (id, settings)
    }

    fn check(before: Vec<(String, AppSettings)>, after: Vec<(String, AppSettings)>, expected: &[&str]) {
        let changes = Registry::new(before).apply(after);
        let told: Vec<_> = changes.iter().map(|change| format!("{} {}", change.name(), change.app().id())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn an_app_is_found_by_its_id_and_by_each_of_its_keys() {
        let second = AppKey { key: "new".to_owned(), secret: crate::protocol::Secret::new("s") };
        let registry = Registry::new(vec![with("a", |settings| settings.keys.push(second.clone())), app("b")]);
        assert_eq!(&**registry.by_id("a").unwrap().id(), "a");
        assert_eq!(&**registry.by_key("a-key").unwrap().id(), "a");
        assert_eq!(&**registry.by_key("new").unwrap().id(), "a");
        assert!(registry.by_key("a").is_none());
        assert!(registry.by_id("a-key").is_none());
    }

    #[test]
    fn the_only_app_is_the_one_without_a_second() {
        assert!(Registry::new(vec![]).only().is_none());
        assert_eq!(&**Registry::new(vec![app("a")]).only().unwrap().id(), "a");
        assert!(Registry::new(vec![app("a"), app("b")]).only().is_none());
    }

    #[test]
    fn apps_are_listed_in_the_order_of_their_ids() {
        let registry = Registry::new(vec![app("c"), app("a"), app("b")]);
        let ids: Vec<_> = registry.all().iter().map(|app| app.id().to_string()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    #[test]
    fn applying_tells_what_became_of_each_app() {
        let off = |settings: &mut AppSettings| settings.enabled = false;
        let limited = |settings: &mut AppSettings| settings.max_connections = Some(7);
        check(vec![app("a")], vec![app("a")], &[]);
        check(vec![app("a")], vec![app("a"), app("b")], &["added b"]);
        check(vec![app("a")], vec![with("a", limited)], &["changed a"]);
        check(vec![app("a")], vec![with("a", off)], &["disabled a"]);
        check(vec![with("a", off)], vec![app("a")], &["enabled a"]);
        check(vec![app("a"), app("b"), app("c")], vec![app("b")], &["removed a", "removed c"]);
        check(vec![app("a")], vec![app("b")], &["added b", "removed a"]);
    }

    #[test]
    fn an_app_that_stays_keeps_its_object_and_gets_the_new_settings() {
        let registry = Registry::new(vec![app("a")]);
        let held = registry.by_id("a").unwrap();
        registry.apply(vec![with("a", |settings| settings.max_connections = Some(7))]);
        assert_eq!(held.settings().max_connections, Some(7));
        assert!(Arc::ptr_eq(&held, &registry.by_id("a").unwrap()));
    }

    #[test]
    fn a_key_that_was_taken_away_is_found_no_more() {
        let registry = Registry::new(vec![app("a")]);
        registry.apply(vec![with("a", |settings| settings.keys[0].key = "new".to_owned())]);
        assert!(registry.by_key("a-key").is_none());
        assert!(registry.by_key("new").is_some());
    }

    #[test]
    fn an_app_that_was_removed_is_found_no_more() {
        let registry = Registry::new(vec![app("a"), app("b")]);
        registry.apply(vec![app("b")]);
        assert!(registry.by_id("a").is_none());
        assert!(registry.by_key("a-key").is_none());
    }

    #[test]
    fn an_app_that_comes_back_is_the_one_that_somebody_still_holds_with_the_new_settings() {
        let registry = Registry::new(vec![app("a")]);
        let held = registry.by_id("a").unwrap();
        registry.apply(vec![]);
        registry.apply(vec![app("b")]);
        registry.apply(vec![with("a", |settings| settings.max_connections = Some(7))]);
        assert!(Arc::ptr_eq(&held, &registry.by_id("a").unwrap()));
        assert_eq!(held.settings().max_connections, Some(7));
    }

    #[test]
    fn apps_that_nobody_holds_any_more_are_forgotten() {
        let registry = Registry::new(vec![app("a")]);
        registry.apply(vec![]);
        registry.apply(vec![app("b")]);
        assert!(registry.0.removed.lock().unwrap().is_empty());
    }

    #[test]
    fn clones_see_the_same_apps() {
        let registry = Registry::new(vec![app("a")]);
        let clone = registry.clone();
        registry.apply(vec![app("b")]);
        assert!(clone.by_id("b").is_some());
    }
}
