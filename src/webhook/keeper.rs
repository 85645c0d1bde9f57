//! The dispatcher's way to the stream and back: events become letters, letters that come back become events.

use gaung_cluster::{
    receipt::Receipt,
    stream::{Letter, Pulled, Queue, Slot},
};
use tracing::warn;

use super::{
    letter,
    notice::{Notice, Waiting},
};
use crate::{app::Registry, metrics::Metrics, seldom::Seldom};

/// Where events are kept until some node has posted them.
pub struct Keeper {
    queue: Queue,
    registry: Registry,
    waiting: Waiting,
    metrics: Metrics,
    too_large: Seldom,
    unreadable: Seldom,
}

impl Keeper {
    /// A way to this queue. The registry knows the apps of letters, and `waiting` counts them.
    pub fn new(queue: Queue, registry: Registry, waiting: Waiting, metrics: Metrics) -> Self {
        Self { queue, registry, waiting, metrics, too_large: Seldom::new(), unreadable: Seldom::new() }
    }

    /// Gives an event to the stream. Its ticket is redeemed when the stream has it.
    pub fn keep(&self, Notice { app, edge, id, ticket }: Notice) {
        let body = letter::write(app.id(), &edge, &id);
        if body.len() > letter::MAX_BYTES {
            self.drop_too_large(app.id(), body.len());
            return ticket.redeem();
        }
        let slot = Slot::of(app.id(), edge.channel.as_str());
        let receipt = Receipt::new(move || ticket.redeem());
        self.queue.push(Letter { slot, id, body: body.into(), receipt });
    }

    /// The event of a letter that this node is to post. What cannot be posted is counted, and the stream forgets it.
    pub fn read(&self, Pulled { body, receipt }: Pulled) -> Option<Notice> {
        let read = letter::read(&body).map_err(|unreadable| unreadable.to_string()).and_then(|letter| {
            let app = self.registry.by_id(&letter.app).ok_or("no app has its app id here")?;
            Ok((app, letter))
        });
        match read {
            Ok((app, letter::Letter { id, edge, .. })) => {
                // The stream's events have to wait for their endpoints here, within the bounds of those.
                let ticket = self.waiting.ticket_beyond(Notice::cost(&edge)).with(receipt);
                Some(Notice { app, edge, id, ticket })
            }
            Err(reason) => {
                self.drop_unreadable(body.len(), &reason);
                receipt.redeem();
                None
            }
        }
    }

    /// Clients can cause as many as they like, by client events.
    fn drop_too_large(&self, app_id: &str, bytes: usize) {
        self.metrics.webhook_drops.inc();
        if let Some(events) = self.too_large.count() {
            let limit = letter::MAX_BYTES;
            warn!(app = app_id, bytes, limit, events, "webhook events too large for the stream dropped");
        }
    }

    /// As many as wait in the stream may be of an app that is gone.
    fn drop_unreadable(&self, bytes: usize, reason: &str) {
        self.metrics.webhook_drops.inc();
        if let Some(events) = self.unreadable.count() {
            warn!(bytes, reason, events, "webhook events from the stream dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use gaung_cluster::stream::{self, StreamSettings};

    use super::*;
    use crate::{
        config,
        config::AppSettings,
        protocol::{ChannelName, SocketId},
        webhook::{Change, Edge},
    };

    /// Where the log goes meanwhile.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn keeper(metrics: &Metrics) -> (Keeper, stream::Pump) {
        let vars = [("GAUNG_NATS_URL", "nats://127.0.0.1:4222"), ("GAUNG_APP_ID", "a"), ("GAUNG_APP_KEY", "k")];
        let vars = vars.into_iter().chain([("GAUNG_APP_SECRET", "s")]);
        let loaded = config::load(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let bus = loaded.config.cluster.unwrap().bus_settings(gaung_cluster::NodeId::from_bits(1), "1");
        let (queue, pump) = stream::open(StreamSettings::new(bus, "webhooks", 1));
        let registry = Registry::new(vec![("a".to_owned(), AppSettings::new("k", "s"))]);
        (Keeper::new(queue, registry, Waiting::new(1 << 30), metrics.clone()), pump)
    }

    fn too_large(keeper: &Keeper) -> Notice {
        let app = keeper.registry.by_id("a").unwrap();
        let data = "x".repeat(letter::MAX_BYTES);
        let change = Change::ClientEvent {
            event: "client-a".to_owned(),
            data,
            socket_id: SocketId::from_bits(1),
            user_id: None,
        };
        let edge = Edge { channel: ChannelName::parse("private-a", 200).unwrap(), change };
        Notice { app, edge, id: "1".to_owned(), ticket: keeper.waiting.ticket(1).unwrap() }
    }

    #[test]
    fn what_the_stream_cannot_have_or_nobody_can_read_is_counted_each_time_and_logged_once_a_minute() {
        let (metrics, lines) = (Metrics::new(), Lines::default());
        let (keeper, _pump) = keeper(&metrics);
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            for _ in 0..5 {
                keeper.keep(too_large(&keeper));
                let pulled = Pulled { body: "rubbish".into(), receipt: Receipt::new(|| {}) };
                assert!(keeper.read(pulled).is_none());
            }
        });
        assert_eq!(metrics.webhook_drops.get(), 10);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
