//! In which form a scraper wants the metrics (RFC 9110 §12.5). Without a wish it gets the Prometheus text format.

/// A form of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What `Accept` asks for; OpenMetrics only where it is named and wanted no less than plain text.
    pub(super) fn of(accept: &str) -> Self {
        let ranges = || accept.split(',').map(Range::read);
        let open_metrics =
            best(ranges().filter(|range| range.is("application/openmetrics-text") && range.has("1.0.0")));
        let plain =
            ["text/plain", "text/*", "*/*"].iter().find_map(|name| best(ranges().filter(|range| range.is(name))));
        match open_metrics {
            Some(quality) if quality > 0.0 && quality >= plain.unwrap_or(0.0) => Self::OpenMetrics,
            Some(_) | None => Self::Prometheus,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whether `Accept-Encoding` takes gzip.
pub(super) fn takes_gzip(accept_encoding: &str) -> bool {
    let ranges = || accept_encoding.split(',').map(Range::read);
    let quality = ["gzip", "*"].iter().find_map(|name| best(ranges().filter(|range| range.is(name))));
    quality.is_some_and(|quality| quality > 0.0)
}

/// One item of such a header: what is accepted, and how gladly, from 0 to 1.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Self {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut range = Self { name: name.trim(), version: None, quality: 1.0 };
        for (name, value) in parameters.split(';').filter_map(|parameter| parameter.trim().split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value.trim_matches('"')),
                "q" => range.quality = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn has(&self, version: &str) -> bool {
        self.version == Some(version)
    }
}

fn best<'a>(ranges: impl Iterator<Item = Range<'a>>) -> Option<f32> {
    ranges.map(|range| range.quality).reduce(f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_that_name_it_and_want_it_no_less_than_plain_text() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Prometheus),
            ("text/plain;version=0.0.4;q=0.3,*/*;q=0.2", Format::Prometheus),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            (r#"Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8"#, Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain,application/openmetrics-text;version=1.0.0;q=0.5", Format::Prometheus),
            ("application/openmetrics-text;version=1.0.0;q=0,*/*", Format::Prometheus),
            ("application/openmetrics-text;version=0.0.1", Format::Prometheus),
            ("application/openmetrics-text", Format::Prometheus),
        ] {
            assert_eq!(Format::of(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn only_who_takes_gzip_is_given_it() {
        for (accept, takes) in [
            ("", false),
            ("identity", false),
            ("gzip", true),
            ("deflate, GZip;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
        ] {
            assert_eq!(takes_gzip(accept), takes, "{accept:?}");
        }
    }
}
