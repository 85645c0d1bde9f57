//! The frames that the server sends (protocol.md §1.2–§1.13), each ready for the socket. Payloads are not parsed: what
//! is JSON already is put in as it is, everything else is escaped once. `data` is a JSON string everywhere but in
//! `pusher:error`, where clients expect an object (protocol.md §1.3). Pure.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{ChannelName, SocketId, escaped::escaped_bytes, frame};

const SUBSCRIPTION_SUCCEEDED: &str = "pusher_internal:subscription_succeeded";

/// The members that a message can have, in the order in which they are written.
#[derive(Serialize)]
struct Message<'a, D> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_at_us: Option<u64>,
}

/// `data` of `pusher:error`.
#[derive(Serialize)]
struct Problem<'a> {
    code: Option<u16>,
    message: &'a str,
}

/// `data` of `pusher:subscription_error`.
#[derive(Serialize)]
struct Denial<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: &'a str,
    status: u16,
}

/// `data` of `pusher:signin_success`.
#[derive(Serialize)]
struct SignedIn<'a> {
    user_data: &'a str,
}

/// The first frame of every session. The timeout goes out in whole seconds and never as 0, which clients take for a
/// broken handshake (protocol.md §1.2).
pub fn connection_established(id: SocketId, activity_timeout: Duration) -> Bytes {
    let seconds = activity_timeout.as_secs().max(1);
    let data = format!(r#"{{"socket_id":"{id}","activity_timeout":{seconds}}}"#);
    Message::new("pusher:connection_established", None, data.as_str()).frame()
}

/// The answer to `pusher:ping`.
pub fn pong() -> Bytes {
    Message::new("pusher:pong", None, "{}").frame()
}

/// Asks a silent client for a sign of life (protocol.md §1.6).
pub fn ping() -> Bytes {
    Message::new("pusher:ping", None, "{}").frame()
}

/// A problem. Without `channel`, a code of 4000–4299 makes some clients disconnect or reconnect although the server does
/// not close (protocol.md §1.5): use it only before a close; otherwise give no code or name the channel.
pub fn error(code: Option<u16>, message: &str, channel: Option<&str>) -> Bytes {
    frame::text(&json(&Message::new("pusher:error", channel, Problem { code, message })))
}

/// A subscription to a channel without members succeeded.
pub fn subscription_succeeded(channel: &ChannelName) -> Bytes {
    Message::new(SUBSCRIPTION_SUCCEEDED, Some(channel.as_str()), "{}").frame()
}

/// A subscription to a presence channel succeeded. `members` are all users of the channel, the subscriber included, each
/// once: id and `user_info` as JSON text.
pub fn presence_succeeded(channel: &ChannelName, members: &[(&str, &str)]) -> Bytes {
    let ids: Vec<&str> = members.iter().map(|(id, _)| *id).collect();
    let hash: Vec<String> = members.iter().map(|(id, info)| format!("{}:{info}", json(id))).collect();
    let (count, ids, hash) = (ids.len(), json(&ids), hash.join(","));
    let data = format!(r#"{{"presence":{{"count":{count},"ids":{ids},"hash":{{{hash}}}}}}}"#);
    Message::new(SUBSCRIPTION_SUCCEEDED, Some(channel.as_str()), data.as_str()).frame()
}

/// A subscription was denied; the session stays. `channel` is what the client asked for, valid or not; `kind` is one of
/// `AuthError`, `InvalidChannel`, `LimitReached` (protocol.md §1.7).
pub fn subscription_error(channel: &str, kind: &str, error: &str, status: u16) -> Bytes {
    let data = json(&Denial { kind, error, status });
    Message::new("pusher:subscription_error", Some(channel), data.as_str()).frame()
}

/// A user came to a presence channel. `info` is `user_info` as JSON text.
pub fn member_added(channel: &ChannelName, id: &str, info: &str) -> Bytes {
    let data = format!(r#"{{"user_id":{},"user_info":{info}}}"#, json(id));
    Message::new("pusher_internal:member_added", Some(channel.as_str()), data.as_str()).frame()
}

/// A user's last socket left a presence channel.
pub fn member_removed(channel: &ChannelName, id: &str) -> Bytes {
    let data = format!(r#"{{"user_id":{}}}"#, json(id));
    Message::new("pusher_internal:member_removed", Some(channel.as_str()), data.as_str()).frame()
}

/// An event of a back end or a client. `data` goes out as the same string. `user_id` is that of the publishing member
/// of a presence channel, as its authorisation said it.
pub fn event(name: &str, channel: &ChannelName, data: &str, user_id: Option<&str>) -> Bytes {
    Message { user_id, ..Message::new(name, Some(channel.as_str()), data) }.frame()
}

/// The bytes of the frame that [`event`] makes.
pub fn event_bytes(name: &str, channel: &ChannelName, data: &str, user_id: Option<&str>) -> usize {
    frame::bytes(Message { user_id, ..Message::new(name, Some(channel.as_str()), data) }.bytes())
}

/// An event for a socket that was opened with `?trace=1`: it tells as well when the server took the event, as
/// microseconds since the Unix epoch.
pub fn traced_event(
    name: &str,
    channel: &ChannelName,
    data: &str,
    user_id: Option<&str>,
    accepted_at: Duration,
) -> Bytes {
    let accepted_at_us = u64::try_from(accepted_at.as_micros()).ok();
    Message { user_id, accepted_at_us, ..Message::new(name, Some(channel.as_str()), data) }.frame()
}

/// A cache channel has no event to show to a new subscriber.
pub fn cache_miss(channel: &ChannelName) -> Bytes {
    Message::new("pusher:cache_miss", Some(channel.as_str()), "{}").frame()
}

/// How many sockets hold the channel now (protocol.md §1.13).
pub fn subscription_count(channel: &ChannelName, count: usize) -> Bytes {
    let data = format!(r#"{{"subscription_count":{count}}}"#);
    Message::new("pusher_internal:subscription_count", Some(channel.as_str()), data.as_str()).frame()
}

/// A sign-in succeeded. `user_data` is echoed: the client learns its own id from it.
pub fn signin_success(user_data: &str) -> Bytes {
    let data = json(&SignedIn { user_data });
    Message::new("pusher:signin_success", None, data.as_str()).frame()
}

/// Which users of the watchlist are, or came, online and offline. Nothing is said about an empty list.
pub fn watchlist(online: &[&str], offline: &[&str]) -> Bytes {
    let events: Vec<String> = [("online", online), ("offline", offline)]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(name, ids)| format!(r#"{{"name":"{name}","user_ids":{}}}"#, json(ids)))
        .collect();
    let data = format!(r#"{{"events":[{}]}}"#, events.join(","));
    Message::new("pusher_internal:watchlist_events", None, data.as_str()).frame()
}

impl<'a, D> Message<'a, D> {
    fn new(event: &'a str, channel: Option<&'a str>, data: D) -> Self {
        Self { event, channel, data, user_id: None, accepted_at_us: None }
    }
}

impl Message<'_, &str> {
    /// Encodes straight into the frame's buffer: this runs for every trigger.
    fn frame(&self) -> Bytes {
        // A quarter of the payload for its escaped quotes, 128 bytes for names of members and the frame's header.
        let capacity = self.event.len() + self.channel.map_or(0, str::len) + self.data.len() * 5 / 4 + 128;
        frame::text_with(capacity, |json| serde_json::to_writer(json, self).expect("strings and numbers always encode"))
    }

    /// The bytes of the message as JSON, without a time of acceptance.
    fn bytes(&self) -> usize {
        let optional = |key: &str, value: Option<&str>| value.map_or(0, |value| key.len() + escaped_bytes(value));
        r#"{"event":"","data":""}"#.len()
            + escaped_bytes(self.event)
            + escaped_bytes(self.data)
            + optional(r#","channel":"""#, self.channel)
            + optional(r#","user_id":"""#, self.user_id)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings and numbers always encode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::presence::MemberClaim;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).expect(name)
    }

    fn check(frame: Bytes, expected: &str) {
        assert_eq!(frame, frame::text(expected), "{}", String::from_utf8_lossy(&frame));
    }

    #[test]
    fn the_bytes_of_an_event_are_known_before_it_is_encoded() {
        let channel = channel("presence-a");
        for data in ["{}", &"\"".repeat(100), &"x".repeat(0x10000)] {
            for user_id in [None, Some("7")] {
                assert_eq!(event_bytes("e", &channel, data, user_id), event("e", &channel, data, user_id).len());
            }
        }
    }

    #[test]
    fn connection_established_has_a_socket_id_and_whole_seconds() {
        check(
            connection_established("123456789.987654321".parse().unwrap(), Duration::from_millis(120_900)),
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"123456789.987654321\",\"activity_timeout\":120}"}"#,
        );
    }

    #[test]
    fn the_activity_timeout_is_never_zero() {
        check(
            connection_established("1.2".parse().unwrap(), Duration::ZERO),
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":1}"}"#,
        );
    }

    #[test]
    fn ping_and_pong_have_data() {
        check(ping(), r#"{"event":"pusher:ping","data":"{}"}"#);
        check(pong(), r#"{"event":"pusher:pong","data":"{}"}"#);
    }

    #[test]
    fn the_data_of_an_error_is_an_object() {
        check(
            error(Some(4001), "Application does not exist", None),
            r#"{"event":"pusher:error","data":{"code":4001,"message":"Application does not exist"}}"#,
        );
    }

    #[test]
    fn an_error_without_a_code_has_null() {
        check(
            error(None, "Unsupported event received on socket: \"x\"", None),
            r#"{"event":"pusher:error","data":{"code":null,"message":"Unsupported event received on socket: \"x\""}}"#,
        );
    }

    #[test]
    fn an_error_can_name_its_channel() {
        check(
            error(Some(4301), "too fast", Some("private-a")),
            r#"{"event":"pusher:error","channel":"private-a","data":{"code":4301,"message":"too fast"}}"#,
        );
    }

    #[test]
    fn subscription_succeeded_has_empty_data() {
        check(
            subscription_succeeded(&channel("orders")),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"orders","data":"{}"}"#,
        );
    }

    #[test]
    fn presence_succeeded_lists_every_id_in_ids_and_hash() {
        check(
            presence_succeeded(&channel("presence-room"), &[("42", r#"{"name":"Ada"}"#), ("0", "true"), ("\"", "{}")]),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":"{\"presence\":{\"count\":3,\"ids\":[\"42\",\"0\",\"\\\"\"],\"hash\":{\"42\":{\"name\":\"Ada\"},\"0\":true,\"\\\"\":{}}}}"}"#,
        );
    }

    #[test]
    fn the_hash_is_an_object_even_if_empty() {
        check(
            presence_succeeded(&channel("presence-room"), &[]),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-room","data":"{\"presence\":{\"count\":0,\"ids\":[],\"hash\":{}}}"}"#,
        );
    }

    #[test]
    fn the_data_of_a_subscription_error_is_a_string() {
        check(
            subscription_error("presence-\u{e9}\"", "InvalidChannel", "no \"quotes\"", 400),
            r#"{"event":"pusher:subscription_error","channel":"presence-é\"","data":"{\"type\":\"InvalidChannel\",\"error\":\"no \\\"quotes\\\"\",\"status\":400}"}"#,
        );
    }

    #[test]
    fn member_added_carries_user_info_as_it_came() {
        check(
            member_added(&channel("presence-room"), "43", r#"{"name": "B\u00f6b", "n":1.0}"#),
            r#"{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"43\",\"user_info\":{\"name\": \"B\\u00f6b\", \"n\":1.0}}"}"#,
        );
    }

    #[test]
    fn a_member_without_user_info_is_added_with_an_empty_object() {
        let claim = MemberClaim::parse(r#"{"user_id":43}"#).unwrap();
        check(
            member_added(&channel("presence-room"), &claim.id, &claim.info),
            r#"{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\"user_id\":\"43\",\"user_info\":{}}"}"#,
        );
    }

    #[test]
    fn member_removed_carries_the_id_alone() {
        check(
            member_removed(&channel("presence-room"), "a\\b"),
            r#"{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"a\\\\b\"}"}"#,
        );
    }

    #[test]
    fn an_event_carries_its_data_as_the_same_string() {
        check(
            event("App\\Events\\Shipped", &channel("orders"), r#"{"id":7,"n":"\u00e9\/x é"}"#, None),
            r#"{"event":"App\\Events\\Shipped","channel":"orders","data":"{\"id\":7,\"n\":\"\\u00e9\\/x é\"}"}"#,
        );
    }

    #[test]
    fn the_data_of_an_event_need_not_be_json() {
        check(
            event("raw", &channel("orders"), "not json\n\u{0}\u{7f}\u{2028}", None),
            "{\"event\":\"raw\",\"channel\":\"orders\",\"data\":\"not json\\n\\u0000\u{7f}\u{2028}\"}",
        );
    }

    #[test]
    fn a_members_event_tells_the_members_id() {
        check(
            event("client-typing", &channel("presence-chat"), r#"{"who":"Ada"}"#, Some("42")),
            r#"{"event":"client-typing","channel":"presence-chat","data":"{\"who\":\"Ada\"}","user_id":"42"}"#,
        );
    }

    #[test]
    fn a_traced_event_tells_when_it_was_accepted() {
        check(
            traced_event("a", &channel("orders"), "{}", None, Duration::from_nanos(1_700_000_000_000_001_999)),
            r#"{"event":"a","channel":"orders","data":"{}","accepted_at_us":1700000000000001}"#,
        );
        check(
            traced_event("a", &channel("presence-a"), "{}", Some("42"), Duration::from_micros(5)),
            r#"{"event":"a","channel":"presence-a","data":"{}","user_id":"42","accepted_at_us":5}"#,
        );
    }

    #[test]
    fn cache_miss_has_empty_data() {
        check(
            cache_miss(&channel("cache-news")),
            r#"{"event":"pusher:cache_miss","channel":"cache-news","data":"{}"}"#,
        );
    }

    #[test]
    fn subscription_count_is_a_number_inside_the_string() {
        check(
            subscription_count(&channel("orders"), 5),
            r#"{"event":"pusher_internal:subscription_count","channel":"orders","data":"{\"subscription_count\":5}"}"#,
        );
    }

    #[test]
    fn signin_success_echoes_user_data_byte_for_byte() {
        check(
            signin_success(r#"{"id":"42", "watchlist":["7"]}"#),
            r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\":\\\"42\\\", \\\"watchlist\\\":[\\\"7\\\"]}\"}"}"#,
        );
    }

    #[test]
    fn the_watchlist_tells_who_is_online_and_who_is_not() {
        check(
            watchlist(&["7", "a\""], &["9"]),
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"7\",\"a\\\"\"]},{\"name\":\"offline\",\"user_ids\":[\"9\"]}]}"}"#,
        );
    }

    #[test]
    fn the_watchlist_skips_an_empty_list_but_never_its_events_member() {
        check(
            watchlist(&[], &["9"]),
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"offline\",\"user_ids\":[\"9\"]}]}"}"#,
        );
        check(watchlist(&[], &[]), r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[]}"}"#);
    }

    #[test]
    fn a_large_event_grows_its_buffer_without_harm() {
        let quotes = "\"".repeat(70_000);
        let expected = format!(r#"{{"event":"a","channel":"orders","data":"{}"}}"#, "\\\"".repeat(70_000));
        check(event("a", &channel("orders"), &quotes, None), &expected);
    }
}
