//! What clients send (protocol.md §1.3, §1.6, §1.7, §1.11, §1.12, §1.14). The parser is total: whatever the text, it
//! returns a message or says what is wrong with it. It judges shape alone; names, signatures and rights come later. Pure.

use std::borrow::Cow;

use super::object::{NotAnObject, Object, is_null, unquoted};

/// One message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// `pusher:ping`, whatever its data.
    Ping,
    /// `pusher:pong`, whatever its data.
    Pong,
    /// `pusher:subscribe`
    Subscribe {
        /// The channel's name, not yet checked.
        channel: String,
        /// `key:signature`; `None` if it is missing, empty or not a string.
        auth: Option<String>,
        /// What the back end signed about the member, byte for byte.
        channel_data: Option<String>,
        /// How far the client has heard the channel, not yet read; a plugin sends it.
        since: Option<String>,
    },
    /// `pusher:unsubscribe`
    Unsubscribe {
        /// The channel's name, not yet checked.
        channel: String,
    },
    /// `pusher:signin`
    SignIn {
        /// `key:signature`
        auth: String,
        /// What the back end signed about the user, byte for byte.
        user_data: String,
    },
    /// An event for the other subscribers. Every further member of the message, a `user_id` for instance, was dropped.
    ClientEvent {
        /// Starts with `client-`.
        name: String,
        /// The channel's name, not yet checked.
        channel: String,
        /// A string's content, or any other value's JSON text as it was received; `{}` if there was none.
        data: String,
    },
    /// A message that only servers send and that harms nobody: it is neither answered nor an error.
    Ignored,
}

/// Why a message was not understood. The text goes to the client in a `pusher:error` without a code, and the session stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("Invalid message format: not JSON")]
    NotJson,
    #[error("Invalid message format: not a JSON object")]
    NotAnObject,
    #[error("Invalid message format: event is missing or not a string")]
    NoEvent,
    #[error("Invalid message format: data must be an object that has channel as a string")]
    NoChannel,
    #[error("Invalid message format: channel_data must be a string")]
    ChannelDataNotAString,
    #[error("Invalid message format: data must be an object that has auth and user_data as strings")]
    IncompleteSignIn,
    #[error("Invalid client event (must contain channel and data)")]
    IncompleteClientEvent,
    /// The data of a client event is a string with a lone surrogate, which no text frame can carry on.
    #[error("Invalid client event (data contains a lone surrogate)")]
    ClientEventNotUnicode,
    #[error("Unsupported event received on socket: {0}")]
    UnsupportedEvent(String),
}

const QUOTED_NAME_CHARACTERS: usize = 100;

/// Reads one text message.
pub fn parse(text: &str) -> Result<ClientMessage, Malformed> {
    let message = Object::parse(text)?;
    let event = message.text("event").ok_or(Malformed::NoEvent)?;
    match event.as_str() {
        "pusher:ping" => Ok(ClientMessage::Ping),
        "pusher:pong" => Ok(ClientMessage::Pong),
        "pusher:subscribe" => subscribe(&Object::parse(&arguments(&message)).map_err(|_| Malformed::NoChannel)?),
        "pusher:unsubscribe" => unsubscribe(&Object::parse(&arguments(&message)).map_err(|_| Malformed::NoChannel)?),
        "pusher:signin" => sign_in(&Object::parse(&arguments(&message)).map_err(|_| Malformed::IncompleteSignIn)?),
        "pusher:connection_established" => Ok(ClientMessage::Ignored),
        name if name.starts_with("client-") => client_event(&message, event),
        name => Err(Malformed::UnsupportedEvent(name.chars().take(QUOTED_NAME_CHARACTERS).collect())),
    }
}

/// The text of the object in `data`, which older clients encode twice.
fn arguments<'a>(message: &Object<'a>) -> Cow<'a, str> {
    message.get("data").and_then(unquoted).unwrap_or_default()
}

