//! Rooms as everybody else sees them, with outboxes that no socket empties.

mod cached;
mod cluster;
mod refusals;
mod turns;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::poll_fn;
use tokio::io::AsyncWrite;

use super::{
    backlog::{Backlog, Limits},
    shard::Shard,
    *,
};
use crate::{
    app::App,
    cluster::Cluster,
    config::{AppSettings, LimitsConfig, PagesConfig},
    event::{self, Event, Words},
    metrics::Metrics,
    outbox::{Flushed, Outbox},
    page::Pages,
    protocol::{ChannelName, SocketId},
    webhook::{Resources, Timing, Webhooks},
};

/// Enough for a room to be served by all threads.
const CROWD: u64 = fanout_worker::LARGE as u64 + 100;

struct Stage {
    rooms: Rooms,
    metrics: Metrics,
    app: Arc<App>,
    channel: ChannelName,
}

fn stage(threads: usize) -> Stage {
    stage_with(threads, None)
}

fn stage_with(threads: usize, cluster: Option<Cluster>) -> Stage {
    stage_of(threads, &LimitsConfig { max_queued_events: 100_000, ..LimitsConfig::default() }, cluster)
}

fn stage_of(threads: usize, limits: &LimitsConfig, cluster: Option<Cluster>) -> Stage {
    crate::tls::install_crypto_provider();
    let metrics = Metrics::new();
    let webhooks = Webhooks::start(metrics.clone(), Timing::default(), Resources::of_bytes(1 << 20));
    Stage {
        rooms: Rooms::start(
            threads,
            limits,
            &webhooks,
            &metrics,
            cluster,
            Pages::start(&PagesConfig::default(), None, &metrics),
        ),
        metrics,
        app: App::new("app", AppSettings::new("key", "secret")),
        channel: ChannelName::parse("products.1", 200).unwrap(),
    }
}

impl Stage {
    fn join(&self, id: u64) -> Arc<Outbox> {
        let outbox = Outbox::new(usize::MAX);
        let subscriber = Subscriber { id: SocketId::from_bits(id), outbox: outbox.clone(), dialect: Dialect::Pusher };
        self.rooms.join(
            &self.app,
            self.channel.clone(),
            Join { subscriber, claim: None, since: None, page: None, attempt: 1 },
        );
        outbox
    }

    fn publish(&self, name: &str, except: Option<u64>) {
        let except = except.map(SocketId::from_bits);
        let event = Event::from_back_end(self.channel.clone(), Words::new(name, "{}"), except, event::now());
        self.rooms.publish(&self.app, vec![event]).unwrap();
    }

