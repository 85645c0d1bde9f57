//! Soketi's names in `/metrics`, where the operator wants them.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus::{Registry, proto::MetricFamily};

use super::exposition::Exposition;
use crate::{
    app::{App, AppCounters},
    metrics::soketi,
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
    /// The apps' metrics under these names.
    pub(super) fn metrics(&self, apps: &[Arc<App>]) -> prometheus::Result<Vec<MetricFamily>> {
        // The registry puts the `_` between prefix and name itself.
        let prefix = self.prefix.strip_suffix('_').unwrap_or(&self.prefix).to_owned();
        let port = HashMap::from([("port".to_owned(), self.port.to_string())]);
        let exposition = Exposition(Registry::new_custom(Some(prefix), Some(port))?);
        let rows = |value: fn(&AppCounters) -> u64| {
            apps.iter().map(move |app| ([&**app.id()], value(&app.counters) as f64)).collect::<Vec<_>>()
        };
        exposition.gauge(&soketi::CONNECTED.theirs, rows(|app| app.connections() as u64))?;
        exposition.counter(&soketi::NEW_CONNECTIONS.theirs, rows(|app| app.connections_opened.load(Relaxed)))?;
        exposition.counter(&soketi::NEW_DISCONNECTIONS.theirs, rows(|app| app.connections_closed.load(Relaxed)))?;
        exposition.counter(&soketi::RECEIVED_BYTES.theirs, rows(|app| app.bytes_in.load(Relaxed)))?;
        exposition.counter(&soketi::TRANSMITTED_BYTES.theirs, rows(|app| app.bytes_out.load(Relaxed)))?;
        exposition.counter(&soketi::MESSAGES_SENT.theirs, rows(|app| app.deliveries.load(Relaxed)))?;
        Ok(exposition.0.gather())
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;
    use crate::{app::permit::AppPermit, config::AppSettings};

    #[test]
    fn every_alias_is_shown_with_prefix_and_labels_as_soketi_has_them() {
        let app = App::new("one", AppSettings::new("key", "secret"));
        let _open = AppPermit::take(&app);
        drop(AppPermit::take(&app));
        app.counters.bytes_in.store(3, Relaxed);
        app.counters.bytes_out.store(4, Relaxed);
        app.counters.deliveries.store(5, Relaxed);
        let names = SoketiNames { prefix: "acme_".to_owned(), port: 6001 };
        let text = TextEncoder::new().encode_to_string(&names.metrics(&[app]).unwrap()).unwrap();
        for (alias, value) in soketi::ALL.iter().zip([1, 2, 1, 3, 4, 5]) {
            let line = format!("acme_{}{{app_id=\"one\",port=\"6001\"}} {value}", alias.theirs.name);
            assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
        }
    }
}