fn subscribe(arguments: &Object<'_>) -> Result<ClientMessage, Malformed> {
    let channel = arguments.text("channel").ok_or(Malformed::NoChannel)?;
    let auth = arguments.text("auth").filter(|auth| !auth.is_empty());
    let channel_data = match arguments.get("channel_data").filter(|value| !is_null(value)) {
        Some(_) => Some(arguments.text("channel_data").ok_or(Malformed::ChannelDataNotAString)?),
        None => None,
    };
    let since = arguments.text("since").filter(|since| !since.is_empty());
    Ok(ClientMessage::Subscribe { channel, auth, channel_data, since })
}

fn unsubscribe(arguments: &Object<'_>) -> Result<ClientMessage, Malformed> {
    let channel = arguments.text("channel").ok_or(Malformed::NoChannel)?;
    Ok(ClientMessage::Unsubscribe { channel })
}

fn sign_in(arguments: &Object<'_>) -> Result<ClientMessage, Malformed> {
    let auth = arguments.text("auth").ok_or(Malformed::IncompleteSignIn)?;
    let user_data = arguments.text("user_data").ok_or(Malformed::IncompleteSignIn)?;
    Ok(ClientMessage::SignIn { auth, user_data })
}

fn client_event(message: &Object<'_>, name: String) -> Result<ClientMessage, Malformed> {
    let channel = message.text("channel").ok_or(Malformed::IncompleteClientEvent)?;
    let data = match message.get("data") {
        Some(value) => unquoted(value).ok_or(Malformed::ClientEventNotUnicode)?.into_owned(),
        None => "{}".to_owned(),
    };
    Ok(ClientMessage::ClientEvent { name, channel, data })
}

impl From<NotAnObject> for Malformed {
    fn from(refusal: NotAnObject) -> Self {
        match refusal {
            NotAnObject::NotJson => Self::NotJson,
            NotAnObject::OtherValue => Self::NotAnObject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: ClientMessage) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, expected: Malformed) {
        assert_eq!(parse(text), Err(expected), "{text}");
    }

    fn subscription(channel: &str, auth: Option<&str>, channel_data: Option<&str>) -> ClientMessage {
        ClientMessage::Subscribe {
            channel: channel.to_owned(),
            auth: auth.map(str::to_owned),
            channel_data: channel_data.map(str::to_owned),
            since: None,
        }
    }

