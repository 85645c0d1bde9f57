//! What happened, as the page gets it. Work that the reporter was spared is done here, on the admin thread: an event that
//! came from another node is read out of its frame.

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    activity::{ActivityEvent, ActivityKind, Asked, Batch, Refusal},
    event::{EncodedEvent, Origin},
    protocol::Close,
};

#[derive(Serialize)]
#[serde(tag = "type", rename = "happenings")]
struct Frame<'a> {
    missed: u64,
    list: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    /// Milliseconds since the Unix epoch.
    at: u64,
    app: Option<&'a str>,
    #[serde(flatten)]
    kind: Kind<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind<'a> {
    Connected {
        socket: String,
        address: Option<IpAddr>,
    },
    Closed {
        socket: String,
        code: Option<u16>,
        reason: &'static str,
    },
    Subscribed {
        socket: String,
        channel: &'a str,
    },
    Unsubscribed {
        socket: String,
        channel: &'a str,
    },
    SignedIn {
        socket: String,
        user: &'a str,
    },
    Refused {
        what: &'static str,
        reason: &'static str,
        detail: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        socket: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    Published {
        origin: &'static str,
        channel: &'a str,
        event: String,
        sockets: usize,
        micros: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    },
    Webhook {
        events: &'a [String],
        url: &'a str,
        outcome: &'static str,
        status: Option<u16>,
        millis: u64,
    },
}

/// The frame of one batch, with the payloads of events or without.
pub(super) fn frame(batch: &Batch, shows_payloads: bool) -> String {
    let entry = |event| Entry::of(event, shows_payloads);
    let frame = Frame { missed: batch.missed, list: batch.events.iter().map(entry).collect() };
    serde_json::to_string(&frame).expect("numbers and strings are always JSON")
}

impl<'a> Entry<'a> {
    fn of(event: &'a Arc<ActivityEvent>, shows_payloads: bool) -> Self {
        let kind = match &event.kind {
            ActivityKind::Connected { socket, address } => {
                Kind::Connected { socket: socket.to_string(), address: *address }
            }
            ActivityKind::Closed { socket, close } => Kind::Closed {
                socket: socket.to_string(),
                code: close.map(Close::code),
                reason: close.map_or("lost", Close::name),
            },
            ActivityKind::Subscribed { socket, channel } => {
                Kind::Subscribed { socket: socket.to_string(), channel: channel.as_str() }
            }
            ActivityKind::Unsubscribed { socket, channel } => {
                Kind::Unsubscribed { socket: socket.to_string(), channel: channel.as_str() }
            }
            ActivityKind::SignedIn { socket, user } => Kind::SignedIn { socket: socket.to_string(), user },
            ActivityKind::Refused(refusal) => refused(refusal),
            ActivityKind::Published { event, sockets, took } => published(event, *sockets, *took, shows_payloads),
            ActivityKind::Webhook { events, url, outcome, status, took } => {
                Kind::Webhook { events, url, outcome, status: *status, millis: clamp(took.as_millis()) }
            }
        };
        Self { at: clamp(event.at.as_millis()), app: event.app.as_deref(), kind }
    }
}

fn refused(refusal: &Refusal) -> Kind<'_> {
    Kind::Refused {
        what: match refusal.asked() {
            Asked::Socket => "socket",
            Asked::Request => "request",
            Asked::Message => "message",
        },
        reason: refusal.reason(),
        detail: refusal.detail(),
        socket: refusal.socket().map(|socket| socket.to_string()),
        channel: refusal.channel(),
    }
}

fn published(event: &EncodedEvent, sockets: usize, took: Duration, shows_payloads: bool) -> Kind<'_> {
    let words = event.words();
    Kind::Published {
        origin: match event.origin {
            _ if event.is_from_peer() => "peer",
            Origin::BackEnd => "back_end",
            Origin::Client => "client",
        },
        channel: event.channel.as_str(),
        event: words.as_ref().map(|words| words.name.clone()).unwrap_or_default(),
        sockets,
        micros: clamp(took.as_micros()),
        data: words.filter(|_| shows_payloads).map(|words| words.data.clone()),
    }
}

fn clamp(time: u128) -> u64 {
    u64::try_from(time).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        event::{Event, Words, now, wire::Payload},
        protocol::{ChannelName, SocketId},
    };

    fn shown(kind: ActivityKind, shows_payloads: bool) -> Value {
        let event = ActivityEvent { at: Duration::from_millis(1_700), app: Some("1".into()), kind };
        let batch = Batch { missed: 3, events: vec![Arc::new(event)] };
        let mut frame: Value = serde_json::from_str(&frame(&batch, shows_payloads)).unwrap();
        assert_eq!((&frame["type"], &frame["missed"]), (&json!("happenings"), &json!(3)));
        frame["list"][0].take()
    }

    fn event() -> EncodedEvent {
        let channel = ChannelName::parse("a", 200).unwrap();
        Event::from_back_end(channel, Words::new("e", "secret"), None, now()).encode()
    }

    #[test]
    fn an_event_is_shown_with_its_payload_only_where_that_is_wanted() {
        let kind = ActivityKind::Published { event: event(), sockets: 7, took: Duration::from_micros(9) };
        let mut expected = json!({
            "at": 1_700, "app": "1", "kind": "published", "origin": "back_end", "channel": "a", "event": "e", "sockets": 7,
            "micros": 9
        });
        assert_eq!(shown(kind.clone(), false), expected);
        expected["data"] = json!("secret");
        assert_eq!(shown(kind, true), expected);
    }

    #[test]
    fn an_event_of_another_node_is_read_out_of_its_frame() {
        let EncodedEvent { channel, origin, accepted, accepted_at, frame, .. } = event();
        let payload = Payload { origin, accepted_at, except: None, frame };
        let event = EncodedEvent::from_peer(channel, payload, None, accepted);
        let shown = shown(ActivityKind::Published { event, sockets: 0, took: Duration::ZERO }, false);
        assert_eq!((&shown["origin"], &shown["event"]), (&json!("peer"), &json!("e")));
    }

    #[test]
    fn a_socket_that_was_lost_has_no_code() {
        let closed = |close| shown(ActivityKind::Closed { socket: SocketId::from_bits(1), close }, false);
        let lost = json!({"at": 1_700, "app": "1", "kind": "closed", "socket": "0.1", "code": null, "reason": "lost"});
        assert_eq!(closed(None), lost);
        let silent = closed(Some(Close::Silent));
        assert_eq!((&silent["code"], &silent["reason"]), (&json!(4201), &json!("silent")));
    }

    #[test]
    fn a_refusal_names_who_asked_and_for_what_only_if_it_is_known() {
        let refusal = Refusal::new(Asked::Request, "app_unknown", "unknown app id (1 characters)");
        assert_eq!(
            shown(ActivityKind::Refused(refusal), false),
            json!({
                "at": 1_700, "app": "1", "kind": "refused", "what": "request", "reason": "app_unknown",
                "detail": "unknown app id (1 characters)"
            })
        );
    }
}
