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
use crate::{app::Registry, metrics::Metrics};

/// Where events are kept until some node has posted them.
pub struct Keeper {
    queue: Queue,
    registry: Registry,
    waiting: Waiting,
    metrics: Metrics,
}

impl Keeper {
    /// A way to this queue. The registry knows the apps of letters, and `waiting` counts them.
    pub fn new(queue: Queue, registry: Registry, waiting: Waiting, metrics: Metrics) -> Self {
        Self { queue, registry, waiting, metrics }
    }

    /// Gives an event to the stream. Its ticket is redeemed when the stream has it.
    pub fn keep(&self, Notice { app, edge, id, ticket }: Notice) {
        let body = letter::write(app.id(), &edge, &id);
        if body.len() > letter::MAX_BYTES {
            self.metrics.webhook_drops.inc();
            warn!(app = %app.id(), bytes = body.len(), limit = letter::MAX_BYTES, "webhook event too large for the stream");
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
                self.metrics.webhook_drops.inc();
                warn!(bytes = body.len(), %reason, "webhook event from the stream dropped");
                receipt.redeem();
                None
            }
        }
    }
}
