//! The text of one scrape in the making.

use prometheus::{CounterVec, GaugeVec, Registry};

use crate::metrics::catalogue::Description;

pub(super) struct Exposition(pub(super) Registry);

impl Exposition {
    pub(super) fn gauge<'a, const LABELS: usize>(
        &self,
        description: &Description,
        rows: impl IntoIterator<Item = ([&'a str; LABELS], f64)>,
    ) -> prometheus::Result<()> {
        let gauge = GaugeVec::new(description.opts(), description.labels)?;
        for (labels, value) in rows {
            gauge.get_metric_with_label_values(&labels)?.set(value);
        }
        self.0.register(Box::new(gauge))
    }

    pub(super) fn counter<'a, const LABELS: usize>(
        &self,
        description: &Description,
        rows: impl IntoIterator<Item = ([&'a str; LABELS], f64)>,
    ) -> prometheus::Result<()> {
        let counter = CounterVec::new(description.opts(), description.labels)?;
        for (labels, value) in rows {
            counter.get_metric_with_label_values(&labels)?.inc_by(value);
        }
        self.0.register(Box::new(counter))
    }
}