    /// Waits until everything published so far is written.
    async fn settle(&self) {
        while self.rooms.backlog.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many are subscribed: an event is promised only to those who have been answered.
    async fn answered(&self, subscriptions: u64) {
        let channels = std::slice::from_ref(&self.channel);
        while self.rooms.counts(&self.app, channels).await.unwrap()[0].subscriptions as u64 != subscriptions {
            tokio::task::yield_now().await;
        }
    }
}

#[actix::test]
async fn what_sockets_send_counts_until_it_is_handled_whatever_becomes_of_it() {
    let stage = stage(2);
    let Stage { rooms, app, channel, .. } = &stage;
    let unknown = || ChannelName::parse("private-unknown", 200).unwrap();
    for id in 0..100 {
        let subscriber = |outbox| Subscriber { id: SocketId::from_bits(id), outbox, dialect: Dialect::Pusher };
        let sender = subscriber(stage.join(id));
        rooms.sign_in(app, "user", sender.clone(), SignIn { welcome: vec![], watchlist: None });
        for channel in [channel.clone(), unknown()] {
            let client_event = ClientEvent { sender: sender.clone(), name: "client-a".to_owned(), data: String::new() };
            rooms.publish_client_event(app, channel.clone(), client_event).unwrap();
            rooms.leave(app, channel, sender.id);
        }
        rooms.sign_out(app, "user", sender.id);
    }
    while rooms.inflow().waiting() > 0 {
        tokio::task::yield_now().await;
    }
    stage.answered(0).await;
}

/// Takes everything.
struct Sink(Vec<u8>);

impl AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The names of the messages in an outbox, in order.
async fn names(outbox: &Outbox) -> Vec<String> {
    let mut sink = Sink(Vec::new());
    assert_eq!(poll_fn(|ctx| Poll::Ready(outbox.flush(&mut sink, ctx))).await, Flushed::Open);
    let text = String::from_utf8_lossy(&sink.0).into_owned();
    let name = |part: &str| part.split('"').next().unwrap_or_default().to_owned();
    text.split(r#""event":""#).skip(1).map(name).collect()
}

const SUCCESS: &str = "pusher_internal:subscription_succeeded";

#[actix::test]
async fn a_very_large_room_is_served_by_all_threads_in_order_and_once() {
    let stage = stage(4);
    let outboxes: Vec<_> = (0..CROWD).map(|id| stage.join(id)).collect();
    stage.answered(CROWD).await;
    for round in 0..5 {
        stage.publish(&format!("all-{round}"), None);
        stage.publish(&format!("but-{round}"), Some(round));
    }
    stage.settle().await;
    for (id, outbox) in outboxes.iter().enumerate() {
        let mut expected = vec![SUCCESS.to_owned()];
        for round in 0..5 {
            expected.push(format!("all-{round}"));
            expected.extend((round != id).then(|| format!("but-{round}")));
        }
        assert_eq!(names(outbox).await, expected, "subscriber {id}");
    }
}

#[actix::test]
async fn who_joins_while_a_large_room_is_served_hears_only_what_comes_later() {
    let stage = stage(2);
    let _crowd: Vec<_> = (0..CROWD).map(|id| stage.join(id)).collect();
    stage.answered(CROWD).await;
    stage.publish("before", None);
    let late = stage.join(CROWD);
    stage.publish("after", None);
    stage.settle().await;
    assert_eq!(names(&late).await, [SUCCESS, "after"]);
}

#[actix::test]
async fn a_place_that_was_left_and_taken_again_hears_nothing_of_the_one_before() {
    let stage = stage(1);
    let _crowd: Vec<_> = (0..3_000).map(|id| stage.join(id)).collect();
    stage.answered(3_000).await;
    stage.publish("before", None);
    stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(2_999));
    let late = stage.join(9_999);
    stage.publish("after", None);
    stage.settle().await;
    assert_eq!(names(&late).await, [SUCCESS, "after"]);
}

#[actix::test]
async fn a_room_that_empties_and_fills_again_loses_no_join() {
    let stage = stage(2);
    for id in 0..2_000 {
        let outbox = stage.join(id);
        stage.rooms.leave(&stage.app, stage.channel.clone(), SocketId::from_bits(id));
        drop(outbox);
    }
    let last = stage.join(5_000);
    while names(&last).await != [SUCCESS] {
        tokio::task::yield_now().await;
    }
    stage.publish("heard", None);
    stage.settle().await;
    assert_eq!(names(&last).await, ["heard"]);
}

#[actix::test]
async fn a_full_backlog_takes_nothing_of_a_request() {
    let stage = stage(1);
    let rooms = Rooms { backlog: Backlog::new(Limits { events: 1, bytes: usize::MAX }), ..stage.rooms.clone() };
    let outbox = stage.join(1);
    stage.answered(1).await;
    let event = || Event::from_back_end(stage.channel.clone(), Words::new("e", "{}"), None, event::now());
    assert_eq!(rooms.publish(&stage.app, vec![event(), event()]), Err(Unpublished::RoomsFull { limit: 1 }));
    assert_eq!(rooms.publish(&stage.app, vec![event()]), Ok(()));
    while rooms.backlog.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&outbox).await, [SUCCESS, "e"]);
}

#[actix::test]
async fn a_tenant_that_has_filled_the_backlog_is_refused_and_the_others_are_served() {
    let stage = stage(1);
    let rooms = Rooms { backlog: Backlog::new(Limits { events: 32, bytes: usize::MAX }), ..stage.rooms.clone() };
    let outbox = stage.join(1);
    stage.answered(1).await;
    let flood = stage.app.tenants().get("2").usage.waiting.clone();
    let _filled: Vec<_> = (0..32).map(|_| rooms.backlog.reserve(&flood, 1, 1).unwrap()).collect();
    let event = |channel: &str| {
        let channel = ChannelName::parse(channel, 200).unwrap();
        Event::from_back_end(channel, Words::new("e", "{}"), None, event::now())
    };
    // A cache channel takes its event whoever is subscribed.
    let full = Err(Unpublished::RoomsFull { limit: 32 });
    assert_eq!(rooms.publish(&stage.app, vec![event("cache-products.2")]), full);
    assert_eq!(rooms.publish(&stage.app, vec![event("products.1"), event("products.1")]), Ok(()));
    // What is for several tenants is nobody's, and the app has nothing waiting.
    assert_eq!(rooms.publish(&stage.app, vec![event("products.1"), event("cache-products.2")]), Ok(()));
    while rooms.backlog.waiting() > 32 {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&outbox).await, [SUCCESS, "e", "e", "e"]);
}
