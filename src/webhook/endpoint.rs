//! The actor for one endpoint of one app: makes its posts in order, one at a time, and tries the head again until it
//! arrives or its time is over. Knows no other endpoint, so that a slow one delays only itself.

use std::{fmt::Display, sync::Arc, time::Instant};

use actix::prelude::*;
use actix_web::http::{StatusCode, Uri};
use awc::Client;
use bytes::Bytes;
use tracing::{debug, info, warn};

use super::{
    backlog::{AfterFailure, Backlog, Full, GivenUp, Item, Moment},
    payload,
    post::{self, Failure},
    post_span::PostSpan,
    settings::Timing,
};
use crate::{
    activity::{ActivityEvent, ActivityKind},
    app::App,
    metrics::Metrics,
};

/// One endpoint's worker.
pub struct Endpoint {
    app: Arc<App>,
    /// Where it posts to, for the log: a URL may carry passwords and tokens.
    host: String,
    /// The same with its path, for consoles.
    bare_url: String,
    client: Client,
    metrics: Metrics,
    timing: Timing,
    backlog: Backlog,
    state: PostState,
    span: PostSpan,
    closes_batch: Option<SpawnHandle>,
    /// Whether the last post failed: only the first failure is logged as a warning, and the recovery.
    is_failing: bool,
}

/// What the endpoint is doing about the head of its queue.
enum PostState {
    Resting,
    Posting(SpawnHandle),
    Pausing(SpawnHandle),
}

/// A post under way, as it will be reported.
struct Attempt {
    began: Instant,
    body: Bytes,
}

/// Hands over one event. Sent past the mailbox's bound: it goes straight into the queue, which has its own.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// Whose event, with the settings to sign with.
    pub app: Arc<App>,
    /// The event.
    pub item: Item,
}

/// Asks whether nothing waits.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct IsIdle;

/// Ends batches and pauses: the node is going.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hurry;

/// Drops everything: the node is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Abandon;

impl Endpoint {
    /// An endpoint for which nothing waits yet.
    pub fn new(app: Arc<App>, url: &str, client: Client, metrics: Metrics, timing: Timing) -> Self {
        Self {
            app,
            host: host(url),
            bare_url: bare(url),
            client,
            metrics,
            timing,
            backlog: Backlog::new(timing),
            state: PostState::Resting,
            span: PostSpan::default(),
            closes_batch: None,
            is_failing: false,
        }
    }

    fn advance(&mut self, ctx: &mut Context<Self>) {
        let PostState::Resting = self.state else { return };
        self.backlog.skip_revoked();
        let Some(head) = self.backlog.head() else { return };
        let attempt = Attempt { began: Instant::now(), body: head.body() };
        let trace = self.span.begin_attempt(&self.metrics.spans, self.app.id(), &self.host, head);
        let sent = post::send(&self.client, &self.app.settings(), &head.endpoint, attempt.body.clone(), trace);
        let answer = post::answer(sent).into_actor(self);
        let concluded = answer.map(move |answer, endpoint, ctx| endpoint.conclude(&attempt, answer, ctx));
        self.state = PostState::Posting(ctx.spawn(concluded));
    }

    fn conclude(&mut self, attempt: &Attempt, answer: Result<StatusCode, Failure>, ctx: &mut Context<Self>) {
        self.state = PostState::Resting;
        match answer {
            Ok(status) => {
                self.count(attempt, "delivered", Some(status));
                self.span.arrive(status.as_u16());
                self.backlog.delivered();
                if std::mem::take(&mut self.is_failing) {
                    info!(app = %self.app.id(), host = %self.host, "webhooks are delivered again");
                }
            }
            Err(failure) => self.recover(attempt, &failure, ctx),
        }
        if self.backlog.has_room_again() {
            info!(app = %self.app.id(), host = %self.host, "the webhook queue has room again");
        }
        self.advance(ctx);
    }

