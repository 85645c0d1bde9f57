//! `gaung health`: for container probes without a shell.

use std::time::Duration;

use gaung::config::{Config, Loaded};

use super::{
    Failure,
    target::{bracketed, host_of, port},
};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where to ask.
#[derive(clap::Args)]
pub struct Health {
    /// The admin listener's host (GAUNG_ADMIN_HOST)
    #[arg(long)]
    host: Option<String>,
    /// The admin listener's port (GAUNG_ADMIN_PORT)
    #[arg(long)]
    port: Option<u16>,
    /// The admin listener's address instead: http://127.0.0.1:9601
    #[arg(long, conflicts_with_all = ["host", "port"])]
    url: Option<String>,
}

impl Health {
    /// Succeeds if the server says that it is ready.
    pub async fn run(self, loaded: &Loaded) -> Result<(), Failure> {
        let url = self.url(&loaded.config)?;
        let answer = awc::Client::builder().timeout(PATIENCE).finish().get(&url).send().await;
        let mut answer = answer.map_err(|error| Failure::new(format!("{url} does not answer: {error}")))?;
        let status = answer.status();
        let body = answer.body().await.map_err(|error| Failure::new(format!("{url} broke off: {error}")))?;
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Failure::new(format!("not ready: {} {}", status.as_u16(), body.trim())));
        }
        println!("{}", body.trim());
        Ok(())
    }

    fn url(&self, config: &Config) -> Result<String, Failure> {
        if let Some(url) = &self.url {
            return Ok(format!("{}/readyz", url.trim_end_matches('/')));
        }
        let port = port(self.port, config.admin.port, "GAUNG_ADMIN_PORT")?;
        let host = self.host.as_deref().map_or_else(|| host_of(config.admin.host), bracketed);
        Ok(format!("http://{host}:{port}/readyz"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listener_is_asked() {
        let ask = |host: Option<&str>, port, url: Option<&str>| {
            let health = Health { host: host.map(str::to_owned), port, url: url.map(str::to_owned) };
            health.url(&Config::default()).unwrap()
        };
        assert_eq!(ask(None, None, None), "http://127.0.0.1:9601/readyz");
        assert_eq!(ask(Some("::1"), Some(1), None), "http://[::1]:1/readyz");
        assert_eq!(ask(None, None, Some("http://a:1/")), "http://a:1/readyz");
    }
}
