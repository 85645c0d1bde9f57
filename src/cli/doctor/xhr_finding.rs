//! What was observed of an HTTP transport, and what that means. Pure.

use super::{finding::of_gateway, report::Finding};

/// By the status that a request of an HTTP transport is answered with.
pub(super) fn of_transport(name: &str, status: u16, body: &str, base: &str) -> Result<String, Finding> {
    if body.contains("http_transports") {
        return Ok(format!("the app serves no {name} (app setting http_transports)"));
    }
    let told = format!("{name} is answered with {status}");
    match status {
        404 | 405 => Err(Finding::new(
            "transport_path_unknown",
            format!("{told}: nothing is served at {base}/pusher/app/{{key}}."),
            "Let the proxy forward /pusher/app as well as /app, or set httpPath in the browser.",
        )),
        502..=504 => Err(of_gateway(status)),
        status => Err(of_no_transport(name, &format!("its status is {status}"))),
    }
}

pub(super) fn of_no_transport(name: &str, why: &str) -> Finding {
    let text = format!("{name} is not answered as it must be: {why}.");
    Finding::new("transport_refused", text, "Let the proxy hand on POST below /pusher/app as it comes.")
}

/// What a proxy collects is of no use to a client.
pub(super) fn of_held_answer(name: &str) -> Finding {
    Finding::new(
        "transport_held",
        format!("{name} is answered, but what is in the answer does not arrive: something in between collects it."),
        "Switch buffering off for /pusher/app and /app (nginx: proxy_buffering off;). Where xhr_polling works, clients use that.",
    )
}

pub(super) fn of_unheard_send(name: &str) -> Finding {
    Finding::new(
        "transport_send",
        format!("{name} opens, but what is sent does not arrive at the session."),
        "Several servers answer that do not hear one another: look whether `gaung peers` lists all nodes on each, or let the \
         proxy choose the node by the path.",
    )
}
