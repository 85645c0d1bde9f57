//! The actor between rooms and endpoints: debounces events, writes each event once and hands it to every endpoint that
//! wants it. Waits for no endpoint.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use actix::prelude::*;
use awc::Client;
use futures_util::future::join_all;
use gaung_cluster::queue::QueueOutput;
use tracing::{info, warn};

use super::{
    backlog::Item,
    debounce::Debounce,
    durable_queue::DurableQueue,
    endpoint::{self, Deliver, Endpoint, Hurry, IsIdle},
    payload,
    pending::PendingEvent,
    post,
    settings::{Resources, Timing},
};
use crate::{app::App, metrics::Metrics};

/// The one dispatcher of a node; it and all endpoints live on one thread of their own.
pub struct Dispatch {
    metrics: Metrics,
    timing: Timing,
    client: Client,
    /// Events that found no room since the last log line about them.
    refused: Arc<AtomicU64>,
    /// Whether some were at the last look.
    are_refused: bool,
    debounce: Debounce,
    /// Where events are kept until they are posted; without it they wait in memory.
    durable_queue: Option<DurableQueue>,
    state: DispatchState,
    endpoints: HashMap<Target, EndpointHandle>,
    release: Option<SpawnHandle>,
}

/// An endpoint by app id and URL.
type Target = (Arc<str>, String);

/// An endpoint and what it was sent.
struct EndpointHandle {
    addr: Addr<Endpoint>,
    /// How many events.
    sent: u64,
}

enum DispatchState {
    Serving,
    /// Nothing waits for its delay any more.
    Closing,
    /// Nothing is sent any more.
    Gone,
}

/// What comes in, in order.
#[derive(Debug)]
pub enum Intake {
    /// Something happened; it may have to wait.
    Event(PendingEvent),
    /// Something happened, and the cluster has debounced it.
    Debounced(PendingEvent),
    /// The node is going: from here on nothing waits for its delay.
    Close,
}

/// An output of the queue.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FromStream(pub QueueOutput);

/// Drops what still waits, counts and logs it. Whatever comes later is dropped and counted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Abandon;

impl Intake {
    /// Drops it for good: nobody is to do it again.
    pub fn give_up(self) {
        match self {
            Self::Event(pending) | Self::Debounced(pending) => pending.permit.confirm(),
            Self::Close => {}
        }
    }
}

impl Dispatch {
    /// To be called on the dispatcher's own thread.
    pub fn new(metrics: Metrics, timing: Timing, resources: &Resources, refused: Arc<AtomicU64>) -> Self {
        Self {
            metrics,
            timing,
            client: post::client(&resources.trust, timing.request_timeout),
            refused,
            are_refused: false,
            // Half of all bytes, so that what is debounced never keeps out what is to be posted.
            debounce: Debounce::new(timing.debounce, timing.cache_miss_pause, resources.max_bytes / 2),
            durable_queue: None,
            state: DispatchState::Serving,
            endpoints: HashMap::new(),
            release: None,
        }
    }

    /// Has all events kept until they are posted.
    pub fn with_durable_queue(self, durable_queue: Option<DurableQueue>) -> Self {
        Self { durable_queue, ..self }
    }

    fn take(&mut self, pending: PendingEvent, ctx: &mut Context<Self>) {
        match self.state {
            DispatchState::Serving => {
                self.debounce_or_deliver(pending);
                self.schedule_release(ctx);
            }
            DispatchState::Closing => {
                self.debounce_or_deliver(pending);
                self.release_all();
            }
            DispatchState::Gone => pending.app.counters.outcomes.drop_webhooks(1),
        }
    }

    fn post(&mut self, pending: PendingEvent) {
        match self.state {
            DispatchState::Serving | DispatchState::Closing => self.deliver(pending),
            DispatchState::Gone => pending.app.counters.outcomes.drop_webhooks(1),
        }
    }

    fn debounce_or_deliver(&mut self, pending: PendingEvent) {
        for pending in self.debounce.take(pending, Instant::now()) {
            self.deliver(pending);
        }
    }

