//! What a browser does whose network lets no socket pass: an answer over HTTP, and a request that is heard in it.

use actix_http::header;
use awc::{ClientRequest, error::SendRequestError};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use gaung::protocol::xhr::ALIVE;

use super::{
    PATIENCE, in_time,
    report::{Finding, Report},
    xhr_finding,
};
use crate::cli::{Failure, connection::SocketOptions, target::Target};

/// A transport of pusher-js: the step of the report, its name, and what its clients ask for.
struct Transport {
    step: &'static str,
    name: &'static str,
    act: &'static str,
}

const TRANSPORTS: [Transport; 2] = [
    Transport { step: "streaming", name: "xhr_streaming", act: "xhr_streaming" },
    Transport { step: "polling", name: "xhr_polling", act: "xhr" },
];

/// Tries one after the other: a network may hold the one back and let the other pass.
pub(super) async fn try_all(target: &Target, options: &SocketOptions, report: &mut Report) -> Result<(), Failure> {
    for transport in &TRANSPORTS {
        let tried = attempt(target, options, transport).await;
        report.add(transport.step, tried.map(|text| (text, ())))?;
    }
    Ok(())
}

async fn attempt(target: &Target, options: &SocketOptions, transport: &Transport) -> Result<String, Finding> {
    let session = format!("{}/{:08x}", rand::random_range(0..1_000), rand::random::<u32>());
    let Transport { name, act, .. } = transport;
    let mut answer = match post(target, options, &session, act).send().await {
        Ok(answer) => answer,
        Err(SendRequestError::Timeout) => return Err(xhr_finding::of_held_answer(name)),
        Err(error) => return Err(xhr_finding::of_no_transport(name, &error.to_string())),
    };
    if answer.status() != 200 {
        let body = answer.body().limit(64 << 10).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        return xhr_finding::of_transport(name, answer.status().as_u16(), &body, target.base());
    }
    let mut lines = Lines { answer, text: String::new() };
    let Some(opening) = in_time(lines.until(|line| line.starts_with(['a', 'c']))).await else {
        return Err(xhr_finding::of_held_answer(name));
    };
    match opening {
        Some(line) if line.contains("pusher:connection_established") => {}
        Some(_) => return Ok(format!("{name} works, and the app refuses the client as it would on a socket")),
        None => return Err(xhr_finding::of_no_transport(name, "the answer is not the server's")),
    }
    let sent = post(target, options, &session, "xhr_send").send_body("[]").await;
    let is_taken = sent.is_ok_and(|answer| answer.status() == 204);
    // A poll has ended with the greeting.
    let is_heard =
        *act == "xhr" || in_time(lines.until(|line| line == ALIVE.trim_end_matches('\n'))).await.flatten().is_some();
    if is_taken && is_heard {
        Ok(format!("{name} works, for clients whose network breaks sockets"))
    } else {
        Err(xhr_finding::of_unheard_send(name))
    }
}

fn post(target: &Target, options: &SocketOptions, session: &str, act: &str) -> ClientRequest {
    let mut request = target.client().post(target.xhr_url(session, act)).timeout(PATIENCE);
    if let Some(origin) = &options.origin {
        request = request.insert_header((header::ORIGIN, origin.as_str()));
    }
    request.content_type("application/json")
}

/// The lines of an answer, as they come.
struct Lines<A> {
    answer: A,
    text: String,
}

impl<A, E> Lines<A>
where
    A: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// The next line like this; `None` at the end of the answer.
    async fn until(&mut self, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                if is_wanted(&line) {
                    return Some(line);
                }
            }
            let part = self.answer.next().await?.ok()?;
            self.text.push_str(&String::from_utf8_lossy(&part));
        }
    }
}
