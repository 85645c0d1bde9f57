//! The text of one scrape in the making. It is written as it goes, because a node with a thousand apps shows tens of
//! thousands of lines.

use std::fmt::Write;

use prometheus::proto::{Histogram, LabelPair, MetricFamily, MetricType};

use super::negotiation::Format;
use crate::metrics::{
    catalogue::{Description, Kind},
    time_histogram::{BOUNDS, TimeHistogram},
};

/// What is shown under one name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub labels: &'a [&'a str],
    pub meaning: &'a str,
}

impl From<&Description> for Family<'_> {
    fn from(description: &Description) -> Self {
        let Description { name, kind, labels, meaning } = *description;
        Self { name, kind, labels, meaning }
    }
}

#[derive(Debug, Default)]
pub(super) struct Exposition {
    format: Format,
    text: String,
}

/// The units that names end with; those of counters before their `_total`.
const UNITS: [&str; 2] = ["seconds", "bytes"];

impl Kind {
    fn in_prometheus(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Family<'_> {
    /// OpenMetrics has the suffixes in the names of samples alone. A counter without its own, of Soketi's, is none there.
    fn in_open_metrics(&self) -> (&str, &'static str) {
        let without = |suffix| self.name.strip_suffix(suffix);
        match self.kind {
            Kind::Counter => without("_total").map_or((self.name, "unknown"), |name| (name, "counter")),
            Kind::Info => without("_info").map_or((self.name, "unknown"), |name| (name, "info")),
            Kind::Gauge => (self.name, "gauge"),
            Kind::Histogram => (self.name, "histogram"),
        }
    }
}

/// What the bounds of a histogram are called, in Prometheus and here.
const BOUND: &str = "le";

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// The text of all that was shown.
    pub(super) fn finish(mut self) -> String {
        match self.format {
            Format::Prometheus => {}
            Format::OpenMetrics => self.text.push_str("# EOF\n"),
        }
        self.text
    }

    /// Shows gauges or counters: the values of their labels, and their own. Without rows nothing is shown.
    pub(super) fn values<'a, 'b, const LABELS: usize>(
        &mut self,
        family: impl Into<Family<'b>>,
        rows: impl IntoIterator<Item = ([&'a str; LABELS], f64)>,
    ) {
        let family = family.into();
        let mut is_headed = false;
        for (values, value) in rows {
            if !std::mem::replace(&mut is_headed, true) {
                self.head(&family);
            }
            self.sample(family.name, "", family.labels.iter().copied().zip(values), value);
        }
    }

    /// Shows histograms: the values of their labels, and their buckets.
    pub(super) fn histograms<'a, const LABELS: usize>(
        &mut self,
        description: &Description,
        rows: impl IntoIterator<Item = ([&'a str; LABELS], &'a TimeHistogram)>,
    ) {
        let (name, mut is_headed) = (description.name, false);
        for (values, histogram) in rows {
            if !std::mem::replace(&mut is_headed, true) {
                self.head(&description.into());
            }
            let labels = || description.labels.iter().copied().zip(values);
            let cumulative = histogram.cumulative();
            for (bound, count) in BOUNDS.into_iter().chain([f64::INFINITY]).zip(cumulative) {
                self.sample(name, "_bucket", labels().chain([(BOUND, &*bound_text(bound))]), count as f64);
            }
            self.sample(name, "_sum", labels(), histogram.seconds());
            self.sample(name, "_count", labels(), cumulative[BOUNDS.len()] as f64);
        }
    }

    /// Shows what the library counts.
    pub(super) fn families(&mut self, families: &[MetricFamily]) {
        families.iter().for_each(|family| self.family(family));
    }

    fn family(&mut self, family: &MetricFamily) {
        let name = family.name();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Kind::Counter,
            MetricType::HISTOGRAM => Kind::Histogram,
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => Kind::Gauge,
        };
        self.head(&Family { name, kind, labels: &[], meaning: family.help() });
        for metric in family.get_metric() {
            let labels = || metric.get_label().iter().map(pair);
            match kind {
                Kind::Counter => self.sample(name, "", labels(), metric.get_counter().get_value()),
                Kind::Gauge | Kind::Info => self.sample(name, "", labels(), metric.get_gauge().get_value()),
                Kind::Histogram => self.buckets(name, metric.get_label(), metric.get_histogram()),
            }
        }
    }

    fn buckets(&mut self, name: &str, labels: &[LabelPair], histogram: &Histogram) {
        let count = histogram.get_sample_count() as f64;
        let bounded = histogram.get_bucket().iter();
        let bounded = bounded.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count() as f64));
        for (bound, count) in bounded.chain([(f64::INFINITY, count)]) {
            let labels = labels.iter().map(pair);
            self.sample(name, "_bucket", labels.chain([(BOUND, &*bound_text(bound))]), count);
        }
        self.sample(name, "_sum", labels.iter().map(pair), histogram.get_sample_sum());
        self.sample(name, "_count", labels.iter().map(pair), count);
    }

    fn head(&mut self, family: &Family<'_>) {
        let Family { name, meaning, .. } = family;
        let (name, kind) = match self.format {
            Format::Prometheus => (*name, family.kind.in_prometheus()),
            Format::OpenMetrics => family.in_open_metrics(),
        };
        self.line(format_args!("# HELP {name} {meaning}\n# TYPE {name} {kind}"));
        let unit = UNITS.iter().find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    fn sample<'a>(
        &mut self,
        name: &str,
        suffix: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut opening = "{";
        for (label, value) in labels {
            self.text.push_str(opening);
            self.text.push_str(label);
            self.text.push_str("=\"");
            push_escaped(&mut self.text, value);
            self.text.push('"');
            opening = ",";
        }
        if opening == "," {
            self.text.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(text);
        self.text.push('\n');
    }
}

