//! One line of the log, and one count, for each change that was asked for: who, what, which app, what became of it.

use actix_web::{HttpRequest, http::header};

use crate::{
    app_store::{ChangeError, Changed},
    metrics::Metrics,
};

/// What a client of ours calls itself by.
const CLIENT: &str = "x-gaung-client";

pub(super) fn write(
    metrics: &Metrics,
    request: &HttpRequest,
    (change, app): (&str, &str),
    result: &Result<Changed, ChangeError>,
) {
    let outcome = match result {
        Ok(_) => "applied",
        Err(ChangeError::Exists(_) | ChangeError::Conflict { .. }) => "conflict",
        Err(ChangeError::Unknown(_) | ChangeError::Invalid(_) | ChangeError::Refused(_)) => "refused",
        Err(ChangeError::Failed(_)) => "failed",
    };
    metrics.app_changes.with_label_values(&[outcome]).inc();
    let by = client(request);
    let from = request.peer_addr().map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_string());
    let app = shortened(app);
    match result {
        Ok(changed) => {
            let revision = changed.app.as_ref().and_then(|app| app.revision.as_deref()).unwrap_or("none");
            tracing::info!(by, from, change, app, revision, "app changed by the admin API");
        }
        Err(problem) => {
            let problem = shortened(&problem.to_string());
            tracing::warn!(by, from, change, app, outcome, problem, "change of an app not made");
        }
    }
}

/// The console's page, our command line, or any other program.
fn client(request: &HttpRequest) -> &'static str {
    let named = request.headers().get(CLIENT).and_then(|name| name.to_str().ok());
    match named {
        Some("cli") => "cli",
        Some("console") => "console",
        _ if request.headers().contains_key(header::COOKIE) => "console",
        Some(_) | None => "api",
    }
}

/// What others send does not fill the log.
fn shortened(text: &str) -> String {
    text.chars().take(1_000).collect()
}
