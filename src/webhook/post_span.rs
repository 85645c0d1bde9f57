//! The spans of the post that is being made: one from its making to its end, and below it one for each attempt, whose
//! `traceparent` goes with the request. A webhook comes of no request: the sampler decides about each post.

use std::time::Instant;

use gaung_cluster::TraceContext;

use super::{backlog::Post, post::Failure};
use crate::spans::{Kind, OpenSpan, Spans};

/// Nothing in it where the post is not sampled.
#[derive(Default)]
pub struct PostSpan {
    post: Option<OpenSpan>,
    attempt: Option<OpenSpan>,
}

impl PostSpan {
    /// An attempt begins, and with the first one the post; what the request is to say of it.
    pub fn begin_attempt(&mut self, spans: &Spans, app_id: &str, host: &str, post: &Post) -> Option<TraceContext> {
        if post.attempts() == 0 {
            let span = spans.begin(("webhook", Kind::Internal), None, post.created());
            let span = span.map(|span| span.text("gaung.app", app_id).text("server.address", host));
            self.post = span.map(|span| span.number("gaung.webhook.events", post.events()));
        }
        let parent = self.post.as_ref()?.context();
        let span = spans.follow(("POST", Kind::Client), Some(parent), Instant::now())?;
        let span = span.text("http.request.method", "POST").text("server.address", host);
        let span = match post.attempts() {
            0 => span,
            before => span.number("http.request.resend_count", before as usize),
        };
        let context = span.context();
        self.attempt = Some(span);
        Some(context)
    }

    /// The attempt was answered with this status, and the post has arrived.
    pub fn arrive(&mut self, status: u16) {
        let attempt = self.attempt.take().map(|span| span.number("http.response.status_code", status.into()));
        attempt.into_iter().chain(self.post.take()).for_each(OpenSpan::end);
    }

    /// The attempt has failed; the post may be tried again.
    pub fn fail_attempt(&mut self, failure: &Failure) {
        let Some(span) = self.attempt.take() else { return };
        let span = match failure.status() {
            Some(status) => span.number("http.response.status_code", status.as_u16().into()).failed(status.as_str()),
            None => span.failed("network"),
        };
        span.end();
    }

    /// The post is not tried again, for this reason.
    pub fn give_up(&mut self, reason: &str) {
        let open = self.attempt.take().into_iter().chain(self.post.take());
        open.for_each(|span| span.failed(reason).end());
    }
}
