//! Webhooks that the cluster gave to this node: their ids, and when they count as done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use gaung::{
    app::App,
    config::{AppSettings, WebhookEndpoint},
    metrics::Metrics,
    protocol::{ChannelName, WebhookDetail, WebhookEvent, WebhookKind},
    webhook::{Ack, Resources, Timing, Webhooks, ids},
};

use crate::webhook_receiver::{PATIENCE, Receiver, within};

/// How often an ack was confirmed.
#[derive(Clone, Default)]
struct Told(Arc<AtomicU32>);

impl Told {
    fn ack(&self) -> Ack {
        let told = self.0.clone();
        Ack::new(move || {
            told.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn times(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

fn start(timing: Timing) -> Webhooks {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Webhooks::start(Metrics::new(), timing, Resources::of_bytes(64 << 20))
}

fn app(endpoints: impl Into<Vec<WebhookEndpoint>>) -> Arc<App> {
    App::new(
        "1",
        AppSettings {
            webhooks: endpoints.into().into_iter().map(Arc::new).collect(),
            ..AppSettings::new("app-key", "app-secret")
        },
    )
}

fn vacated(channel: &str) -> WebhookEvent {
    WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail: WebhookDetail::ChannelVacated }
}

fn id(generation: u64) -> String {
    ids::of_generation("1", "orders", None, generation)
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[actix_web::test]
async fn a_debounced_event_is_posted_at_once_with_its_id() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing { debounce: PATIENCE * 2, ..Timing::default() });
    webhooks.post(&app([receiver.endpoint()]), vacated("orders"), id(2), Told::default().ack());
    let request = receiver.next().await;
    assert_eq!(request.ids(), [id(2)]);
    assert_eq!(request.events(), r#"[{"name":"channel_vacated","channel":"orders"}]"#);
}

#[actix_web::test]
async fn it_is_done_once_every_endpoint_took_it() {
    let (mut first, mut second) = (Receiver::start().await, Receiver::start().await);
    let webhooks = start(Timing { first_retry: Duration::from_millis(1), ..Timing::default() });
    let told = Told::default();
    webhooks.post(&app([first.endpoint(), second.endpoint()]), vacated("orders"), id(2), told.ack());
    first.next_events().await;
    second.next().await.answer("500 Internal Server Error", "");
    let repeated = second.next().await;
    assert_eq!((repeated.ids(), told.times()), (vec![id(2)], 0));
    repeated.answer("200 OK", "");
    until(|| told.times() == 1 && webhooks.queued() == 0).await;
}

#[actix_web::test]
async fn it_is_done_when_the_endpoint_was_given_up() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing { give_up: Duration::ZERO, ..Timing::default() });
    let told = Told::default();
    let app = app([receiver.endpoint()]);
    webhooks.post(&app, vacated("orders"), id(2), told.ack());
    receiver.next().await.answer("500 Internal Server Error", "");
    until(|| told.times() == 1 && app.counters.outcomes.webhook_drops.load(Ordering::Relaxed) == 1).await;
}

#[actix_web::test]
async fn it_is_done_at_once_where_no_endpoint_wants_it() {
    let receiver = Receiver::start().await;
    let webhooks = start(Timing::default());
    let told = Told::default();
    let other = WebhookEndpoint { events: vec![WebhookKind::ChannelOccupied], ..receiver.endpoint() };
    webhooks.post(&app([other]), vacated("orders"), id(2), told.ack());
    webhooks.post(&app([]), vacated("orders"), id(4), told.ack());
    assert_eq!(told.times(), 2);
}

#[actix_web::test]
async fn it_is_not_done_where_the_node_goes_first() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing::default());
    let told = Told::default();
    let app = app([receiver.endpoint()]);
    webhooks.post(&app, vacated("orders"), id(2), told.ack());
    let _unanswered = receiver.next().await;
    within(webhooks.flush(Duration::from_millis(50))).await;
    webhooks.post(&app, vacated("orders"), id(4), told.ack());
    until(|| (webhooks.queued(), app.counters.outcomes.webhook_drops.load(Ordering::Relaxed)) == (0, 2)).await;
    assert_eq!(told.times(), 0);
}

#[actix_web::test]
async fn events_of_this_node_have_ids_that_never_come_again_but_with_a_repeat() {
    let mut receiver = Receiver::start().await;
    let webhooks = start(Timing { first_retry: Duration::from_millis(1), ..Timing::default() });
    let app = app([receiver.endpoint()]);
    let event = |detail| WebhookEvent { detail, ..vacated("orders") };
    webhooks.notify(&app, event(WebhookDetail::SubscriptionCount { count: 1 }));
    webhooks.notify(&app, event(WebhookDetail::SubscriptionCount { count: 1 }));
    let request = receiver.next().await;
    let first = request.ids();
    request.answer("500 Internal Server Error", "");
    let repeated = receiver.next().await;
    assert_eq!(repeated.ids(), first);
    repeated.answer("200 OK", "");
    assert_ne!(receiver.next().await.ids(), first);
}