fn pair(label: &LabelPair) -> (&str, &str) {
    (label.name(), label.value())
}

/// As OpenMetrics writes it: Prometheus 3 makes this of whatever it is shown, and a label must not depend on who asks.
fn bound_text(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") }
}

fn push_escaped(text: &mut String, value: &str) {
    for part in value.split_inclusive(['\\', '"', '\n']) {
        match part.as_bytes().last() {
            Some(b'\\') => text.extend([part, "\\"]),
            Some(b'"') => text.extend([&part[..part.len() - 1], "\\\""]),
            Some(b'\n') => text.extend([&part[..part.len() - 1], "\\n"]),
            Some(_) | None => text.push_str(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::catalogue;

    fn family(labels: &'static [&'static str]) -> Family<'static> {
        Family { name: "a", kind: Kind::Gauge, labels, meaning: "Tells a" }
    }

    fn check(show: impl FnOnce(&mut Exposition), expected: &str) {
        let mut exposition = Exposition::default();
        show(&mut exposition);
        assert_eq!(exposition.finish(), expected);
    }

    #[test]
    fn a_name_has_one_head_and_a_line_for_each_row() {
        let head = "# HELP a Tells a\n# TYPE a gauge\n";
        check(|shown| shown.values(family(&[]), [([], 0.5)]), &format!("{head}a 0.5\n"));
        let rows = [(["x", "y"], 1.0), (["z", ""], 20_000_000.0)];
        let lines = "a{b=\"x\",c=\"y\"} 1\na{b=\"z\",c=\"\"} 20000000\n";
        check(|shown| shown.values(family(&["b", "c"]), rows), &format!("{head}{lines}"));
    }

    #[test]
    fn open_metrics_has_suffixes_in_samples_alone_and_units_and_an_end() {
        let of = |name, kind| Family { name, kind, labels: &["b"], meaning: "Tells a" };
        for (family, head) in [
            (of("a_total", Kind::Counter), "# HELP a Tells a\n# TYPE a counter\n"),
            (
                of("a_seconds_total", Kind::Counter),
                "# HELP a_seconds Tells a\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n",
            ),
            (of("a_bytes", Kind::Gauge), "# HELP a_bytes Tells a\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n"),
            (of("a_info", Kind::Info), "# HELP a Tells a\n# TYPE a info\n"),
            (
                of("socket_received_bytes", Kind::Counter),
                "# HELP socket_received_bytes Tells a\n# TYPE socket_received_bytes unknown\n# UNIT socket_received_bytes bytes\n",
            ),
        ] {
            let mut exposition = Exposition::new(Format::OpenMetrics);
            exposition.values(family, [(["x"], 1.0)]);
            assert_eq!(exposition.finish(), format!("{head}{}{{b=\"x\"}} 1\n# EOF\n", family.name));
        }
    }

    #[test]
    fn nothing_is_shown_of_what_has_no_rows() {
        check(|shown| shown.values(family(&[]), None::<([&str; 0], f64)>), "");
    }

    #[test]
    fn quotes_backslashes_and_new_lines_in_a_label_are_escaped() {
        let line = r#"a{b="\"x\\\ny\\"} 1"#;
        let head = "# HELP a Tells a\n# TYPE a gauge";
        check(|shown| shown.values(family(&["b"]), [(["\"x\\\ny\\"], 1.0)]), &format!("{head}\n{line}\n"));
    }

    #[test]
    fn a_histogram_has_its_buckets_its_sum_and_its_count() {
        let times = TimeHistogram::default();
        times.observe(Duration::from_millis(700));
        times.observe(Duration::from_millis(50));
        let mut exposition = Exposition::default();
        exposition.histograms(&catalogue::TRIGGER_SECONDS, [(["one"], &times)]);
        let text = exposition.finish();
        let lines: Vec<_> =
            text.lines().skip(2).map(|line| line.trim_start_matches("gaung_trigger_seconds_")).collect();
        assert_eq!(lines.len(), BOUNDS.len() + 3);
        assert_eq!(lines[3..5], [r#"bucket{app="one",le="0.025"} 0"#, r#"bucket{app="one",le="0.05"} 1"#]);
        assert_eq!(
            lines[8..11],
            [r#"bucket{app="one",le="1.0"} 2"#, r#"bucket{app="one",le="2.5"} 2"#, r#"bucket{app="one",le="+Inf"} 2"#,]
        );
        assert_eq!(lines[11..], [r#"sum{app="one"} 0.75"#, r#"count{app="one"} 2"#]);
    }
}
