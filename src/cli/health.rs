//! `gaung health`: for container probes without a shell.

use gaung::config::AdminConfig;
use serde_json::{Value, json};

use super::{
    Failure, admin_port, print,
    target::{bracketed, host_of, port},
};

/// Where to ask.
#[derive(clap::Args)]
pub(super) struct Health {
    /// The admin listener's host (GAUNG_ADMIN_HOST)
    #[arg(long)]
    host: Option<String>,
    /// The admin listener's port (GAUNG_ADMIN_PORT)
    #[arg(long)]
    port: Option<u16>,
    /// The admin listener's address instead: http://127.0.0.1:9601
    #[arg(long, conflicts_with_all = ["host", "port"])]
    url: Option<String>,
    /// Ask only whether the process answers (/livez), not whether it is ready (/readyz)
    #[arg(long)]
    live: bool,
    /// Print {"ok":…,"status":…,"answer":…} whatever the answer is; of /readyz it is an object
    #[arg(long)]
    json: bool,
}

impl Health {
    /// Succeeds if the server says that it is ready, or alive.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let answer = admin_port::get(&self.url(&admin_port::configured()?)?).await?;
        if self.json {
            let parsed = serde_json::from_str(&answer.body);
            let text = parsed.unwrap_or_else(|_| Value::from(answer.body.as_str()));
            let status = answer.status;
            print(json!({"ok": status.is_success(), "status": status.as_u16(), "answer": text}))?;
        }
        if !answer.status.is_success() {
            let asked = if self.live { "alive" } else { "ready" };
            return Err(Failure::new(format!("not {asked}: {} {}", answer.status.as_u16(), answer.body)));
        }
        if self.json { Ok(()) } else { print(answer.body) }
    }

    fn url(&self, admin: &AdminConfig) -> Result<String, Failure> {
        let page = if self.live { "livez" } else { "readyz" };
        if let Some(url) = &self.url {
            return Ok(format!("{}/{page}", url.trim_end_matches('/')));
        }
        let port = port(self.port, admin.port, "GAUNG_ADMIN_PORT")?;
        let host = self.host.as_deref().map_or_else(|| host_of(admin.host), bracketed);
        Ok(format!("http://{host}:{port}/{page}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listener_is_asked() {
        let ask = |host: Option<&str>, port, url: Option<&str>| {
            [false, true].map(|live| {
                let health =
                    Health { host: host.map(str::to_owned), port, url: url.map(str::to_owned), live, json: false };
                health.url(&AdminConfig::default()).unwrap()
            })
        };
        assert_eq!(ask(None, None, None), ["http://127.0.0.1:9601/readyz", "http://127.0.0.1:9601/livez"]);
        assert_eq!(ask(Some("::1"), Some(1), None), ["http://[::1]:1/readyz", "http://[::1]:1/livez"]);
        assert_eq!(ask(None, None, Some("http://a:1/")), ["http://a:1/readyz", "http://a:1/livez"]);
    }

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        let admin = AdminConfig { host: "0.0.0.0".parse().unwrap(), port: 81, ..AdminConfig::default() };
        let health = Health { host: None, port: None, url: None, live: false, json: false };
        assert_eq!(health.url(&admin).unwrap(), "http://127.0.0.1:81/readyz");
    }
}
