//! Messages to tenant sockets, as ready WebSocket frames. Only events have a member `data`: existing clients take any
//! message with `type` and `data` for an event. Pure.

use std::time::Duration;

use bytes::Bytes;
use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::TenantId;
use crate::protocol::{ChannelName, Recovery, SocketId, frame, recovery};

/// The first message of an admitted socket. The id lets an application leave the socket out of an event.
pub fn connected(id: SocketId) -> Bytes {
    frame::text(&format!(r#"{{"type":"connected","socketId":"{id}"}}"#))
}

/// Asks a page that names itself by a resume id whether it has heard everything so far.
pub fn ping() -> Bytes {
    frame::text(r#"{"type":"ping"}"#)
}

/// The answer to `ping`.
pub fn pong() -> Bytes {
    frame::text(r#"{"type":"pong"}"#)
}

/// The socket's token ends in so long: the page may send a newer one.
pub fn token_expires(expires: Duration, rest: Duration) -> Bytes {
    let (expires, rest) = (expires.as_secs(), rest.as_secs());
    frame::text(&format!(r#"{{"type":"token_expires","expires":{expires},"seconds":{rest}}}"#))
}

/// The answer to `token`: from here on it is the socket's.
pub fn token_accepted(expires: Duration) -> Bytes {
    frame::text(&format!(r#"{{"type":"token_accepted","expires":{}}}"#, expires.as_secs()))
}

/// The answer to `subscribe`. Who comes back learns whether everything that was missed follows; if not, the client must
/// read anew what it shows, and has heard the channel up to the id from then on.
pub fn subscribed(channel: &ChannelName, recovery: Option<&Recovery>) -> Bytes {
    let recovered = match recovery {
        None | Some(Recovery::New(_)) => "",
        Some(Recovery::Whole { .. }) => r#","recovered":true"#,
        Some(Recovery::Partial(_)) => r#","recovered":false"#,
    };
    let frame = frame::text(&format!(r#"{{"type":"subscribed","channel":"{channel}"{recovered}}}"#));
    match recovery {
        Some(Recovery::Partial(position)) if !position.is_empty() => recovery::with_id(&frame, position),
        _ => frame,
    }
}

/// The answer to `unsubscribe`, also where the channel was not subscribed.
pub fn unsubscribed(channel: &ChannelName) -> Bytes {
    frame::text(&format!(r#"{{"type":"unsubscribed","channel":"{channel}"}}"#))
}

/// A problem. A code of three digits leaves the socket open, one of four is the code of the close that follows.
/// `channel` is what the client asked for, valid or not.
pub fn error(code: u16, message: &str, channel: Option<&str>) -> Bytes {
    let channel = channel.map(|channel| format!(r#","channel":{}"#, quoted(channel))).unwrap_or_default();
    frame::text(&format!(r#"{{"type":"error","code":{code},"message":{}{channel}}}"#, quoted(message)))
}

/// Who is in a presence channel, the subscriber included: pairs of user id and `user_info` as JSON text.
pub fn presence(channel: &ChannelName, members: &[(&str, &str)]) -> Bytes {
    let members: Vec<_> = members.iter().map(|(id, info)| format!("{{{}}}", member(id, info))).collect();
    frame::text(&format!(r#"{{"type":"members","channel":"{channel}","members":[{}]}}"#, members.join(",")))
}

/// A user's first socket joined a presence channel; `info` is the `user_info` as JSON text.
pub fn member_added(channel: &ChannelName, id: &str, info: &str) -> Bytes {
    frame::text(&format!(r#"{{"type":"member_added","channel":"{channel}",{}}}"#, member(id, info)))
}

/// A user's last socket left a presence channel.
pub fn member_removed(channel: &ChannelName, id: &str) -> Bytes {
    frame::text(&format!(r#"{{"type":"member_removed","channel":"{channel}","id":{}}}"#, quoted(id)))
}

/// An event. `data` as the publisher sent it becomes a JSON object that names the tenant: an object passes through byte
/// for byte and gets `tenantId` at its end where its top level has none; PHP's empty payload `[]` becomes an object with
/// nothing else; any other value stands in a member `value`, and a text that is not JSON is a string there.
pub fn event(name: &str, channel: &ChannelName, data: &str, tenant: &TenantId) -> Bytes {
    frame::text(&format!(r#"{{"type":{},"channel":"{channel}","data":{}}}"#, quoted(name), with_tenant(data, tenant)))
}

fn with_tenant(data: &str, tenant: &TenantId) -> String {
    // The characters that JSON takes for blanks.
    let json = data.trim_matches([' ', '\t', '\r', '\n']);
    match Shape::of(json) {
        Shape::Nothing => format!(r#"{{"tenantId":"{tenant}"}}"#),
        Shape::ObjectWithTenant => json.to_owned(),
        Shape::Object => format!(r#"{},"tenantId":"{tenant}"}}"#, &json[..json.len() - 1]),
        Shape::OtherJson => format!(r#"{{"value":{json},"tenantId":"{tenant}"}}"#),
        Shape::Text => format!(r#"{{"value":{},"tenantId":"{tenant}"}}"#, quoted(data)),
    }
}

/// What an event's `data` is, as far as the tenant's id is concerned.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// The empty text, `[]` or `{}`.
    Nothing,
    /// An object that has a top-level `tenantId` already.
    ObjectWithTenant,
    /// An object with members, none of them `tenantId`.
    Object,
    /// Any other JSON.
    OtherJson,
    /// Not JSON.
    Text,
}

impl Shape {
    fn of(data: &str) -> Self {
        if data.is_empty() {
            return Self::Nothing;
        }
        // `IgnoredAny` is read without recursion, so depth is no danger here.
        match serde_json::from_str::<TopLevel>(data) {
            Err(_) if serde_json::from_str::<IgnoredAny>(data).is_ok() => Self::OtherJson,
            Err(_) => Self::Text,
            Ok(TopLevel { members: 0, .. }) => Self::Nothing,
            Ok(TopLevel { names_tenant: true, .. }) => Self::ObjectWithTenant,
            Ok(TopLevel { names_tenant: false, .. }) => Self::Object,
        }
    }
}

/// What stands at the top level of an object, or of an empty array.
struct TopLevel {
    members: usize,
    names_tenant: bool,
}

impl<'de> Deserialize<'de> for TopLevel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopLevelVisitor)
    }
}

struct TopLevelVisitor;

impl<'de> Visitor<'de> for TopLevelVisitor {
    type Value = TopLevel;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an empty array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TopLevel, A::Error> {
        let mut top = TopLevel { members: 0, names_tenant: false };
        while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
            top.members += 1;
            top.names_tenant |= key == "tenantId";
        }
        Ok(top)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<TopLevel, A::Error> {
        match elements.next_element::<IgnoredAny>()? {
            None => Ok(TopLevel { members: 0, names_tenant: false }),
            Some(IgnoredAny) => Err(serde::de::Error::invalid_length(1, &self)),
        }
    }
}

fn member(id: &str, info: &str) -> String {
    format!(r#""id":{},"info":{info}"#, quoted(id))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: Bytes, expected: &str) {
        assert_eq!(frame, frame::text(expected), "{:?}", String::from_utf8_lossy(&frame));
    }

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name, 200).unwrap()
    }

    #[test]
    fn answers_have_no_data_member() {
        let products = channel("products.7");
        check(connected(SocketId::from_bits((12 << 32) | 34)), r#"{"type":"connected","socketId":"12.34"}"#);
        check(pong(), r#"{"type":"pong"}"#);
        check(subscribed(&products, None), r#"{"type":"subscribed","channel":"products.7"}"#);
        let (expires, rest) = (Duration::from_millis(1_700_000_060_500), Duration::from_millis(59_900));
        check(token_expires(expires, rest), r#"{"type":"token_expires","expires":1700000060,"seconds":59}"#);
        check(token_accepted(expires), r#"{"type":"token_accepted","expires":1700000060}"#);
        check(unsubscribed(&products), r#"{"type":"unsubscribed","channel":"products.7"}"#);
    }

    #[test]
    fn an_error_names_its_code_and_the_channel_if_there_is_one() {
        check(error(4011, "the token expired", None), r#"{"type":"error","code":4011,"message":"the token expired"}"#);
        check(
            error(400, "no \"type\"", Some("a\"b")),
            r#"{"type":"error","code":400,"message":"no \"type\"","channel":"a\"b"}"#,
        );
    }

    #[test]
    fn presence_is_told_without_a_data_member() {
        let room = channel("presence-room.7");
        check(
            presence(&room, &[("7", r#"{"name":"Ada"}"#), ("8", "true")]),
            r#"{"type":"members","channel":"presence-room.7","members":[{"id":"7","info":{"name":"Ada"}},{"id":"8","info":true}]}"#,
        );
        check(presence(&room, &[]), r#"{"type":"members","channel":"presence-room.7","members":[]}"#);
        check(
            member_added(&room, "7", r#"{"name":"Ada"}"#),
            r#"{"type":"member_added","channel":"presence-room.7","id":"7","info":{"name":"Ada"}}"#,
        );
        check(member_removed(&room, "a\"b"), r#"{"type":"member_removed","channel":"presence-room.7","id":"a\"b"}"#);
    }

    #[test]
    fn an_event_is_named_by_its_type() {
        let tenant = TenantId::parse("7").unwrap();
        check(
            event("App\\Events\\Shipped", &channel("orders.7"), r#"{"id":1}"#, &tenant),
            r#"{"type":"App\\Events\\Shipped","channel":"orders.7","data":{"id":1,"tenantId":"7"}}"#,
        );
    }

    fn check_data(data: &str, expected: &str) {
        let tenant = TenantId::parse("7").unwrap();
        check(
            event("saved", &channel("orders.7"), data, &tenant),
            &format!(r#"{{"type":"saved","channel":"orders.7","data":{expected}}}"#),
        );
        serde_json::from_str::<IgnoredAny>(expected).expect(expected);
    }

    #[test]
    fn an_object_passes_through_byte_for_byte_and_names_the_tenant() {
        check_data(r#"{ "n" : 1.50, "é":"\u00e9\/x" }"#, r#"{ "n" : 1.50, "é":"\u00e9\/x" ,"tenantId":"7"}"#);
        check_data(" {\"a\":1}\n", r#"{"a":1,"tenantId":"7"}"#);
        check_data(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2,"tenantId":"7"}"#);
    }

    #[test]
    fn a_tenant_that_the_object_names_itself_stays() {
        check_data(r#"{"tenantId":"9","a":1}"#, r#"{"tenantId":"9","a":1}"#);
        check_data(r#"{"a":1,"tenant\u0049d":null}"#, r#"{"a":1,"tenant\u0049d":null}"#);
    }

    #[test]
    fn a_tenant_that_is_nested_or_in_a_string_does_not_count() {
        check_data(r#"{"a":{"tenantId":"9"}}"#, r#"{"a":{"tenantId":"9"},"tenantId":"7"}"#);
        check_data(r#"{"a":"\"tenantId\":\"9\""}"#, r#"{"a":"\"tenantId\":\"9\"","tenantId":"7"}"#);
        check_data(r#"{"tenantid":"9"}"#, r#"{"tenantid":"9","tenantId":"7"}"#);
    }

    #[test]
    fn an_empty_payload_becomes_an_object_with_the_tenant_alone() {
        for empty in ["", "[]", "{}", " [ ] ", "{ }"] {
            check_data(empty, r#"{"tenantId":"7"}"#);
        }
    }

    #[test]
    fn what_is_no_object_stands_in_a_member() {
        check_data("[1,2]", r#"{"value":[1,2],"tenantId":"7"}"#);
        check_data("12", r#"{"value":12,"tenantId":"7"}"#);
        check_data("null", r#"{"value":null,"tenantId":"7"}"#);
        check_data("\"hi\"", r#"{"value":"hi","tenantId":"7"}"#);
        check_data(" hi \"there\"", r#"{"value":" hi \"there\"","tenantId":"7"}"#);
        check_data("{\"a\":1", r#"{"value":"{\"a\":1","tenantId":"7"}"#);
        check_data("{\"a\":1},{}", r#"{"value":"{\"a\":1},{}","tenantId":"7"}"#);
    }

    #[test]
    fn deeply_nested_data_is_carried_like_any_other() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        check_data(&format!("{{\"a\":{deep}}}"), &format!("{{\"a\":{deep},\"tenantId\":\"7\"}}"));
    }
}
