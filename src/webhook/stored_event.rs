//! A webhook event as the stream keeps it, as JSON. Another node reads it, perhaps of another release; anybody who may
//! publish there could have written it, so it is parsed like anything from outside. Pure.

use gaung_cluster::room::MAX_CHANNEL;
use serde::{Deserialize, Serialize};

use crate::protocol::{ChannelName, SocketId, WebhookDetail, WebhookEvent};

/// Bytes of a stored event at most: NATS takes no more as it comes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Characters of an id at most.
const MAX_ID: usize = 64;

/// An event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Whose event it is. Nobody has looked whether there is such an app.
    pub app: String,
    /// The event's id.
    pub id: String,
    /// The event.
    pub event: WebhookEvent,
}

/// Why a stored event was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// It is not the JSON that we write, or tells of something that this release does not know.
    #[error("its form or its kind is unknown")]
    Form,
    #[error("it names no possible channel")]
    Channel,
    #[error("its id is not 1 to 64 digits, lower-case letters and hyphens")]
    Id,
    #[error("it names no possible socket")]
    Socket,
}

#[derive(Serialize, Deserialize)]
struct Text<S, D> {
    app: S,
    id: S,
    channel: S,
    what: D,
}

/// An event as the stream keeps it.
pub fn write(app: &str, event: &WebhookEvent, id: &str) -> String {
    let text = Text { app, id, channel: event.channel.as_str(), what: &event.detail };
    serde_json::to_string(&text).expect("strings and numbers are always valid JSON")
}

/// Reads what was written.
pub fn read(bytes: &[u8]) -> Result<StoredEvent, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let text: Text<String, WebhookDetail> = serde_json::from_slice(bytes).map_err(|_| why_unreadable(bytes))?;
    let is_id = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
    if text.id.is_empty() || text.id.len() > MAX_ID || !text.id.bytes().all(is_id) {
        return Err(Unreadable::Id);
    }
    let channel = ChannelName::parse(&text.channel, MAX_CHANNEL).map_err(|_| Unreadable::Channel)?;
    let event = WebhookEvent { channel, detail: text.what };
    Ok(StoredEvent { app: text.app, id: text.id, event })
}

/// Whether only the socket id is at fault, which the parser does not tell apart.
fn why_unreadable(bytes: &[u8]) -> Unreadable {
    #[derive(Deserialize)]
    struct Sender {
        socket_id: String,
    }
    let text: Result<Text<String, Sender>, _> = serde_json::from_slice(bytes);
    match text.map(|text| text.what.socket_id.parse::<SocketId>()) {
        Ok(Err(_)) => Unreadable::Socket,
        Ok(Ok(_)) | Err(_) => Unreadable::Form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str, detail: WebhookDetail) {
        let event = WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail };
        let read = read(write("1", &event, "ab-1").as_bytes());
        assert_eq!(read, Ok(StoredEvent { app: "1".to_owned(), id: "ab-1".to_owned(), event }));
    }

    #[test]
    fn every_event_is_read_as_it_was_written() {
        check("orders", WebhookDetail::ChannelOccupied);
        check("orders", WebhookDetail::ChannelVacated);
        check("presence-a", WebhookDetail::MemberAdded { user_id: "7\" ü".to_owned() });
        check("presence-a", WebhookDetail::MemberRemoved { user_id: "7".to_owned() });
        check("cache-a", WebhookDetail::CacheMiss);
        check("orders", WebhookDetail::SubscriptionCount { count: 12 });
        for user_id in [None, Some("7".to_owned())] {
            check(
                "private-a",
                WebhookDetail::ClientEvent {
                    event: "client-move".to_owned(),
                    data: r#"{"x":"\u0000"}"#.to_owned(),
                    socket_id: SocketId::from_bits(1 << 32 | 2),
                    user_id,
                },
            );
        }
    }

    #[test]
    fn the_form_is_that_of_all_releases() {
        let event = WebhookEvent {
            channel: ChannelName::parse("presence-a", 200).unwrap(),
            detail: WebhookDetail::MemberAdded { user_id: "7".to_owned() },
        };
        let text = r#"{"app":"1","id":"ab-1","channel":"presence-a","what":{"kind":"member_added","user_id":"7"}}"#;
        assert_eq!(write("1", &event, "ab-1"), text);
    }

    #[test]
    fn what_nobody_of_us_wrote_is_refused() {
        let text = |id: &str, channel: &str, what: &str| {
            format!(r#"{{"app":"1","id":"{id}","channel":"{channel}","what":{what}}}"#).into_bytes()
        };
        let vacated = r#"{"kind":"channel_vacated"}"#;
        let client_event = r#"{"kind":"client_event","event":"client-a","data":"","socket_id":"x"}"#;
        for (bytes, expected) in [
            (Vec::new(), Unreadable::Form),
            (b"\xff{}".to_vec(), Unreadable::Form),
            (b"[".repeat(10_000), Unreadable::Form),
            (text("ab-1", "a", r#"{"kind":"channel_closed"}"#), Unreadable::Form),
            (text("ab-1", "a", r#"{"kind":"member_added"}"#), Unreadable::Form),
            (text("ab-1", "a", r#"{"kind":"subscription_count","count":-1}"#), Unreadable::Form),
            (text("", "a", vacated), Unreadable::Id),
            (text(&"a".repeat(65), "a", vacated), Unreadable::Id),
            (text("a\\nb", "a", vacated), Unreadable::Id),
            (text("ab-1", "", vacated), Unreadable::Channel),
            (text("ab-1", "a b", vacated), Unreadable::Channel),
            (text("ab-1", &"a".repeat(MAX_CHANNEL + 1), vacated), Unreadable::Channel),
            (text("ab-1", "private-a", client_event), Unreadable::Socket),
            (vec![b' '; MAX_BYTES + 1], Unreadable::TooLarge),
        ] {
            assert_eq!(read(&bytes), Err(expected), "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(100)]));
        }
    }
}