    fn recover(&mut self, attempt: &Attempt, failure: &Failure, ctx: &mut Context<Self>) {
        self.span.fail_attempt(failure);
        match self.backlog.failed(Instant::now()) {
            AfterFailure::Retry(pause) => {
                self.count(attempt, "retried", failure.status());
                let pause_ms = pause.as_millis() as u64;
                let (app, host) = (self.app.id(), &self.host);
                match std::mem::replace(&mut self.is_failing, true) {
                    false => warn!(%app, %host, %failure, "webhook failed; it is tried again, as are those behind it"),
                    true => debug!(%app, %host, %failure, pause_ms, "webhook failed again"),
                }
                self.state = PostState::Pausing(ctx.run_later(pause, Self::wake));
            }
            AfterFailure::GivenUp(given_up) => {
                self.count(attempt, "dropped", failure.status());
                self.span.give_up("given_up");
                self.report(given_up, failure);
            }
            AfterFailure::Revoked => self.span.give_up("posted_by_another_node"),
        }
    }

    fn is_configured(&self) -> bool {
        self.app.settings().webhooks.iter().any(|endpoint| bare(&endpoint.url) == self.bare_url)
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        self.state = PostState::Resting;
        self.advance(ctx);
    }

    fn close_batch(&mut self, ctx: &mut Context<Self>) {
        self.closes_batch = None;
        self.backlog.close_batch(Moment::now());
        self.advance(ctx);
    }

    fn refuse(&self, full: Full) {
        self.app.counters.outcomes.drop_webhooks(1);
        match full {
            Full::First => {
                warn!(app = %self.app.id(), host = %self.host, "webhook queue is full, the newest events are dropped");
            }
            Full::Again => {}
        }
    }

    fn report(&self, given_up: GivenUp, cause: impl Display) {
        self.app.counters.outcomes.drop_webhooks(given_up.events);
        warn!(
            app = %self.app.id(),
            host = %self.host,
            posts = given_up.posts,
            events = given_up.events,
            age_seconds = given_up.age.as_secs(),
            attempts = given_up.attempts,
            %cause,
            "webhook given up"
        );
    }

    fn count(&self, attempt: &Attempt, outcome: &'static str, status: Option<StatusCode>) {
        self.app.counters.outcomes.webhook_attempts.count(outcome);
        self.metrics.activity.report(|| {
            let webhook = ActivityKind::Webhook {
                events: payload::names(&attempt.body),
                url: self.bare_url.clone(),
                outcome,
                status: status.map(|status| status.as_u16()),
                took: attempt.began.elapsed(),
            };
            ActivityEvent::of(self.app.id().clone(), webhook)
        });
    }
}

/// The URL without user, password and query.
fn bare(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return "invalid url".to_owned() };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    format!("{}://{place}{}", uri.scheme_str().unwrap_or("http"), uri.path())
}

fn host(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.as_ref().and_then(Uri::host).unwrap_or("invalid url").to_owned()
}

impl Actor for Endpoint {
    type Context = Context<Self>;
}

impl Handler<Deliver> for Endpoint {
    type Result = ();

    fn handle(&mut self, Deliver { app, item }: Deliver, ctx: &mut Context<Self>) {
        self.app = app;
        if let Err(full) = self.backlog.accept(item, Moment::now()) {
            self.refuse(full);
        }
        if self.backlog.has_open_batch() && self.closes_batch.is_none() {
            self.closes_batch = Some(ctx.run_later(self.timing.batch, Self::close_batch));
        }
        self.advance(ctx);
    }
}

impl Handler<IsIdle> for Endpoint {
    type Result = bool;

    fn handle(&mut self, _: IsIdle, _: &mut Context<Self>) -> bool {
        // One that fails must stay to tell when it does not.
        self.backlog.is_empty() && !(self.is_failing && self.is_configured())
    }
}

impl Handler<Hurry> for Endpoint {
    type Result = ();

    fn handle(&mut self, _: Hurry, ctx: &mut Context<Self>) {
        self.backlog.close_batch(Moment::now());
        if let PostState::Pausing(pause) = self.state {
            ctx.cancel_future(pause);
            self.state = PostState::Resting;
        }
        self.advance(ctx);
    }
}

impl Handler<Abandon> for Endpoint {
    type Result = ();

