//! Where spans are exported to, and which: the variables of OpenTelemetry's specification, by their own names.

use std::fmt::Display;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{Rule, Variable, text};
use crate::spans::Sampler;

/// The beginning of their names.
pub(super) const PREFIX: &str = "OTEL_";

/// What is sent to which collector. Variables of the standard that are no fields here are not read.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct TracesConfig {
    /// `OTEL_SDK_DISABLED` (false): nothing is exported, whatever else is set.
    pub sdk_disabled: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` (none): a collector, without the path of its traces.
    pub exporter_otlp_endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (none): the same with the path; it counts before the other.
    pub exporter_otlp_traces_endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS` (none): sent with every request. Secret.
    pub exporter_otlp_headers: Option<Pairs>,
    /// `OTEL_EXPORTER_OTLP_TRACES_HEADERS` (none): in place of the others. Secret.
    pub exporter_otlp_traces_headers: Option<Pairs>,
    /// `OTEL_SERVICE_NAME` (gaung)
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` (none)
    pub resource_attributes: Option<Pairs>,
    /// `OTEL_TRACES_SAMPLER` (`parentbased_always_off`): a name of [`Sampler::NAMES`].
    pub traces_sampler: String,
    /// `OTEL_TRACES_SAMPLER_ARG` (1): the part that samplers by the trace's id record.
    pub traces_sampler_arg: f64,
}

/// Names and values, which are percent-decoded; never shown, because there are secrets among them.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pairs(Vec<(String, String)>);

/// Where spans are posted.
#[derive(Clone)]
pub struct Collector {
    pub url: String,
    pub headers: Vec<(String, String)>,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            sdk_disabled: false,
            exporter_otlp_endpoint: None,
            exporter_otlp_traces_endpoint: None,
            exporter_otlp_headers: None,
            exporter_otlp_traces_headers: None,
            service_name: None,
            resource_attributes: None,
            traces_sampler: Sampler::NAMES[0].to_owned(),
            traces_sampler_arg: 1.0,
        }
    }
}

impl TracesConfig {
    /// Where spans are posted, if they are.
    pub fn collector(&self) -> Option<Collector> {
        let of_all = || Some(format!("{}/v1/traces", self.exporter_otlp_endpoint.as_deref()?.trim_end_matches('/')));
        let url = self.exporter_otlp_traces_endpoint.clone().or_else(of_all).filter(|_| !self.sdk_disabled)?;
        let headers = self.exporter_otlp_traces_headers.as_ref().or(self.exporter_otlp_headers.as_ref());
        Some(Collector { url, headers: headers.map(|Pairs(pairs)| pairs.clone()).unwrap_or_default() })
    }

    /// Which traces are recorded.
    pub fn sampler(&self) -> Sampler {
        let sampler = Sampler::named(&self.traces_sampler, self.traces_sampler_arg);
        sampler.expect("the rule of the variable allows no other names")
    }

    /// What this process says of itself. `instance` tells it from others of the same name.
    pub fn resource(&self, instance: &str) -> Vec<(String, String)> {
        let own = [
            ("service.name", self.service_name.as_deref().unwrap_or("gaung")),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance),
        ];
        let told = self.resource_attributes.as_ref().map(|Pairs(pairs)| pairs.clone()).unwrap_or_default();
        let is_own_name = |name: &str| name == "service.name" && self.service_name.is_some();
        let mut attributes: Vec<_> = told.into_iter().filter(|(name, _)| !is_own_name(name)).collect();
        for (name, value) in own {
            if attributes.iter().all(|(told, _)| told != name) {
                attributes.push((name.to_owned(), value.to_owned()));
            }
        }
        attributes
    }

    pub(super) fn variables() -> Vec<Variable> {
        let Self { sdk_disabled, traces_sampler, traces_sampler_arg, .. } = Self::default();
        let sampler = [
            Variable::new("OTEL_TRACES_SAMPLER", traces_sampler, Rule::Choice(&Sampler::NAMES), WHICH),
            Variable::new(
                "OTEL_TRACES_SAMPLER_ARG",
                traces_sampler_arg,
                Rule::Part,
                "the part of the traces that the samplers `traceidratio` record",
            ),
            Variable::new("OTEL_SDK_DISABLED", sdk_disabled, Rule::Switch, "whether nothing is exported all the same"),
        ];
        let (where_to, what) = (place().map(Variable::from), identity().map(Variable::from));
        where_to.into_iter().chain(what).chain(sampler).collect()
    }
}

const WHICH: &str =
    "which traces are recorded: `parentbased_` follows the request's traceparent, the rest holds without one";

/// A variable: its name, its default, its rule and its meaning.
type Row = (&'static str, &'static dyn Display, Rule, &'static str);

fn place() -> [Row; 6] {
    [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &"",
            Rule::Url,
            "collector to which traces are exported, at its path `/v1/traces`; unset: none are",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            &"",
            Rule::Url,
            "the same with its path; counts before OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", &PROTOCOLS[0], Rule::Choice(&PROTOCOLS), "how collectors are spoken to"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &"", Rule::Choice(&PROTOCOLS), "the same, for traces alone"),
        ("OTEL_EXPORTER_OTLP_HEADERS", &"", Rule::Headers, "headers of requests to the collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &"", Rule::Headers, "headers in place of OTEL_EXPORTER_OTLP_HEADERS"),
    ]
}

fn identity() -> [Row; 2] {
    [
        ("OTEL_SERVICE_NAME", &"gaung", Rule::Text, "name of the service in traces"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            &"",
            Rule::Attributes,
            "what else traces say of this process, for example deployment.environment.name=production",
        ),
    ]
}

/// What we speak. gRPC, which other programs may have as their default, is refused and not taken for this.
const PROTOCOLS: [&str; 1] = ["http/protobuf"];

impl Pairs {
    /// Comma-separated pairs `name=value`, as W3C Baggage has them; `None` if it has other pieces.
    pub(super) fn parse(list: &str) -> Option<Self> {
        text::pieces(list).map(pair).collect::<Option<_>>().map(Self)
    }

    /// Whether they can be sent as headers.
    pub(super) fn are_headers(&self) -> bool {
        self.0.iter().all(|(name, value)| text::is_header(name, value))
    }
}

fn pair(piece: &str) -> Option<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(String::from);
    let (name, value) = piece.split_once('=')?;
    Some((decoded(name).filter(|name| !name.is_empty())?, decoded(value)?))
}

impl TryFrom<String> for Pairs {
    type Error = String;

    fn try_from(list: String) -> Result<Self, String> {
        Self::parse(&list).ok_or_else(|| Rule::Attributes.to_string())
    }
}

impl std::fmt::Debug for Pairs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{APP, good};

    fn read(variables: &[(&str, &str)]) -> TracesConfig {
        good(&[&APP[..], variables].concat()).config.traces
    }

    /// The URL that spans are posted to, and the headers.
    fn place(variables: &[(&str, &str)]) -> Option<(String, Vec<(String, String)>)> {
        read(variables).collector().map(|collector| (collector.url, collector.headers))
    }

    #[test]
    fn the_path_of_traces_is_added_to_the_endpoint_of_all_signals_only() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(place(variables).map(|(url, _)| url).as_deref(), expected, "{variables:?}");
        };
        let (all, own) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        check(&[], None);
        check(&[(all, "http://c:4318")], Some("http://c:4318/v1/traces"));
        check(&[(all, "http://c:4318/otlp/")], Some("http://c:4318/otlp/v1/traces"));
        check(&[(own, "https://c/t")], Some("https://c/t"));
        check(&[(all, "http://c:4318"), (own, "https://d/")], Some("https://d/"));
        check(&[(all, "http://c:4318"), ("OTEL_SDK_DISABLED", "true")], None);
        check(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")], None);
    }

    #[test]
    fn headers_are_decoded_and_those_of_traces_replace_the_others() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
        let headers = |variables: &[(&str, &str)]| place(&[&[endpoint], variables].concat()).unwrap().1;
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let all = ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c, authorization = Basic%20eA== ,");
        assert_eq!(headers(&[all]), pairs(&[("a", "b c"), ("authorization", "Basic eA==")]));
        assert_eq!(headers(&[all, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "d=e")]), pairs(&[("d", "e")]));
        assert_eq!(format!("{:?}", read(&[all]).exporter_otlp_headers), r#"Some({"a", "authorization"})"#);
    }

    #[test]
    fn a_process_says_who_it_is_and_what_it_is_told_to() {
        let check = |variables: &[(&str, &str)], expected: &[(&str, &str)]| {
            let resource = read(variables).resource("7");
            let resource: Vec<_> = resource.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(resource, expected, "{variables:?}");
        };
        let (version, instance) = (("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", "7"));
        let told = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,deployment.environment.name=prod%2C1");
        let environment = ("deployment.environment.name", "prod,1");
        check(&[], &[("service.name", "gaung"), version, instance]);
        check(&[told], &[("service.name", "shop"), environment, version, instance]);
        check(&[told, ("OTEL_SERVICE_NAME", "a")], &[environment, ("service.name", "a"), version, instance]);
    }

    #[test]
    fn without_a_sampler_the_caller_decides_alone() {
        assert_eq!(Some(read(&[]).sampler()), Sampler::named("parentbased_always_off", 1.0));
        let half = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
        assert_eq!(Some(read(&half).sampler()), Sampler::named("traceidratio", 0.5));
    }
}
