//! `gaung subscribe`: prints the events of channels as they arrive.

use std::time::SystemTime;

use gaung::{
    config::Loaded,
    protocol::{AppKey, SocketId, signature},
};
use serde_json::{Value, json};

use super::{
    Failure, complain,
    connection::{Connection, SocketOptions},
    line::Message,
    print,
    target::TargetOptions,
};

/// The prefix of the private line of a signed-in user.
const USER_LINE: &str = "#server-to-user-";

/// Which channels, and for how long.
#[derive(clap::Args)]
pub(super) struct Subscribe {
    /// The channels, of any kind; private ones are signed with the app's secret
    #[arg(required = true, value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Exit after this many events
    #[arg(long)]
    count: Option<u64>,
    /// The user id in presence channels
    #[arg(long, default_value = "gaung")]
    user: String,
    /// Print each event as {"time_ms":…,"channel":…,"event":…,"data":…,"latency_ms":…} in a line; the data is text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOptions,
    #[command(flatten)]
    target: TargetOptions,
}

impl Subscribe {
    /// Events go to stdout, the protocol's own messages to stderr. Ends only with the count or with a failure.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let target = self.target.resolve(loaded)?;
        let mut connection = Connection::open(&target, &self.socket).await?;
        for channel in &self.channels {
            subscribe(&mut connection, channel, &self.user, &target.key).await?;
        }
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let message = connection.next().await?;
            left -= u64::from(message.is_published());
            show(&message, self.json)?;
        }
        connection.close().await
    }
}

/// Asks for one channel, of any kind; the answer is the caller's to read.
pub(super) async fn subscribe(
    connection: &mut Connection,
    channel: &str,
    user: &str,
    key: &AppKey,
) -> Result<(), Failure> {
    let id = connection.socket_id.parse();
    let id = id.map_err(|_| Failure::new(format!("the server's socket id {} is malformed", connection.socket_id)))?;
    for (event, data) in requests(channel, user, key, id) {
        connection.send(event, data).await?;
    }
    Ok(())
}

/// What to send for one channel: a user's private line is open only after signing in as that user.
fn requests(channel: &str, user: &str, key: &AppKey, id: SocketId) -> Vec<(&'static str, Value)> {
    if let Some(user_id) = channel.strip_prefix(USER_LINE) {
        let user_data = json!({"id": user_id}).to_string();
        let auth = signature::sign_user(key, id, &user_data);
        return vec![
            ("pusher:signin", json!({"auth": auth, "user_data": user_data})),
            ("pusher:subscribe", json!({"channel": channel})),
        ];
    }
    let mut request = json!({"channel": channel});
    if channel.starts_with("presence-") {
        let channel_data = json!({"user_id": user, "user_info": {"name": user}}).to_string();
        request["auth"] = signature::sign_channel(key, id, channel, Some(&channel_data)).into();
        request["channel_data"] = channel_data.into();
    } else if channel.starts_with("private-") {
        request["auth"] = signature::sign_channel(key, id, channel, None).into();
    }
    vec![("pusher:subscribe", request)]
}

fn show(message: &Message, as_json: bool) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    match (message.is_published(), as_json) {
        (true, true) => print(message.object(now)),
        (true, false) => print(message.line(now)),
        (false, _) => {
            complain(message.line(now));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gaung::config::AppSettings;

    fn check(channel: &str, expected: &[(&str, Value)]) {
        let key = AppSettings::new("app-key", "app-secret").keys.remove(0);
        assert_eq!(requests(channel, "42", &key, "1234.5678".parse().unwrap()), expected, "{channel}");
    }

    #[test]
    fn a_public_channel_needs_no_signature() {
        check("orders", &[("pusher:subscribe", json!({"channel": "orders"}))]);
        check("cache-orders", &[("pusher:subscribe", json!({"channel": "cache-orders"}))]);
    }

    #[test]
    fn a_private_channel_is_signed() {
        let auth = "app-key:2d1e5109f17c93a347d0a52f060df3a517761ce1ddcd7bce2998c4f1925a7cab";
        check("private-orders", &[("pusher:subscribe", json!({"channel": "private-orders", "auth": auth}))]);
    }

    #[test]
    fn a_presence_channel_is_signed_with_its_member() {
        let [(event, request)] = &requests_of("presence-room")[..] else { panic!("one request") };
        assert_eq!((*event, &request["channel"]), ("pusher:subscribe", &json!("presence-room")));
        assert_eq!(request["channel_data"], json!("{\"user_id\":\"42\",\"user_info\":{\"name\":\"42\"}}"));
        assert_eq!(request["auth"].as_str().map(str::len), Some("app-key:".len() + 64));
    }

    #[test]
    fn the_line_of_a_user_signs_in_first() {
        let sent = requests_of("#server-to-user-7");
        assert_eq!(sent[0].0, "pusher:signin");
        assert_eq!(sent[0].1["user_data"], json!("{\"id\":\"7\"}"));
        assert_eq!(sent[1], ("pusher:subscribe", json!({"channel": "#server-to-user-7"})));
    }

    fn requests_of(channel: &str) -> Vec<(&'static str, Value)> {
        let key = AppSettings::new("app-key", "app-secret").keys.remove(0);
        requests(channel, "42", &key, "1234.5678".parse().unwrap())
    }
}
