//! The admin port of a running server, as `gaung health`, `gaung peers` and `gaung apps` ask it.

use std::{ffi::OsString, time::Duration};

use awc::{
    ClientRequest,
    http::{Method, StatusCode},
};
use gaung::config::{self, AdminConfig};

use super::{Failure, target::host_of};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest answer that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// What the server answered, whatever it was.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: String,
}

/// Asks for the resource at an URL.
pub(super) async fn get(url: &str) -> Result<Answer, Failure> {
    ask(Method::GET, url, PATIENCE, |request| request, String::new()).await
}

/// What stands at a path of the admin port that the flag or the configuration names, with its URL; anything but success
/// fails.
pub(super) async fn fetch(flag: Option<&str>, path: &str) -> Result<(String, String), Failure> {
    let url = format!("{}{path}", base(flag, &configured()?)?);
    let answer = get(&url).await?;
    if !answer.status.is_success() {
        return Err(Failure::new(format!("{url} answers {}: {}", answer.status.as_u16(), answer.body)));
    }
    Ok((url, answer.body))
}

/// Sends any request to an URL, for whose answer there is so much time.
pub(super) async fn ask(
    method: Method,
    url: &str,
    patience: Duration,
    change: impl FnOnce(ClientRequest) -> ClientRequest,
    body: String,
) -> Result<Answer, Failure> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Failure::usage(format!("{url} does not start with http:// or https://")));
    }
    let client = awc::Client::builder().timeout(patience).finish();
    let answer = change(client.request(method, url)).send_body(body).await;
    let mut answer = answer.map_err(|error| Failure::new(format!("{url} does not answer: {error}")))?;
    let body =
        answer.body().limit(MAX_BYTES).await.map_err(|error| Failure::new(format!("{url} broke off: {error}")))?;
    Ok(Answer { status: answer.status(), body: String::from_utf8_lossy(&body).trim().to_owned() })
}

/// The address of the admin port: the flag's, or that of the configuration.
pub(super) fn base(flag: Option<&str>, admin: &AdminConfig) -> Result<String, Failure> {
    if let Some(url) = flag {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    if admin.port == 0 {
        return Err(Failure::usage(
            "GAUNG_ADMIN_PORT is 0, so the server took any free port; name it with --admin http://127.0.0.1:<port>",
        ));
    }
    Ok(format!("http://{}:{}", host_of(admin.host), admin.port))
}

/// Where the configuration says that the admin port is.
pub(super) fn configured() -> Result<AdminConfig, Failure> {
    listener(std::env::vars_os().filter_map(text))
}

fn text((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Reads only what concerns the admin listener: a probe must not fail, and so end the server, because an apps file that
/// is being edited is broken for a moment. The app is a stand-in, without which no configuration is sound.
fn listener(vars: impl Iterator<Item = (String, String)>) -> Result<AdminConfig, Failure> {
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
        let vars = [("GAUNG_ADMIN_HOST", "::"), ("GAUNG_ADMIN_PORT", "81"), ("GAUNG_APPS_FILE", "/missing")];
        let admin = listener(vars.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter()).unwrap();
        assert_eq!((admin.host.to_string().as_str(), admin.port), ("::", 81));
    }
}