    fn close(&mut self) {
        self.state = match self.state {
            DispatchState::Serving | DispatchState::Closing => DispatchState::Closing,
            DispatchState::Gone => DispatchState::Gone,
        };
        self.release_all();
        for endpoint in self.endpoints.values() {
            endpoint.addr.do_send(Hurry);
        }
    }

    fn deliver(&mut self, pending: PendingEvent) {
        match &self.durable_queue {
            Some(durable_queue) => durable_queue.keep(pending),
            None => self.hand_out(pending),
        }
    }

    /// Gives an event to all endpoints that want it.
    fn hand_out(&mut self, PendingEvent { app, event, id, permit }: PendingEvent) {
        let settings = app.settings();
        let mut text: Option<Arc<str>> = None;
        for endpoint in settings.webhooks.iter().filter(|endpoint| payload::wants(endpoint, &event)) {
            let text = text.get_or_insert_with(|| payload::encode(&event, &id).into()).clone();
            let permit = permit.copy(Item::cost(&text));
            let item = Item { endpoint: endpoint.clone(), event: text, permit };
            let endpoint = self.endpoint(&app, &endpoint.url);
            endpoint.sent += 1;
            endpoint.addr.do_send(Deliver { app: app.clone(), item });
        }
        permit.confirm();
    }

    fn endpoint(&mut self, app: &Arc<App>, url: &str) -> &mut EndpointHandle {
        self.endpoints.entry((app.id().clone(), url.to_owned())).or_insert_with(|| {
            let endpoint = Endpoint::new(app.clone(), url, self.client.clone(), self.metrics.clone(), self.timing);
            EndpointHandle { addr: endpoint.start(), sent: 0 }
        })
    }

    fn release(&mut self, ctx: &mut Context<Self>) {
        self.release = None;
        for pending in self.debounce.expire(Instant::now()) {
            self.deliver(pending);
        }
        self.schedule_release(ctx);
    }

    fn release_all(&mut self) {
        for pending in self.debounce.release() {
            self.deliver(pending);
        }
    }

    fn schedule_release(&mut self, ctx: &mut Context<Self>) {
        if self.release.is_some() {
            return;
        }
        let Some(expiry) = self.debounce.next_expiry() else { return };
        self.release = Some(ctx.run_later(expiry.saturating_duration_since(Instant::now()), Self::release));
    }

    fn sweep(&mut self, ctx: &mut Context<Self>) {
        self.report_refused();
        for (target, endpoint) in &self.endpoints {
            let (target, sent) = (target.clone(), endpoint.sent);
            let asked = endpoint.addr.send(IsIdle).into_actor(self);
            ctx.spawn(asked.map(move |idle, dispatch, _| {
                if idle.unwrap_or(true) {
                    dispatch.forget(&target, sent);
                }
            }));
        }
    }

    /// Lets an idle endpoint go, unless something was sent to it since it was asked.
    fn forget(&mut self, target: &Target, sent: u64) {
        if self.endpoints.get(target).is_some_and(|endpoint| endpoint.sent == sent) {
            self.endpoints.remove(target);
        }
    }

    fn report_refused(&mut self) {
        let events = self.refused.swap(0, Ordering::Relaxed);
        let were_refused = std::mem::replace(&mut self.are_refused, events > 0);
        if events > 0 {
            warn!(events, "too many webhook events wait (GAUNG_MAX_WEBHOOK_BYTES), the newest were dropped");
        } else if were_refused {
            info!("webhook events are taken again");
        }
    }
}

impl Actor for Dispatch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.timing.sweep, Self::sweep);
    }
}

impl StreamHandler<Intake> for Dispatch {
    fn handle(&mut self, intake: Intake, ctx: &mut Context<Self>) {
        match intake {
            Intake::Event(pending) => self.take(pending, ctx),
            Intake::Debounced(pending) => self.post(pending),
            Intake::Close => self.close(),
        }
    }
}

impl Handler<FromStream> for Dispatch {
    type Result = ();

