//! Webhooks that a stream keeps: a real nats-server, and nodes that share the work.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream;
use gaung::{
    app::Registry,
    config::{AppSettings, WebhookEndpoint},
    metrics::Metrics,
    protocol::{ChannelName, WebhookDetail, WebhookEvent},
    webhook::{Ack, Resources, Timing, Webhooks, ids},
};
use gaung_cluster::{
    NodeId, Subjects,
    bus::{Auth, BusSettings, BusTls, Limits},
    core::Settings,
    queue::{QueueSettings, QueueTiming},
};

use crate::{
    nats::NatsServer,
    webhook_receiver::{PATIENCE, Receiver, within},
};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3_600);

/// A node that posts webhooks and does nothing else.
struct Node {
    id: NodeId,
    webhooks: Webhooks,
    registry: Registry,
    metrics: Metrics,
    stored: Arc<AtomicU32>,
}

impl Node {
    fn start(server: &NatsServer, endpoint: WebhookEndpoint) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = AppSettings { webhooks: vec![Arc::new(endpoint)], ..AppSettings::new("app-key", "app-secret") };
        let registry = Registry::new(vec![("1".to_owned(), settings)]);
        let (id, metrics) = (NodeId::from_bits(rand::random()), Metrics::new());
        let timing = Timing { debounce: Duration::from_millis(100), first_retry: NEVER, ..Timing::default() };
        let webhooks = Webhooks::start_with_stream(
            metrics.clone(),
            timing,
            Resources::of_bytes(64 << 20),
            stream(server, id),
            registry.clone(),
        );
        Self { id, webhooks, registry, metrics, stored: Arc::default() }
    }

    /// Of its app, and of no app that it knows.
    fn drops(&self) -> u64 {
        let app = self.registry.by_id("1").expect("the app is there");
        let outcomes = [&app.counters.outcomes, &*self.metrics.without_app];
        outcomes.into_iter().map(|outcomes| outcomes.webhook_drops.load(Ordering::Relaxed)).sum()
    }

    /// Posts the vacated event of a generation.
    fn post(&self, channel: &str, generation: u64) {
        let stored = self.stored.clone();
        let ack = Ack::new(move || {
            stored.fetch_add(1, Ordering::Relaxed);
        });
        let app = self.registry.by_id("1").unwrap();
        self.webhooks.post(&app, event(channel, WebhookDetail::ChannelVacated), id(channel, generation), ack);
    }

    fn notify(&self, channel: &str, detail: WebhookDetail) {
        self.webhooks.notify(&self.registry.by_id("1").unwrap(), event(channel, detail));
    }

    fn stored(&self) -> u32 {
        self.stored.load(Ordering::Relaxed)
    }
}

fn stream(server: &NatsServer, node: NodeId) -> QueueSettings {
    let bus = BusSettings {
        servers: vec![server.url()],
        auth: Auth::None,
        tls: BusTls::default(),
        subjects: Subjects::new("gaung", "test").unwrap(),
        core: Settings::new(node, "0.0.0", 1),
        version: "0.0.0",
        limits: Limits { events: 1000, bytes: usize::MAX },
    };
    let timing = QueueTiming { ack_wait: NEVER, request: Duration::from_millis(500), ..QueueTiming::default() };
    QueueSettings { timing, ..QueueSettings::new(bus, "HOOKS", 1) }
}

fn server() -> NatsServer {
    let mut server = NatsServer::absent();
    let store = server.folder().join("store");
    server.restart_with(&format!("jetstream {{ store_dir: {store:?} }}"));
    server
}

fn share(nodes: &[&Node]) {
    let ids: BTreeSet<NodeId> = nodes.iter().map(|node| node.id).collect();
    nodes.iter().for_each(|node| node.webhooks.set_nodes(ids.clone()));
}

fn event(channel: &str, detail: WebhookDetail) -> WebhookEvent {
    WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail }
}

fn id(channel: &str, generation: u64) -> String {
    ids::of_generation("1", channel, None, generation)
}

