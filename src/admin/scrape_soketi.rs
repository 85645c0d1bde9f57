//! Soketi's names in `/metrics`, where the operator wants them.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::exposition::{Exposition, Family};
use crate::{
    app::{App, AppCounters},
    metrics::{catalogue::Description, soketi},
};

/// How Soketi would name the metrics of a server.
#[derive(Debug, Clone)]
pub struct SoketiNames {
    /// What they begin with, a `_` at the end.
    pub prefix: String,
    /// Where the server listens: a label of each.
    pub port: u16,
}

impl SoketiNames {
    /// Shows the apps' metrics under these names.
    pub(super) fn show(&self, apps: &[Arc<App>], exposition: &mut Exposition) {
        let port = self.port.to_string();
        for (alias, value) in VALUES {
            let name = format!("{}{}", self.prefix, alias.theirs.name);
            let Description { kind, meaning, .. } = alias.theirs;
            let family = Family { name: &name, kind, labels: &["app_id", "port"], meaning };
            let row = |app: &Arc<App>| value(&app.counters) as f64;
            exposition.values(family, apps.iter().map(|app| ([&**app.id(), &*port], row(app))));
        }
    }
}

type Value = fn(&AppCounters) -> u64;

/// What stands under each alias.
const VALUES: [(soketi::Alias, Value); soketi::ALL.len()] = [
    (soketi::CONNECTED, |app| app.connections() as u64),
    (soketi::NEW_CONNECTIONS, |app| app.connections_opened.load(Relaxed)),
    (soketi::NEW_DISCONNECTIONS, |app| app.connections_closed.load(Relaxed)),
    (soketi::RECEIVED_BYTES, |app| app.bytes_in.load(Relaxed)),
    (soketi::TRANSMITTED_BYTES, |app| app.usage.bytes_out.load(Relaxed)),
    (soketi::MESSAGES_SENT, |app| app.usage.deliveries.load(Relaxed)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::permit::AppPermit, config::AppSettings};

    #[test]
    fn every_alias_is_shown_with_prefix_and_labels_as_soketi_has_them() {
        let app = App::new("one", AppSettings::new("key", "secret"));
        let _open = AppPermit::take(&app);
        drop(AppPermit::take(&app));
        app.counters.bytes_in.store(3, Relaxed);
        app.counters.usage.bytes_out.store(4, Relaxed);
        app.counters.usage.deliveries.store(5, Relaxed);
        let names = SoketiNames { prefix: "acme_".to_owned(), port: 6001 };
        let mut exposition = Exposition::default();
        names.show(&[app], &mut exposition);
        let text = exposition.finish();
        for (alias, value) in soketi::ALL.iter().zip([1, 2, 1, 3, 4, 5]) {
            let line = format!("acme_{}{{app_id=\"one\",port=\"6001\"}} {value}", alias.theirs.name);
            assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
        }
    }
}
