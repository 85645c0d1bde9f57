//! The dispatcher's queue in JetStream: events are stored there, and what comes back from it are events to post.

use gaung_cluster::{
    ack::Ack,
    queue::{PulledEvent, Queue, QueuedEvent, Slot},
    seldom::Seldom,
};
use tracing::warn;

use super::{
    pending::{PendingEvent, Waiting},
    stored_event::{self, StoredEvent},
};
use crate::{
    app::{App, Registry},
    metrics::Metrics,
};

/// Where events are kept until some node has posted them.
pub struct DurableQueue {
    queue: Queue,
    registry: Registry,
    waiting: Waiting,
    metrics: Metrics,
    too_large: Seldom,
    unreadable: Seldom,
}

impl DurableQueue {
    /// Events go to this queue. The registry knows their apps, and `waiting` counts them.
    pub fn new(queue: Queue, registry: Registry, waiting: Waiting, metrics: Metrics) -> Self {
        Self { queue, registry, waiting, metrics, too_large: Seldom::default(), unreadable: Seldom::default() }
    }

    /// Gives an event to the stream. It is confirmed when the stream has it.
    pub fn keep(&self, PendingEvent { app, event, id, permit }: PendingEvent) {
        let body = stored_event::write(app.id(), &event, &id);
        if body.len() > stored_event::MAX_BYTES {
            self.drop_too_large(&app, body.len());
            return permit.confirm();
        }
        let slot = Slot::of(app.id(), event.channel.as_str());
        let ack = Ack::new(move || permit.confirm());
        self.queue.push(QueuedEvent { slot, id, body: body.into(), ack });
    }

    /// A stored event that this node is to post. What cannot be posted is counted, and the stream forgets it.
    pub fn read(&self, PulledEvent { body, ack }: PulledEvent) -> Option<PendingEvent> {
        let read = stored_event::read(&body).map_err(|unreadable| unreadable.to_string()).and_then(|stored| {
            let app = self.registry.by_id(&stored.app).ok_or("no app has its app id here")?;
            Ok((app, stored))
        });
        match read {
            Ok((app, StoredEvent { id, event, .. })) => {
                // The stream's events have to wait for their endpoints here, within the bounds of those.
                let permit = self.waiting.permit_beyond(app.id(), PendingEvent::cost(&event)).with(ack);
                Some(PendingEvent { app, event, id, permit })
            }
            Err(reason) => {
                self.drop_unreadable(body.len(), &reason);
                ack.confirm();
                None
            }
        }
    }

    /// Clients can cause as many as they like, by client events.
    fn drop_too_large(&self, app: &App, bytes: usize) {
        app.counters.outcomes.drop_webhooks(1);
        if let Some(events) = self.too_large.count() {
            let limit = stored_event::MAX_BYTES;
            warn!(app = %app.id(), bytes, limit, events, "webhook events too large for the stream dropped");
        }
    }

    /// As many as wait in the stream may be of an app that is gone.
    fn drop_unreadable(&self, bytes: usize, reason: &str) {
        self.metrics.without_app.drop_webhooks(1);
        if let Some(events) = self.unreadable.count() {
            warn!(bytes, reason, events, "webhook events from the stream dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use gaung_cluster::queue::{self, QueueSettings};

    use super::*;
    use crate::{
        config,
        config::AppSettings,
        log::heard::HeardLog,
        protocol::{ChannelName, SocketId, WebhookDetail, WebhookEvent},
    };

    fn durable_queue(metrics: &Metrics) -> (DurableQueue, queue::Worker) {
        let vars = [("GAUNG_NATS_URL", "nats://127.0.0.1:4222"), ("GAUNG_APP_ID", "a"), ("GAUNG_APP_KEY", "k")];
        let vars = vars.into_iter().chain([("GAUNG_APP_SECRET", "s")]);
        let loaded = config::load(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let bus = loaded.config.cluster.unwrap().bus_settings(gaung_cluster::NodeId::from_bits(1), "1");
        let (queue, worker) = queue::open(QueueSettings::new(bus, "webhooks", 1));
        let registry = Registry::new(vec![("a".to_owned(), AppSettings::new("k", "s"))]);
        (DurableQueue::new(queue, registry, Waiting::new(1 << 30), metrics.clone()), worker)
    }

    fn too_large(durable_queue: &DurableQueue) -> PendingEvent {
        let app = durable_queue.registry.by_id("a").unwrap();
        let data = "x".repeat(stored_event::MAX_BYTES);
        let detail = WebhookDetail::ClientEvent {
            event: "client-a".to_owned(),
            data,
            socket_id: SocketId::from_bits(1),
            user_id: None,
        };
        let event = WebhookEvent { channel: ChannelName::parse("private-a", 200).unwrap(), detail };
        PendingEvent { app, event, id: "1".to_owned(), permit: durable_queue.waiting.permit(&"1".into(), 1).unwrap() }
    }

    #[test]
    fn what_the_stream_cannot_have_or_nobody_can_read_is_counted_each_time_and_logged_once_a_minute() {
        let metrics = Metrics::new();
        let (durable_queue, _worker) = durable_queue(&metrics);
        let (log, _guard) = HeardLog::listen();
        for _ in 0..5 {
            durable_queue.keep(too_large(&durable_queue));
            let pulled = PulledEvent { body: "rubbish".into(), ack: Ack::new(|| {}) };
            assert!(durable_queue.read(pulled).is_none());
        }
        let app = durable_queue.registry.by_id("a").unwrap();
        let dropped =
            [&app.counters.outcomes, &*metrics.without_app].map(|outcomes| outcomes.webhook_drops.load(Relaxed));
        assert_eq!(dropped, [5, 5], "of the app, and of nobody knows whom");
        assert_eq!(log.text().lines().count(), 2, "{}", log.text());
    }
}
