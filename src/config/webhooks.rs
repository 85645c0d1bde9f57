//! Webhook endpoints as they are written in JSON, in the form that Soketi knows too (protocol.md §4.4).

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{problems, text, webhook_endpoint::WebhookEndpoint};
use crate::protocol::WebhookKind;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Form {
    url: String,
    event_types: Vec<WebhookKind>,
    headers: BTreeMap<String, String>,
    filter: Filter,
    batching: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    channel_name_starts_with: Option<String>,
    channel_name_ends_with: Option<String>,
}

/// The fields of an endpoint, and what each must be.
fn fields() -> [(&'static str, String); 5] {
    [
        ("url", "an http:// or https:// URL without user and password".to_owned()),
        ("event_types", format!("a list of {}", event_names())),
        ("headers", "an object of header names and texts without line breaks".to_owned()),
        ("filter", "an object of channel_name_starts_with and channel_name_ends_with".to_owned()),
        ("batching", "true or false".to_owned()),
    ]
}

fn event_names() -> String {
    let names: Vec<&str> = WebhookKind::ALL.iter().map(|kind| kind.name()).collect();
    let (last, others) = names.split_last().expect("there are events");
    format!("{} and {last}", others.join(", "))
}

/// Reads a list of endpoints, or says everything that is wrong with it, without showing any value.
pub(super) fn parse(text: &str) -> Result<Vec<Arc<WebhookEndpoint>>, Vec<String>> {
    let Ok(endpoints) = serde_json::from_str::<Vec<Map<String, Value>>>(text) else {
        return Err(vec!["it must be a JSON list of objects".to_owned()]);
    };
    let (mut good, mut complaints) = (Vec::new(), Vec::new());
    for (index, endpoint) in endpoints.into_iter().enumerate() {
        match parse_endpoint(endpoint) {
            Ok(endpoint) => good.push(Arc::new(endpoint)),
            Err(found) => complaints.extend(found.iter().map(|complaint| format!("webhooks[{index}]: {complaint}"))),
        }
    }
    if complaints.is_empty() { Ok(good) } else { Err(complaints) }
}

fn parse_endpoint(mut endpoint: Map<String, Value>) -> Result<WebhookEndpoint, Vec<String>> {
    endpoint.retain(|_, value| !value.is_null());
    let mut complaints: Vec<_> = endpoint.iter().filter_map(|(name, value)| check_field(name, value).err()).collect();
    if !endpoint.contains_key("url") {
        complaints.push("url is missing".to_owned());
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let form: Form = serde_json::from_value(Value::Object(endpoint)).map_err(|error| vec![error.to_string()])?;
    Ok(WebhookEndpoint {
        url: form.url,
        events: form.event_types,
        headers: form.headers.into_iter().collect(),
        channel_prefix: form.filter.channel_name_starts_with.filter(|text| !text.is_empty()),
        channel_suffix: form.filter.channel_name_ends_with.filter(|text| !text.is_empty()),
        batching: form.batching,
    })
}

/// Reads an endpoint that has this field only, since serde stops at the first field that it cannot read.
fn check_field(name: &str, value: &Value) -> Result<(), String> {
    if matches!(name, "lambda" | "lambda_function") {
        return Err(format!("{name} is not supported: webhooks are posted to a url only"));
    }
    let fields = fields();
    let Some((_, allowed)) = fields.iter().find(|(field, _)| *field == name) else {
        return Err(problems::unknown(name, fields.map(|(field, _)| field)));
    };
    let alone = Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
    let readable = serde_json::from_value::<Form>(alone).is_ok_and(|form| match name {
        "url" => text::is_url(&form.url),
        "headers" => form.headers.iter().all(|(name, text)| text::is_header(name, text)),
        _ => true,
    });
    if readable { Ok(()) } else { Err(format!("{name} must be {allowed}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_with_all_its_fields() {
        let text = r#"[{"url":"https://example.com/hook","event_types":["client_event","cache_miss"],
            "headers":{"X-Custom":"v"},"batching":true,"lambda":null,
            "filter":{"channel_name_starts_with":"beta-","channel_name_ends_with":"-app"}}]"#;
        let expected = WebhookEndpoint {
            url: "https://example.com/hook".to_owned(),
            events: vec![WebhookKind::ClientEvent, WebhookKind::CacheMiss],
            headers: vec![("X-Custom".to_owned(), "v".to_owned())],
            channel_prefix: Some("beta-".to_owned()),
            channel_suffix: Some("-app".to_owned()),
            batching: true,
        };
        assert_eq!(parse(text), Ok(vec![Arc::new(expected)]));
    }

    #[test]
    fn an_endpoint_of_a_url_alone_hears_everything() {
        let expected = WebhookEndpoint {
            url: "http://hooks".to_owned(),
            events: Vec::new(),
            headers: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            batching: false,
        };
        assert_eq!(
            parse(r#"[{"url":"http://hooks","filter":{"channel_name_ends_with":""}}]"#),
            Ok(vec![Arc::new(expected)])
        );
    }

    fn refused(text: &str, expected: &[&str]) {
        assert_eq!(parse(text).unwrap_err(), expected);
    }

    #[test]
    fn every_complaint_names_the_endpoint_and_the_field_but_no_value() {
        refused("{", &["it must be a JSON list of objects"]);
        refused(r#"{"url":"http://x"}"#, &["it must be a JSON list of objects"]);
        refused("[{}]", &["webhooks[0]: url is missing"]);
        refused(
            r#"[{"url":"http://x"},{"url":"x","header":{},"batching":"s3cret"}]"#,
            &[
                "webhooks[1]: batching must be true or false",
                "webhooks[1]: header is unknown; did you mean headers?",
                "webhooks[1]: url must be an http:// or https:// URL without user and password",
            ],
        );
        refused(
            r#"[{"url":"http://x","headers":{"X-Token":"s3cret\n"}}]"#,
            &["webhooks[0]: headers must be an object of header names and texts without line breaks"],
        );
        refused(
            r#"[{"url":"http://x","filter":{"starts":"a"}}]"#,
            &["webhooks[0]: filter must be an object of channel_name_starts_with and channel_name_ends_with"],
        );
        refused(
            r#"[{"url":"http://x","event_types":["channel_closed"]}]"#,
            &[
                "webhooks[0]: event_types must be a list of channel_occupied, channel_vacated, member_added, member_removed, \
               client_event, cache_miss and subscription_count",
            ],
        );
        refused(
            r#"[{"url":"http://x","lambda_function":"f"}]"#,
            &["webhooks[0]: lambda_function is not supported: webhooks are posted to a url only"],
        );
    }
}
