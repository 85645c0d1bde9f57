//! `gaung subscribe`: prints the events of channels as they arrive.

use std::time::{Duration, SystemTime};

use gaung::{
    config::Loaded,
    protocol::{AppKey, Position, ResumeId, SocketId, signature},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Failure, complain,
    connection::{Connection, SocketOptions},
    line::Message,
    print,
    target::{Target, TargetOptions},
};

/// The prefix of the private line of a signed-in user.
const USER_LINE: &str = "#server-to-user-";

/// How long after a connection was lost another one is opened: as pusher-js does.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

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
    /// Come back under this resume id after the connection is lost: what was not proven to be heard is sent again. A secret
    /// of 16 to 64 letters, digits, _ and -
    #[arg(long, value_name = "ID")]
    resume: Option<String>,
    /// Begin after this position of the channel, for example k3x09a-17, and come back with the newest after the connection
    /// is lost: nothing is sent twice
    #[arg(long, value_name = "POSITION")]
    since: Option<Position>,
    /// Print each event as {"id":…,"time_ms":…,"channel":…,"event":…,"data":…,"latency_ms":…} in a line; the data is text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOptions,
    #[command(flatten)]
    target: TargetOptions,
}

/// How far it has come, over all its connections.
struct Progress {
    /// Events that are still to be printed.
    left: u64,
    /// How far the channel was heard, where that is asked for.
    position: Option<Position>,
    was_greeted: bool,
}

impl Subscribe {
    /// Events go to stdout, the protocol's own messages to stderr. Ends only with the count or with a failure.
    pub(super) async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let resume = self.resume.as_deref().map(ResumeId::parse).transpose().map_err(Failure::usage)?;
        let comes_back = resume.is_some() || self.since.is_some();
        if self.since.is_some() && self.channels.len() > 1 {
            let channels = self.channels.len();
            return Err(Failure::usage(format!("--since is the position of one channel; {channels} are given")));
        }
        let target = self.target.resolve(loaded)?.resuming(resume);
        let left = self.count.unwrap_or(u64::MAX);
        let mut progress = Progress { left, position: self.since.clone(), was_greeted: false };
        loop {
            match self.listen(&target, &mut progress).await {
                Err(failure) if comes_back && progress.was_greeted && failure.is_lost() => {
                    complain(format!("{failure}; connecting again"));
                    sleep(RECONNECT_PAUSE).await;
                }
                end => return end,
            }
        }
    }

    /// Prints what one connection brings, until enough has been printed.
    async fn listen(&self, target: &Target, progress: &mut Progress) -> Result<(), Failure> {
        let mut connection = Connection::open(target, &self.socket).await?;
        progress.was_greeted = true;
        for channel in &self.channels {
            subscribe(&mut connection, channel, &self.user, &target.key, progress.position.as_ref()).await?;
        }
        while progress.left > 0 {
            let message = connection.next().await?;
            progress.note(&message);
            show(&message, self.json)?;
        }
        connection.close().await
    }
}

impl Progress {
    fn note(&mut self, message: &Message) {
        self.left -= u64::from(message.is_published());
        let (Some(position), Some(id)) = (&mut self.position, &message.id) else { return };
        // What was not whole begins anew.
        if message.event == "pusher:resumed" && message.member("complete") == Some(Value::Bool(false)) {
            *position = Position::default();
        }
        let events = id.parse::<Position>().into_iter();
        events.flat_map(|heard| heard.events().collect::<Vec<_>>()).for_each(|event| position.note(event));
    }
}

/// Asks for one channel, of any kind; the answer is the caller's to read.
pub(super) async fn subscribe(
    connection: &mut Connection,
    channel: &str,
    user: &str,
    key: &AppKey,
    since: Option<&Position>,
) -> Result<(), Failure> {
    let id = connection.socket_id.parse();
    let id = id.map_err(|_| Failure::new(format!("the server's socket id {} is malformed", connection.socket_id)))?;
    for (event, mut data) in requests(channel, user, key, id) {
        if let Some(since) = since.filter(|_| event == "pusher:subscribe") {
            data["since"] = since.to_string().into();
        }
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

    #[test]
    fn the_position_is_that_of_what_was_heard_last() {
        let mut progress = Progress { left: 9, position: Some("k3x09a-17".parse().unwrap()), was_greeted: true };
        let mut hear = |message: &str| {
            progress.note(&serde_json::from_str(message).unwrap());
            (progress.left, progress.position.as_ref().unwrap().to_string())
        };
        assert_eq!(hear(r#"{"id":"k3x09a-18","event":"a"}"#), (8, "k3x09a-18".to_owned()));
        assert_eq!(hear(r#"{"id":"p20c4z-1","event":"a"}"#), (7, "k3x09a-18,p20c4z-1".to_owned()));
        assert_eq!(hear(r#"{"event":"a"}"#), (6, "k3x09a-18,p20c4z-1".to_owned()));
        let resumed = |whole: bool| {
            let data = format!(r#"{{\"complete\":{whole},\"replayed\":0}}"#);
            format!(r#"{{"id":"p20c4z-5","event":"pusher:resumed","channel":"b","data":"{data}"}}"#)
        };
        assert_eq!(hear(&resumed(true)), (6, "k3x09a-18,p20c4z-5".to_owned()));
        assert_eq!(hear(&resumed(false)), (6, "p20c4z-5".to_owned()));
    }

    fn requests_of(channel: &str) -> Vec<(&'static str, Value)> {
        let key = AppSettings::new("app-key", "app-secret").keys.remove(0);
        requests(channel, "42", &key, "1234.5678".parse().unwrap())
    }
}
