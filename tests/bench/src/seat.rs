//! What a socket subscribes to. Pure.

use serde_json::{Value, json};

use gaung::protocol::{AppKey, SocketId, signature};

use super::{event, frames};

/// The one presence channel.
pub const PRESENCE_CHANNEL: &str = "presence-bench";

/// What a socket subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// The public channel with this number.
    Channel(u32),
    /// The presence channel, as the user with this number.
    Member(u32),
    /// A public channel, as the page with this number, which was there before or not.
    Page { number: u32, channel: u32, returns: bool },
}

impl Seat {
    /// The frame that subscribes, given the server's greeting; `None` if that names no socket.
    pub fn subscribe(self, key: &AppKey, greeting: &str) -> Option<Vec<u8>> {
        let subscription = match self {
            Seat::Channel(channel) | Seat::Page { channel, .. } => {
                json!({"auth": "", "channel": event::channel_name(channel)})
            }
            Seat::Member(user) => {
                let member = json!({"user_id": user.to_string(), "user_info": {}}).to_string();
                let auth = signature::sign_channel(key, socket_id(greeting)?, PRESENCE_CHANNEL, Some(&member));
                json!({"auth": auth, "channel": PRESENCE_CHANNEL, "channel_data": member})
            }
        };
        Some(frames::client_text(&json!({"event": "pusher:subscribe", "data": subscription}).to_string()))
    }
}

impl Seat {
    /// What stands behind the key in the path.
    pub fn resume_id(self) -> String {
        match self {
            Seat::Channel(_) | Seat::Member(_) => String::new(),
            Seat::Page { number, .. } => format!("/bench-page-{number:08}"),
        }
    }

    /// The event behind which its subscription is whole.
    pub fn last_event(self) -> &'static str {
        match self {
            Seat::Page { returns: true, .. } => "pusher:resumed",
            Seat::Channel(_) | Seat::Member(_) | Seat::Page { .. } => "subscription_succeeded",
        }
    }
}

fn socket_id(greeting: &str) -> Option<SocketId> {
    let frame: Value = serde_json::from_str(greeting).ok()?;
    let words: Value = serde_json::from_str(frame["data"].as_str()?).ok()?;
    words["socket_id"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::protocol::{Secret, frame};

    const GREETING: &str = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"12.34\"}"}"#;

    fn data(seat: Seat) -> Value {
        let key = AppKey { key: "app-key".into(), secret: Secret::new("app-secret") };
        let bytes = seat.subscribe(&key, GREETING).unwrap();
        let start = bytes.iter().position(|byte| *byte == b'{').unwrap();
        serde_json::from_slice::<Value>(&bytes[start..]).unwrap()["data"].clone()
    }

    #[test]
    fn a_public_channel_is_named_by_its_number() {
        assert_eq!(data(Seat::Channel(7)), json!({"auth": "", "channel": "bench-00007"}));
    }

    #[test]
    fn a_member_is_signed_for_the_socket_of_the_greeting() {
        let key = AppKey { key: "app-key".into(), secret: Secret::new("app-secret") };
        let member = r#"{"user_id":"42","user_info":{}}"#;
        let auth = signature::sign_channel(&key, "12.34".parse().unwrap(), PRESENCE_CHANNEL, Some(member));
        let expected = json!({"auth": auth, "channel": PRESENCE_CHANNEL, "channel_data": member});
        assert_eq!(data(Seat::Member(42)), expected);
    }

    #[test]
    fn a_greeting_without_a_socket_leads_nowhere() {
        let key = AppKey { key: "app-key".into(), secret: Secret::new("app-secret") };
        let greeting = String::from_utf8_lossy(&frame::text("{}")[2..]).into_owned();
        assert_eq!(Seat::Member(1).subscribe(&key, &greeting), None);
    }
}