    fn handle(&mut self, FromStream(output): FromStream, _: &mut Context<Self>) {
        match (output, &self.state) {
            (QueueOutput::Delivered(pulled), DispatchState::Serving | DispatchState::Closing) => {
                if let Some(pending) = self.durable_queue.as_ref().and_then(|durable_queue| durable_queue.read(pulled))
                {
                    self.hand_out(pending);
                }
            }
            // Another node posts it.
            (QueueOutput::Delivered(_), DispatchState::Gone) => {}
            // The queue does not know whose they are.
            (QueueOutput::Dropped(events), _) => self.metrics.without_app.drop_webhooks(events),
        }
    }
}

impl Handler<Abandon> for Dispatch {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Abandon, _: &mut Context<Self>) -> Self::Result {
        self.report_refused();
        self.close();
        self.state = DispatchState::Gone;
        let endpoints = std::mem::take(&mut self.endpoints);
        let abandoned = join_all(endpoints.into_values().map(|endpoint| async move {
            // An endpoint that is gone has nothing to drop.
            let _ = endpoint.addr.send(endpoint::Abandon).await;
        }));
        Box::pin(abandoned.into_actor(self).map(|_, _, _| ()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::{
        config::{AppSettings, WebhookEndpoint},
        log::heard::HeardLog,
        protocol::{ChannelName, WebhookDetail, WebhookEvent},
        webhook::pending::Waiting,
    };

    /// How many endpoints are there?
    #[derive(Message)]
    #[rtype(result = "usize")]
    struct Count;

    impl Handler<Count> for Dispatch {
        type Result = usize;

        fn handle(&mut self, _: Count, _: &mut Context<Self>) -> usize {
            self.endpoints.len()
        }
    }

    const MAX_BYTES: usize = 1 << 20;

    fn pending(detail: WebhookDetail, waiting: &Waiting) -> PendingEvent {
        // Nothing listens on port 1, and a failed post is given up at once.
        let endpoint = WebhookEndpoint {
            url: "http://127.0.0.1:1/".to_owned(),
            events: Vec::new(),
            headers: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            batching: false,
        };
        let settings = AppSettings { webhooks: vec![Arc::new(endpoint)], ..AppSettings::new("key", "secret") };
        let event = WebhookEvent { channel: ChannelName::parse("a", 200).unwrap(), detail };
        PendingEvent {
            app: App::new("1", settings),
            event,
            id: "ab-1".to_owned(),
            permit: waiting.permit(&"1".into(), 1).unwrap(),
        }
    }

    #[actix_web::test]
    async fn an_endpoint_for_which_nothing_waits_goes_away() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let timing = Timing { give_up: Duration::ZERO, sweep: Duration::from_millis(1), ..Timing::default() };
        let (metrics, waiting) = (Metrics::new(), Waiting::new(MAX_BYTES));
        let told = pending(WebhookDetail::ChannelOccupied, &waiting);
        let app = told.app.clone();
        let dispatch = Dispatch::create(|ctx| {
            ctx.add_stream(stream::iter([Intake::Event(told)]).chain(stream::pending()));
            Dispatch::new(metrics, timing, &Resources::of_bytes(MAX_BYTES), Arc::default())
        });
        waiting.emptied().await;
        assert_eq!(app.counters.outcomes.webhook_drops.load(Ordering::Relaxed), 1, "the endpoint was there");
        tokio::time::timeout(Duration::from_secs(10), async {
            while dispatch.send(Count).await.unwrap() != 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the endpoint is let go");
    }

    #[actix::test]
    async fn that_events_are_taken_again_is_told_once_after_those_that_were_not() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (refused, (log, _guard)) = (Arc::new(AtomicU64::new(0)), HeardLog::listen());
        let resources = Resources::of_bytes(MAX_BYTES);
        let mut dispatch = Dispatch::new(Metrics::new(), Timing::default(), &resources, refused.clone());
        for events in [0, 3, 2, 0, 0] {
            refused.store(events, Ordering::Relaxed);
            dispatch.report_refused();
        }
        let text = log.text();
        let told: Vec<_> = text.lines().map(|line| (line.contains("events=3"), line.contains("events=2"))).collect();
        assert_eq!(told, [(true, false), (false, true), (false, false)], "{text}");
        assert!(text.lines().last().is_some_and(|line| line.contains("webhook events are taken again")), "{text}");
    }
}