async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[actix_web::test]
async fn events_of_all_kinds_go_through_the_stream() {
    let server = server();
    let mut receiver = Receiver::start().await;
    let node = Node::start(&server, receiver.endpoint());
    node.post("orders", 2);
    until(|| node.stored() == 1).await;
    assert_eq!(node.webhooks.queued(), 0, "the stream has it, and nobody pulls yet");
    share(&[&node]);
    let request = receiver.next().await;
    assert_eq!(request.ids(), [id("orders", 2)]);
    assert_eq!(request.events(), r#"[{"name":"channel_vacated","channel":"orders"}]"#);
    request.answer("200 OK", "");
    node.notify("orders", WebhookDetail::SubscriptionCount { count: 3 });
    let counted = r#"[{"name":"subscription_count","channel":"orders","subscription_count":3}]"#;
    assert_eq!(receiver.next_events().await, counted);
    node.notify("orders", WebhookDetail::ChannelVacated);
    assert_eq!(receiver.next_events().await, r#"[{"name":"channel_vacated","channel":"orders"}]"#);
    until(|| node.webhooks.queued() == 0).await;
}

#[actix_web::test]
async fn a_node_that_goes_leaves_to_the_others_what_it_has_not_posted() {
    let server = server();
    let (mut broken, mut sound) = (Receiver::start().await, Receiver::start().await);
    let leaver = Node::start(&server, broken.endpoint());
    share(&[&leaver]);
    let channels = ["a", "b", "c", "d"];
    for channel in channels {
        leaver.post(channel, 2);
        leaver.post(channel, 3);
    }
    until(|| leaver.stored() == 8).await;
    broken.next().await.answer("503 Service Unavailable", "");
    within(leaver.webhooks.flush(PATIENCE)).await;
    assert_eq!((leaver.webhooks.queued(), leaver.drops()), (0, 0));

    let heir = Node::start(&server, sound.endpoint());
    share(&[&heir]);
    let mut posted = Vec::new();
    for _ in 0..8 {
        let request = sound.next().await;
        posted.extend(request.ids());
        request.answer("200 OK", "");
    }
    for channel in channels {
        let of_channel = posted.iter().filter(|posted| **posted == id(channel, 2) || **posted == id(channel, 3));
        assert_eq!(of_channel.collect::<Vec<_>>(), [&id(channel, 2), &id(channel, 3)]);
    }
}

#[actix_web::test]
async fn an_edge_that_the_stream_has_not_taken_is_for_its_next_owner() {
    let server = NatsServer::absent();
    let receiver = Receiver::start().await;
    let node = Node::start(&server, receiver.endpoint());
    node.post("orders", 2);
    until(|| node.webhooks.queued() == 1).await;
    within(node.webhooks.flush(Duration::from_millis(50))).await;
    until(|| node.webhooks.queued() == 0).await;
    assert_eq!(node.stored(), 0);
}

#[actix_web::test]
async fn what_nobody_of_us_wrote_is_counted_and_forgotten() {
    let server = server();
    let mut receiver = Receiver::start().await;
    let node = Node::start(&server, receiver.endpoint());
    node.post("orders", 2);
    until(|| node.stored() == 1).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let vacated = r#""channel":"a","what":{"kind":"channel_vacated"}}"#;
    for body in [
        "hello".to_owned(),
        format!(r#"{{"app":"2","id":"ab-1",{vacated}"#),
        r#"{"app":"1","id":"ab-2","channel":"a","what":{"kind":"coffee"}}"#.to_owned(),
    ] {
        let subject = "gaung.v1.test.webhooks.0";
        context.publish(subject, body.into()).await.unwrap().await.unwrap();
    }
    share(&[&node]);
    assert_eq!(receiver.next().await.ids(), [id("orders", 2)]);
    until(|| node.drops() == 3).await;
    let stream = context.get_stream("HOOKS").await.unwrap();
    within(async {
        // The first event is still unanswered; the others are not kept for it.
        while stream.get_info().await.unwrap().state.messages > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
