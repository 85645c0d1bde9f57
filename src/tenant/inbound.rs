//! Messages from a tenant socket. Pure.

use serde_json::{Map, Value};

use crate::protocol::Secret;

/// What a tenant socket may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantMessage {
    /// Wants a `pong`; existing clients send one every 30 s.
    Ping,
    /// The answer to a `ping` of the server.
    Pong,
    /// Wants the events of a channel.
    Subscribe {
        /// The name as the client sent it, not yet validated.
        channel: String,
        /// How far the client has heard it, not yet read.
        since: Option<String>,
    },
    /// Has a newer token.
    Token(Secret),
    /// Wants no more events of a channel.
    Unsubscribe {
        /// The name as the client sent it, not yet validated.
        channel: String,
    },
}

/// Why a message was not understood; the socket stays open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or JSON that is no object.
    #[error("the message is not a JSON object")]
    NotAnObject,
    #[error("the message has no string member \"type\"")]
    TypeMissing,
    /// A `type` that is not served; its first 40 characters.
    #[error("the message type {0:?} is unknown; known are ping, pong, subscribe, unsubscribe and token")]
    TypeUnknown(String),
    /// `subscribe` or `unsubscribe` without a member `channel` that is a string.
    #[error("the message has no string member \"channel\"")]
    ChannelMissing,
    /// `token` without a member `token` that is a string.
    #[error("the message has no string member \"token\"")]
    TokenMissing,
    /// `subscribe` with a member `since` that is neither a string nor null.
    #[error("the member \"since\" of the message is not a string")]
    SinceNotAString,
}

/// Reads one text message. Members that are not known are ignored.
pub fn parse(text: &str) -> Result<TenantMessage, Malformed> {
    let message: Map<String, Value> = serde_json::from_str(text).map_err(|_| Malformed::NotAnObject)?;
    let Some(kind) = message.get("type").and_then(Value::as_str) else { return Err(Malformed::TypeMissing) };
    match kind {
        "ping" => Ok(TenantMessage::Ping),
        "pong" => Ok(TenantMessage::Pong),
        "subscribe" => Ok(TenantMessage::Subscribe { channel: channel_of(&message)?, since: since_of(&message)? }),
        "unsubscribe" => Ok(TenantMessage::Unsubscribe { channel: channel_of(&message)? }),
        "token" => Ok(TenantMessage::Token(token_of(&message)?)),
        other => Err(Malformed::TypeUnknown(other.chars().take(40).collect())),
    }
}

fn channel_of(message: &Map<String, Value>) -> Result<String, Malformed> {
    message.get("channel").and_then(Value::as_str).map(str::to_owned).ok_or(Malformed::ChannelMissing)
}

fn token_of(message: &Map<String, Value>) -> Result<Secret, Malformed> {
    message.get("token").and_then(Value::as_str).map(Secret::new).ok_or(Malformed::TokenMissing)
}

fn since_of(message: &Map<String, Value>) -> Result<Option<String>, Malformed> {
    match message.get("since") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(since)) => Ok(Some(since.clone())),
        Some(_) => Err(Malformed::SinceNotAString),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_understood_and_unknown_members_are_ignored() {
        let channel = "products.7".to_owned();
        for (text, message) in [
            (r#"{"type":"ping"}"#, TenantMessage::Ping),
            (r#" {"at":1,"type":"ping","data":{"type":"x"}} "#, TenantMessage::Ping),
            (
                r#"{"type":"subscribe","channel":"products.7"}"#,
                TenantMessage::Subscribe { channel: channel.clone(), since: None },
            ),
            (
                r#"{"type":"subscribe","channel":"products.7","since":"k3x09a-17"}"#,
                TenantMessage::Subscribe { channel: channel.clone(), since: Some("k3x09a-17".to_owned()) },
            ),
            (r#"{"type":"token","token":"a.b.c"}"#, TenantMessage::Token(Secret::new("a.b.c"))),
            (r#"{"channel":"products.7","type":"unsubscribe"}"#, TenantMessage::Unsubscribe { channel }),
        ] {
            assert_eq!(parse(text), Ok(message), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_message_is_said() {
        for (text, problem) in [
            ("", "the message is not a JSON object"),
            ("ping", "the message is not a JSON object"),
            ("[\"ping\"]", "the message is not a JSON object"),
            ("{\"type\":\"ping\"", "the message is not a JSON object"),
            ("{}", "the message has no string member \"type\""),
            ("{\"type\":7}", "the message has no string member \"type\""),
            (
                "{\"type\":\"publish\"}",
                "the message type \"publish\" is unknown; known are ping, pong, subscribe, unsubscribe and token",
            ),
            ("{\"type\":\"subscribe\"}", "the message has no string member \"channel\""),
            (
                "{\"type\":\"subscribe\",\"channel\":\"a\",\"since\":7}",
                "the member \"since\" of the message is not a string",
            ),
            ("{\"type\":\"token\",\"token\":{}}", "the message has no string member \"token\""),
            ("{\"type\":\"unsubscribe\",\"channel\":[\"a\"]}", "the message has no string member \"channel\""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), problem, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let bomb = format!("{{\"type\":\"ping\",\"x\":{}", "[".repeat(60_000));
        assert_eq!(parse(&bomb), Err(Malformed::NotAnObject));
    }

    #[test]
    fn a_long_unknown_type_is_not_sent_back_whole() {
        let text = format!("{{\"type\":\"{}\"}}", "x".repeat(60_000));
        assert_eq!(parse(&text), Err(Malformed::TypeUnknown("x".repeat(40))));
    }
}
