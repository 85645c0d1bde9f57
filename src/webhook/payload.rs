//! What is posted, as text, and who wants it (protocol.md §4.2, §4.4). Pure.

use serde::{Deserialize, Serialize};

use crate::{
    config::WebhookEndpoint,
    protocol::{SocketId, WebhookDetail, WebhookEvent},
};

/// One event as JSON. Ids and `data` are strings whatever the client sent: typed SDKs fail on anything else.
#[derive(Default, Serialize)]
struct Fields<'a> {
    name: &'static str,
    channel: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<SocketId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription_count: Option<usize>,
}

/// An element of the body's `events`. A repeat of the event has the same `id`.
pub fn encode(event: &WebhookEvent, id: &str) -> String {
    let fields = Fields { name: event.kind().name(), channel: event.channel.as_str(), id, ..Fields::of(&event.detail) };
    serde_json::to_string(&fields).expect("strings and numbers are always valid JSON")
}

/// The body of a post that was made at `time_ms` (milliseconds since the Unix epoch).
pub fn body(time_ms: u64, events: &[&str]) -> String {
    format!(r#"{{"time_ms":{time_ms},"events":[{}]}}"#, events.join(","))
}

/// The names of the events in a body, in their order.
pub fn names(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Body {
        events: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let body: Option<Body> = serde_json::from_slice(body).ok();
    body.map(|body| body.events.into_iter().map(|event| event.name).collect()).unwrap_or_default()
}

/// Whether an endpoint asked for the event. All its conditions must hold; `#` channels are nobody's.
pub fn wants(endpoint: &WebhookEndpoint, event: &WebhookEvent) -> bool {
    let name = event.channel.as_str();
    let is_chosen = endpoint.events.is_empty() || endpoint.events.contains(&event.kind());
    is_chosen
        && !event.channel.kind().is_server_to_user()
        && endpoint.channel_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
        && endpoint.channel_suffix.as_deref().is_none_or(|suffix| name.ends_with(suffix))
}

impl<'a> Fields<'a> {
    /// Those of one kind only.
    fn of(detail: &'a WebhookDetail) -> Self {
        match detail {
            WebhookDetail::ChannelOccupied | WebhookDetail::ChannelVacated | WebhookDetail::CacheMiss => {
                Self::default()
            }
            WebhookDetail::MemberAdded { user_id } | WebhookDetail::MemberRemoved { user_id } => {
                Self { user_id: Some(user_id), ..Self::default() }
            }
            WebhookDetail::ClientEvent { event, data, socket_id, user_id } => Self {
                event: Some(event),
                data: Some(data),
                socket_id: Some(*socket_id),
                user_id: user_id.as_deref(),
                ..Self::default()
            },
            WebhookDetail::SubscriptionCount { count } => Self { subscription_count: Some(*count), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        ChannelName,
        WebhookKind::{self, ChannelOccupied, ChannelVacated},
    };

    fn event(channel: &str, detail: WebhookDetail) -> WebhookEvent {
        WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail }
    }

    fn check_event(channel: &str, detail: WebhookDetail, expected: &str) {
        assert_eq!(encode(&event(channel, detail), "ab-1"), expected);
    }

    fn client_event(data: &str, user_id: Option<&str>) -> WebhookDetail {
        WebhookDetail::ClientEvent {
            event: "client-move".to_owned(),
            data: data.to_owned(),
            socket_id: SocketId::from_bits(1 << 32 | 2),
            user_id: user_id.map(str::to_owned),
        }
    }

    #[test]
    fn the_names_in_a_body_are_read_back_in_order() {
        let channel = ChannelName::parse("presence-a", 200).unwrap();
        let told = |detail| encode(&WebhookEvent { channel: channel.clone(), detail }, "1");
        let body = body(
            1,
            &[&told(WebhookDetail::ChannelOccupied), &told(WebhookDetail::MemberAdded { user_id: "7".to_owned() })],
        );
        assert_eq!(names(body.as_bytes()), ["channel_occupied", "member_added"]);
        assert_eq!(names(b"{}"), Vec::<String>::new());
    }

    #[test]
    fn each_change_has_its_name_and_its_fields() {
        check_event(
            "orders",
            WebhookDetail::ChannelOccupied,
            r#"{"name":"channel_occupied","channel":"orders","id":"ab-1"}"#,
        );
        check_event(
            "orders",
            WebhookDetail::ChannelVacated,
            r#"{"name":"channel_vacated","channel":"orders","id":"ab-1"}"#,
        );
        check_event(
            "presence-a",
            WebhookDetail::MemberAdded { user_id: "7".to_owned() },
            r#"{"name":"member_added","channel":"presence-a","id":"ab-1","user_id":"7"}"#,
        );
        check_event(
            "presence-a",
            WebhookDetail::MemberRemoved { user_id: "7".to_owned() },
            r#"{"name":"member_removed","channel":"presence-a","id":"ab-1","user_id":"7"}"#,
        );
        check_event("cache-a", WebhookDetail::CacheMiss, r#"{"name":"cache_miss","channel":"cache-a","id":"ab-1"}"#);
        check_event(
            "orders",
            WebhookDetail::SubscriptionCount { count: 12 },
            r#"{"name":"subscription_count","channel":"orders","id":"ab-1","subscription_count":12}"#,
        );
    }

    #[test]
    fn a_client_event_carries_its_data_as_a_string() {
        check_event(
            "private-a",
            client_event(r#"{"x":1}"#, None),
            concat!(
                r#"{"name":"client_event","channel":"private-a","id":"ab-1","event":"client-move","#,
                r#""data":"{\"x\":1}","socket_id":"1.2"}"#
            ),
        );
    }

    #[test]
    fn a_client_event_of_a_presence_channel_names_the_user() {
        check_event(
            "presence-a",
            client_event("1", Some("7")),
            concat!(
                r#"{"name":"client_event","channel":"presence-a","id":"ab-1","event":"client-move","#,
                r#""data":"1","socket_id":"1.2","user_id":"7"}"#
            ),
        );
    }

    #[test]
    fn a_body_lists_its_events_in_order() {
        assert_eq!(body(1_700_000_000_000, &["{}"]), r#"{"time_ms":1700000000000,"events":[{}]}"#);
        assert_eq!(body(1, &["1", "2"]), r#"{"time_ms":1,"events":[1,2]}"#);
    }

    fn check_wants(
        events: &[WebhookKind],
        prefix: Option<&str>,
        suffix: Option<&str>,
        told: (&str, WebhookDetail),
        expected: bool,
    ) {
        let endpoint = WebhookEndpoint {
            url: "http://localhost/".to_owned(),
            events: events.to_vec(),
            headers: Vec::new(),
            channel_prefix: prefix.map(str::to_owned),
            channel_suffix: suffix.map(str::to_owned),
            batching: false,
        };
        assert_eq!(wants(&endpoint, &event(told.0, told.1.clone())), expected, "{endpoint:?} {told:?}");
    }

    #[test]
    fn an_endpoint_without_a_choice_wants_everything() {
        check_wants(&[], None, None, ("a", WebhookDetail::ChannelOccupied), true);
        check_wants(&[], None, None, ("cache-a", WebhookDetail::CacheMiss), true);
    }

    #[test]
    fn an_endpoint_gets_only_the_events_it_chose() {
        check_wants(&[ChannelVacated, ChannelOccupied], None, None, ("a", WebhookDetail::ChannelOccupied), true);
        check_wants(&[ChannelVacated], None, None, ("a", WebhookDetail::ChannelOccupied), false);
    }

    #[test]
    fn all_filters_must_match() {
        check_wants(&[], Some("beta-"), None, ("beta-x", WebhookDetail::ChannelOccupied), true);
        check_wants(&[], Some("beta-"), None, ("alpha-beta-x", WebhookDetail::ChannelOccupied), false);
        check_wants(&[], None, Some("-app"), ("my-app", WebhookDetail::ChannelOccupied), true);
        check_wants(&[], None, Some("-app"), ("my-app-2", WebhookDetail::ChannelOccupied), false);
        check_wants(&[], Some("beta-"), Some("-app"), ("beta-app", WebhookDetail::ChannelOccupied), true);
        check_wants(&[], Some("beta-"), Some("-app"), ("beta-x", WebhookDetail::ChannelOccupied), false);
        check_wants(
            &[ChannelVacated],
            Some("beta-"),
            Some("-app"),
            ("beta-1-app", WebhookDetail::ChannelOccupied),
            false,
        );
    }

    #[test]
    fn user_channels_are_never_told() {
        check_wants(&[], None, None, ("#server-to-user-7", WebhookDetail::ChannelOccupied), false);
    }
}
