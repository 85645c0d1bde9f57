//! The admin port of a running server, as `gaung health` and `gaung peers` ask it.

use std::{ffi::OsString, time::Duration};

use awc::http::StatusCode;
use gaung::config::{self, AdminConfig};

use super::Failure;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the server answered, whatever it was.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: String,
}

/// Asks for the resource at an URL.
pub(super) async fn get(url: &str) -> Result<Answer, Failure> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Failure::usage(format!("{url} does not start with http:// or https://")));
    }
    let answer = awc::Client::builder().timeout(PATIENCE).finish().get(url).send().await;
    let mut answer = answer.map_err(|error| Failure::new(format!("{url} does not answer: {error}")))?;
    let body = answer.body().await.map_err(|error| Failure::new(format!("{url} broke off: {error}")))?;
    Ok(Answer { status: answer.status(), body: String::from_utf8_lossy(&body).trim().to_owned() })
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