    fn handle(&mut self, _: Abandon, ctx: &mut Context<Self>) {
        if let PostState::Posting(attempt) = self.state {
            ctx.cancel_future(attempt);
        }
        self.span.give_up("shutdown");
        if let Some(given_up) = self.backlog.abandon(Moment::now()) {
            self.report(given_up, "the node is shutting down");
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Duration,
    };

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{
        config::{AppSettings, WebhookEndpoint},
        log::heard::HeardLog,
        outgoing::Trust,
        webhook::pending::Waiting,
    };

    /// An endpoint that answers with 500 until it is repaired.
    fn receiver() -> (String, Arc<AtomicBool>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (url, repaired) = (format!("http://{}/hook", listener.local_addr().unwrap()), Arc::<AtomicBool>::default());
        let is_repaired = repaired.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let _ = socket.read(&mut [0; 4_096]);
                let status = if is_repaired.load(Ordering::Relaxed) { "200 OK" } else { "500 Oops" };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(head.as_bytes());
            }
        });
        (url, repaired)
    }

    /// An app with this endpoint alone, or with none.
    fn app(url: Option<&str>) -> Arc<App> {
        let endpoint = |url: &str| Arc::new(webhook_endpoint(url));
        App::new(
            "shop",
            AppSettings { webhooks: url.map(endpoint).into_iter().collect(), ..AppSettings::new("k", "s") },
        )
    }

    fn webhook_endpoint(url: &str) -> WebhookEndpoint {
        WebhookEndpoint {
            url: url.to_owned(),
            events: Vec::new(),
            headers: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            batching: false,
        }
    }

    fn start(app: &Arc<App>, url: &str, metrics: &Metrics) -> Addr<Endpoint> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (first_retry, give_up) = (Duration::from_millis(1), Duration::from_millis(20));
        let timing = Timing { first_retry, give_up, ..Timing::default() };
        let client = post::client(&Trust::default(), timing.request_timeout);
        Endpoint::new(app.clone(), url, client, metrics.clone(), timing).start()
    }

    fn deliver(endpoint: &Addr<Endpoint>, app: &Arc<App>, url: &str) {
        let permit = Waiting::new(1 << 20).permit(app.id(), 10).unwrap();
        let item = Item { endpoint: Arc::new(webhook_endpoint(url)), event: "{}".into(), permit };
        endpoint.do_send(Deliver { app: app.clone(), item });
    }

    async fn until(condition: impl Fn() -> bool) {
        let waited = async {
            while !condition() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), waited).await.expect("it happens");
    }

    #[actix::test]
    async fn an_endpoint_that_was_given_up_is_not_let_go_before_it_has_told_that_it_works_again() {
        let ((url, repaired), metrics, (log, _guard)) = (receiver(), Metrics::new(), HeardLog::listen());
        let app = app(Some(&url));
        let endpoint = start(&app, &url, &metrics);
        assert!(endpoint.send(IsIdle).await.unwrap());
        deliver(&endpoint, &app, &url);
        until(|| app.counters.outcomes.webhook_drops.load(Ordering::Relaxed) == 1).await;
        assert!(!endpoint.send(IsIdle).await.unwrap());
        repaired.store(true, Ordering::Relaxed);
        deliver(&endpoint, &app, &url);
        until(|| log.text().contains("webhooks are delivered again")).await;
        assert!(endpoint.send(IsIdle).await.unwrap());
    }

    #[actix::test]
    async fn an_endpoint_that_was_given_up_and_is_configured_no_more_is_let_go() {
        let ((url, _), metrics, app) = (receiver(), Metrics::new(), app(None));
        let endpoint = start(&app, &url, &metrics);
        deliver(&endpoint, &app, &url);
        until(|| app.counters.outcomes.webhook_drops.load(Ordering::Relaxed) == 1).await;
        assert!(endpoint.send(IsIdle).await.unwrap());
    }

    #[test]
    fn a_url_is_logged_without_its_secrets() {
        assert_eq!(host("https://user:password@hooks.example.com:8443/path?token=1"), "hooks.example.com");
        assert_eq!(host("not a url"), "invalid url");
    }

    #[test]
    fn a_url_is_told_without_its_secrets() {
        assert_eq!(bare("https://user:pass@word@a.example:8443/path?token=1"), "https://a.example:8443/path");
        assert_eq!(bare("http://a.example"), "http://a.example/");
        assert_eq!(bare("not a url"), "invalid url");
    }
}