    fn client_event(data: &str) -> ClientMessage {
        ClientMessage::ClientEvent {
            name: "client-typing".to_owned(),
            channel: "private-chat".to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn pings_and_pongs_may_carry_anything() {
        for data in [r#","data":{}"#, r#","data":"""#, r#","data":null"#, r#","data":[1]"#, ""] {
            check(&format!(r#"{{"event":"pusher:ping"{data}}}"#), ClientMessage::Ping);
            check(&format!(r#"{{"event":"pusher:pong"{data}}}"#), ClientMessage::Pong);
        }
    }

    #[test]
    fn a_public_subscription_has_no_auth_whether_it_is_empty_null_or_absent() {
        for auth in [r#""auth":"","#, r#""auth":null,"#, ""] {
            let text = format!(r#"{{"event":"pusher:subscribe","data":{{{auth}"channel":"orders"}}}}"#);
            check(&text, subscription("orders", None, None));
        }
    }

    #[test]
    fn a_presence_subscription_keeps_channel_data_byte_for_byte() {
        check(
            r#"{"event":"pusher:subscribe","data":{"auth":"k:f0","channel_data":"{\"user_id\": \"4\\u00e9\"}","channel":"presence-a"}}"#,
            subscription("presence-a", Some("k:f0"), Some(r#"{"user_id": "4\u00e9"}"#)),
        );
    }

    #[test]
    fn null_channel_data_is_absent() {
        check(
            r#"{"event":"pusher:subscribe","data":{"auth":"k:f0","channel_data":null,"channel":"private-a"}}"#,
            subscription("private-a", Some("k:f0"), None),
        );
    }

    #[test]
    fn channel_data_of_another_type_is_refused() {
        for value in [r#"{"user_id":"1"}"#, "7", "[]", r#""\ud800""#] {
            refused(
                &format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"presence-a","channel_data":{value}}}}}"#),
                Malformed::ChannelDataNotAString,
            );
        }
    }

    #[test]
    fn data_may_be_a_json_string_of_an_object() {
        check(
            r#"{"event":"pusher:subscribe","data":"{\"auth\":\"\",\"channel\":\"orders\"}"}"#,
            subscription("orders", None, None),
        );
        check(
            r#"{"event":"pusher:unsubscribe","data":"{\"channel\":\"orders\"}"}"#,
            ClientMessage::Unsubscribe { channel: "orders".to_owned() },
        );
    }

    #[test]
    fn a_channel_that_is_missing_or_not_a_string_is_refused() {
        for data in [r#"{"channel":7}"#, r#"{"channel":null}"#, "{}", "[]", "null", r#""""#, r#""x""#, r#""[]""#] {
            refused(&format!(r#"{{"event":"pusher:subscribe","data":{data}}}"#), Malformed::NoChannel);
            refused(&format!(r#"{{"event":"pusher:unsubscribe","data":{data}}}"#), Malformed::NoChannel);
        }
        refused(r#"{"event":"pusher:subscribe"}"#, Malformed::NoChannel);
        refused(r#"{"event":"pusher:subscribe","channel":"orders"}"#, Malformed::NoChannel);
    }

    #[test]
    fn a_sign_in_keeps_user_data_byte_for_byte() {
        let expected =
            ClientMessage::SignIn { auth: "k:f0".to_owned(), user_data: r#"{"id":"42", "x":1.0}"#.to_owned() };
        let arguments = r#"{"auth":"k:f0","user_data":"{\"id\":\"42\", \"x\":1.0}"}"#;
        check(&format!(r#"{{"event":"pusher:signin","data":{arguments}}}"#), expected.clone());
        let twice = serde_json::to_string(arguments).unwrap();
        check(&format!(r#"{{"event":"pusher:signin","data":{twice}}}"#), expected);
    }

    #[test]
    fn a_sign_in_needs_two_strings() {
        for data in ["{}", r#"{"auth":"k:f0"}"#, r#"{"user_data":"{}"}"#, r#"{"auth":"k:f0","user_data":{}}"#, "7"] {
            refused(&format!(r#"{{"event":"pusher:signin","data":{data}}}"#), Malformed::IncompleteSignIn);
        }
    }

    #[test]
    fn the_data_of_a_client_event_becomes_a_string_without_being_rewritten() {
        for (data, forwarded) in [
            (r#"{"who":"Ada"}"#, r#"{"who":"Ada"}"#),
            (r#"{"b":1.50,"a":12345678901234567890123,"a":2}"#, r#"{"b":1.50,"a":12345678901234567890123,"a":2}"#),
            (r#"{"s":"\u00e9\/\ud800"}"#, r#"{"s":"\u00e9\/\ud800"}"#),
            (r#""hello""#, "hello"),
            (r#""{\"a\":\"\\u00e9\"}""#, r#"{"a":"\u00e9"}"#),
            (r#""a\u0000b""#, "a\0b"),
            (r#""""#, ""),
            ("[1,2]", "[1,2]"),
            ("-1e9", "-1e9"),
            ("null", "null"),
        ] {
            let text = format!(r#"{{"event":"client-typing","channel":"private-chat","data":{data}}}"#);
            check(&text, client_event(forwarded));
        }
    }

    #[test]
    fn a_client_event_without_data_carries_an_empty_object() {
        check(r#"{"event":"client-typing","channel":"private-chat"}"#, client_event("{}"));
    }

    #[test]
    fn a_forged_user_id_in_a_client_event_is_dropped() {
        check(
            r#"{"event":"client-typing","channel":"private-chat","data":{},"user_id":"1","channels":["b"]}"#,
            client_event("{}"),
        );
    }

    #[test]
    fn a_client_event_needs_a_channel() {
        for channel in ["", r#""channel":null,"#, r#""channel":["a"],"#] {
            let text = format!(r#"{{"event":"client-typing",{channel}"data":{{}}}}"#);
            refused(&text, Malformed::IncompleteClientEvent);
        }
    }

    #[test]
    fn a_client_event_with_a_lone_surrogate_for_data_is_refused() {
        refused(
            r#"{"event":"client-typing","channel":"private-chat","data":"\ud800"}"#,
            Malformed::ClientEventNotUnicode,
        );
    }

    #[test]
    fn the_servers_own_greeting_is_ignored() {
        check(r#"{"event":"pusher:connection_established","data":"{}"}"#, ClientMessage::Ignored);
    }

    #[test]
    fn unknown_events_are_refused_by_name() {
        for name in ["pusher:nothing", "pusher_internal:member_added", "my-client-x", "Client-x", "typing", ""] {
            refused(&format!(r#"{{"event":"{name}"}}"#), Malformed::UnsupportedEvent(name.to_owned()));
        }
    }

    #[test]
    fn an_endless_name_is_not_echoed_whole() {
        let name = "é".repeat(1_000);
        refused(&format!(r#"{{"event":"{name}"}}"#), Malformed::UnsupportedEvent("é".repeat(100)));
    }

    #[test]
    fn what_is_not_an_object_with_an_event_is_refused() {
        for text in ["", " ", "hello", "{", r#"{"event":"pusher:ping""#, "{}{}", "\0", "{\"event\":\"\u{1}\"}", "NaN"] {
            refused(text, Malformed::NotJson);
        }
        for text in ["[]", r#"["pusher:ping"]"#, "null", "7", r#""pusher:ping""#] {
            refused(text, Malformed::NotAnObject);
        }
        for text in ["{}", r#"{"event":null}"#, r#"{"event":7}"#, r#"{"event":["pusher:ping"]}"#] {
            refused(text, Malformed::NoEvent);
        }
        refused(r#"{"event":"\ud800"}"#, Malformed::NoEvent);
    }

    #[test]
    fn the_last_of_two_events_counts() {
        check(r#"{"event":"pusher:subscribe","event":"pusher:ping"}"#, ClientMessage::Ping);
    }

    #[test]
    fn json_bombs_do_not_reach_the_stack() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let bomb = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            refused(&open.repeat(10_000), Malformed::NotJson);
            check(&format!(r#"{{"event":"pusher:ping","data":{bomb}}}"#), ClientMessage::Ping);
            refused(&format!(r#"{{"event":{bomb}}}"#), Malformed::NoEvent);
            refused(&format!(r#"{{"event":"pusher:subscribe","data":{{"channel":{bomb}}}}}"#), Malformed::NoChannel);
            check(
                &format!(r#"{{"event":"client-typing","channel":"private-chat","data":{bomb}}}"#),
                client_event(&bomb),
            );
        }
    }

    #[test]
    fn every_prefix_of_a_message_is_refused_or_understood() {
        let text =
            r#"{"event":"pusher:subscribe","data":{"auth":"k:\u00e9","channel_data":"{}","channel":"presence-é"}}"#;
        for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
            refused(&text[..end], Malformed::NotJson);
        }
    }

    #[test]
    fn texts_tell_what_is_wrong() {
        for (malformed, text) in [
            (Malformed::NotJson, "Invalid message format: not JSON"),
            (Malformed::IncompleteClientEvent, "Invalid client event (must contain channel and data)"),
            (Malformed::UnsupportedEvent("pusher:x".to_owned()), "Unsupported event received on socket: pusher:x"),
        ] {
            assert_eq!(malformed.to_string(), text);
        }
    }
}
