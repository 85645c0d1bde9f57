//! `gaung sign`: signatures and tokens for scripts, tests and other languages.

use std::time::{Duration, SystemTime};

use gaung::{
    config::Loaded,
    protocol::{AppKey, ChannelPattern, SocketId, signature},
    tenant::TenantId,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Failure, print, target::AppChoice};

/// What to sign: by default a subscription of SOCKET_ID to CHANNEL.
#[derive(clap::Args)]
pub(super) struct Sign {
    /// The socket id that the server sent
    socket_id: Option<String>,
    /// The channel to subscribe to
    #[arg(requires = "socket_id")]
    channel: Option<String>,
    /// The member to join a presence channel as, as JSON
    #[arg(requires = "channel")]
    channel_data: Option<String>,
    /// The user data to sign in with, as JSON; with --token the user's id
    #[arg(long, conflicts_with = "channel")]
    user: Option<String>,
    /// Print an access token for tenant sockets
    #[arg(long, requires = "tenant", conflicts_with = "socket_id")]
    token: bool,
    /// The token's tenant
    #[arg(long, requires = "token")]
    tenant: Option<String>,
    /// Private and presence channels that the token opens; * stands for anything within a segment
    #[arg(long, requires = "token", num_args = 1.., value_name = "PATTERN")]
    channels: Vec<String>,
    /// The token's lifetime in seconds
    #[arg(long, requires = "token", default_value_t = 3_600, value_name = "SECONDS")]
    ttl: u64,
    /// Print the signed query of an API request
    #[arg(long, num_args = 2..=3, value_names = ["METHOD", "PATH", "BODY"], conflicts_with_all = ["socket_id", "token"])]
    request: Option<Vec<String>>,
    #[command(flatten)]
    app: AppChoice,
}

impl Sign {
    /// Prints the signature alone, for use in scripts.
    pub(super) fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let (_, key) = self.app.key(loaded)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        print(self.signature(&key, now)?)
    }

    /// `now` is the time since the Unix epoch.
    fn signature(&self, key: &AppKey, now: Duration) -> Result<String, Failure> {
        if let Some(tenant) = &self.tenant {
            return self.access_token(tenant, key, now);
        }
        if let Some(request) = &self.request {
            return Ok(signed_query(key, request, now));
        }
        let nothing =
            || Failure::usage("say what to sign: SOCKET_ID CHANNEL, --user, --token or --request (see --help)");
        let id = self.socket_id.as_deref().ok_or_else(nothing)?;
        let id: SocketId =
            id.parse().map_err(|_| Failure::usage(format!("{id} is not a socket id such as 1234.5678")))?;
        match (&self.user, &self.channel) {
            (Some(user_data), _) => Ok(signature::sign_user(key, id, user_data)),
            (None, Some(channel)) => Ok(signature::sign_channel(key, id, channel, self.channel_data.as_deref())),
            (None, None) => Err(nothing()),
        }
    }

    fn access_token(&self, tenant: &str, key: &AppKey, now: Duration) -> Result<String, Failure> {
        let tenant = TenantId::parse(tenant).map_err(Failure::usage)?;
        for pattern in &self.channels {
            ChannelPattern::parse(pattern).map_err(Failure::usage)?;
        }
        let mut claims = Map::new();
        claims.insert("tenant_id".to_owned(), tenant.as_str().into());
        if let Some(user) = &self.user {
            claims.insert("user_id".to_owned(), user.as_str().into());
        }
        if !self.channels.is_empty() {
            claims.insert("channels".to_owned(), self.channels.clone().into());
        }
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("exp".to_owned(), (now.as_secs().saturating_add(self.ttl)).into());
        let secret = EncodingKey::from_secret(key.secret.expose().as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Value::Object(claims), &secret).map_err(Failure::new)
    }
}

/// `request` is method, path with or without a query, and perhaps a body.
fn signed_query(key: &AppKey, request: &[String], now: Duration) -> String {
    let [method, target, body @ ..] = request else { return String::new() };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(decoded).collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = body.first().map_or("", String::as_str);
    signature::sign_request(key, &method.to_ascii_uppercase(), path, &pairs, body.as_bytes(), now)
}

fn decoded(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    (decode(name), decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use gaung::{
        config::AppSettings,
        tenant::{AccessToken, Term},
    };

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sign: Sign,
    }

    fn sign(arguments: &[&str]) -> Result<String, String> {
        let line = Line::try_parse_from([&["sign"], arguments].concat()).map_err(|error| error.to_string())?;
        line.sign.signature(&keys()[0], NOW).map_err(|failure| failure.to_string())
    }

    fn keys() -> Vec<AppKey> {
        AppSettings::new("app-key", "app-secret").keys
    }

    /// The vectors of protocol.md §2.
    #[test]
    fn subscriptions_and_sign_ins_are_signed_as_the_clients_expect() {
        let signed = |hex: &str| Ok(format!("app-key:{hex}"));
        assert_eq!(
            sign(&["1234.5678", "private-orders"]),
            signed("2d1e5109f17c93a347d0a52f060df3a517761ce1ddcd7bce2998c4f1925a7cab")
        );
        assert_eq!(
            sign(&["1234.5678", "presence-room", r#"{"user_id":"42","user_info":{"name":"Ada"}}"#]),
            signed("7eae5778a7edfe839d7a03f042293004e8cc0798fcf98a63b02be7f19f8bef86")
        );
        assert_eq!(
            sign(&["1234.5678", "--user", r#"{"id":"42","watchlist":["7","9"]}"#]),
            signed("8bd8ab8063d4d7570f5da6d77411321851d24f02b44c0c82389a56ade13454c1")
        );
    }

    #[test]
    fn requests_are_signed_with_their_query_and_body() {
        let get = sign(&["--request", "get", "/apps/app-id/channels?filter_by_prefix=presence-&info=user_count"]);
        assert!(get.unwrap().contains("fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2"));
        let body = r#"{"name":"order.shipped","channels":["orders"],"data":"{\"id\":7}"}"#;
        let post = sign(&["--request", "POST", "/apps/app-id/events", body]).unwrap();
        assert!(post.contains("f704d0561ba4df2c361f8cfdf3c7877e0e40ee45bb2895a2bd88ff75640468da"), "{post}");
    }

    #[test]
    fn a_token_is_one_that_the_server_admits() {
        let arguments = ["--token", "--tenant", "7", "--user", "42", "--channels", "private-*.7", "--ttl", "60"];
        let token = sign(&arguments).unwrap();
        assert_eq!(
            AccessToken::verify(&token, &keys(), NOW),
            Ok(AccessToken {
                tenant_id: TenantId::parse("7").unwrap(),
                user_id: Some("42".to_owned()),
                channels: vec![ChannelPattern::parse("private-*.7").unwrap()],
                term: Term { issued: NOW, expires: NOW + Duration::from_secs(60) },
            })
        );
        assert!(AccessToken::verify(&token, &keys(), NOW + Duration::from_secs(90)).is_err());
    }

    #[test]
    fn what_cannot_be_signed_is_said() {
        for arguments in [
            &[][..],
            &["1234.5678"],
            &["1234", "private-orders"],
            &["--token"],
            &["--token", "--tenant", "a.b"],
            &["--token", "--tenant", "7", "--channels", "a b"],
            &["--request", "GET"],
            &["--ttl", "5", "1234.5678", "private-orders"],
        ] {
            assert!(sign(arguments).is_err(), "{arguments:?}");
        }
    }
}
