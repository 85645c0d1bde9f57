//! `gaung health`: for container probes without a shell.

use std::{ffi::OsString, time::Duration};

use gaung::config::{self, AdminConfig};

use super::{
    Failure, print,
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
    pub async fn run(self) -> Result<(), Failure> {
        let url = self.url(&admin_listener(std::env::vars_os().filter_map(text))?)?;
        let answer = awc::Client::builder().timeout(PATIENCE).finish().get(&url).send().await;
        let mut answer = answer.map_err(|error| Failure::new(format!("{url} does not answer: {error}")))?;
        let status = answer.status();
        let body = answer.body().await.map_err(|error| Failure::new(format!("{url} broke off: {error}")))?;
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(Failure::new(format!("not ready: {} {}", status.as_u16(), body.trim())));
        }
        print(body.trim())
    }

    fn url(&self, admin: &AdminConfig) -> Result<String, Failure> {
        if let Some(url) = &self.url {
            return Ok(format!("{}/readyz", url.trim_end_matches('/')));
        }
        let port = port(self.port, admin.port, "GAUNG_ADMIN_PORT")?;
        let host = self.host.as_deref().map_or_else(|| host_of(admin.host), bracketed);
        Ok(format!("http://{host}:{port}/readyz"))
    }
}

fn text((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Reads only what concerns the admin listener: a probe must not fail, and so end the server, because an apps file that
/// is being edited is broken for a moment. The app is a stand-in, without which no configuration is sound.
fn admin_listener(vars: impl Iterator<Item = (String, String)>) -> Result<AdminConfig, Failure> {
    let stand_in = ["GAUNG_APP_ID", "GAUNG_APP_KEY", "GAUNG_APP_SECRET"];
    let stand_in = stand_in.map(|name| (name.to_owned(), "health".to_owned()));
    let vars = vars.filter(|(name, _)| name.starts_with("GAUNG_ADMIN_")).chain(stand_in);
    Ok(config::load(vars).map_err(Failure::configuration)?.config.admin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_admin_listeners_variables_matter() {
        let vars = [("GAUNG_ADMIN_HOST", "0.0.0.0"), ("GAUNG_ADMIN_PORT", "81"), ("GAUNG_APPS_FILE", "/missing")];
        let admin = admin_listener(vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter()).unwrap();
        let health = Health { host: None, port: None, url: None };
        assert_eq!(health.url(&admin).unwrap(), "http://127.0.0.1:81/readyz");
    }

    #[test]
    fn the_admin_listener_is_asked() {
        let ask = |host: Option<&str>, port, url: Option<&str>| {
            let health = Health { host: host.map(str::to_owned), port, url: url.map(str::to_owned) };
            health.url(&AdminConfig::default()).unwrap()
        };
        assert_eq!(ask(None, None, None), "http://127.0.0.1:9601/readyz");
        assert_eq!(ask(Some("::1"), Some(1), None), "http://[::1]:1/readyz");
        assert_eq!(ask(None, None, Some("http://a:1/")), "http://a:1/readyz");
    }
}
