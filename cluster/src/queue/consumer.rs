//! Consumes one slot for as long as it is this node's: pulls messages, reports progress on those that are not posted
//! yet, and gives back at the end what was not posted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{
    connection::State,
    jetstream::{AckKind, Context, Message, consumer::PullConsumer, consumer::pull::Batch},
};
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout_at},
};
use tracing::warn;

use super::{
    event::PulledEvent,
    lease::{Lease, Step},
    settings::QueueTiming,
    setup::{QueueError, StreamSpec},
    slot::Slot,
    status::Gauges,
};
use crate::{ack::Ack, jetstream::connected};

/// Messages that one request asks for.
const REQUEST_MESSAGES: usize = 256;

/// The pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a new owner checks whether the previous one has stopped.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How much later than this node the previous owner may notice that a slot has moved.
const LAG: Duration = Duration::from_secs(2);

/// How many progress acks the stream gets per `ack_wait`, after which it would redeliver a message to another node.
const PROGRESS_ACKS: u32 = 3;

/// The consumer of one slot, before it has begun.
pub(super) struct SlotConsumer {
    pub context: Context,
    pub spec: StreamSpec,
    pub timing: QueueTiming,
    pub slot: Slot,
    pub gauges: Gauges,
    pub revoked: Arc<AtomicBool>,
    pub pulled: mpsc::UnboundedSender<PulledEvent>,
}

/// A consumer that pulls its slot.
struct ActiveConsumer {
    base: SlotConsumer,
    consumer: PullConsumer,
    lease: Lease,
    /// Since when messages are held back.
    waits_since: Option<Instant>,
    /// Connections that the client had so far. A request does not outlive its connection.
    connections: u64,
    /// For the numbers of messages that were posted; each post holds a copy. None once the consumer is ending.
    posted: Option<mpsc::UnboundedSender<u64>>,
}

impl SlotConsumer {
    /// Runs until `stop` is dropped, and then until no post of the slot is in progress here.
    pub(super) async fn work(self, mut stop: oneshot::Receiver<()>) -> Slot {
        let slot = self.slot;
        let begun = tokio::select! {
            begun = self.begin() => Some(begun),
            _ = &mut stop => None,
        };
        let Some((consumer, lease)) = begun else { return slot };
        let (posted, posted_numbers) = mpsc::unbounded_channel();
        let connections = self.connections();
        let posted = Some(posted);
        let active = ActiveConsumer { base: self, consumer, lease, waits_since: None, connections, posted };
        active.work(stop, posted_numbers).await;
        slot
    }

    /// Waits until the stream answers and the previous owner has stopped pulling.
    async fn begin(&self) -> (PullConsumer, Lease) {
        loop {
            connected(&self.context).await;
            match self.try_begin().await {
                Ok(begun) => return begun,
                Err(error) => self.fail(error).await,
            }
        }
    }

    async fn try_begin(&self) -> Result<(PullConsumer, Lease), QueueError> {
        let consumer = self.consumer().await?;
        let deadline = Instant::now() + self.timing.request + LAG;
        loop {
            let info = consumer.get_info().await.map_err(|error| QueueError::Server(error.to_string()))?;
            if info.num_waiting == 0 || Instant::now() >= deadline {
                return Ok((
                    consumer,
                    Lease::new(
                        info.num_ack_pending as u64,
                        info.delivered.stream_sequence,
                        info.delivered.consumer_sequence,
                    ),
                ));
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    async fn consumer(&self) -> Result<PullConsumer, QueueError> {
        self.spec.stream(&self.context).await?;
        let consumer = self.spec.consumer(&self.context, self.slot).await?;
        self.gauges.health.worked();
        Ok(consumer)
    }

    async fn fail(&self, error: QueueError) {
        self.gauges.health.failed(&error);
        sleep(PAUSE).await;
    }

    fn connections(&self) -> u64 {
        self.context.client().statistics().connects.load(Ordering::Relaxed)
    }

    /// Sends an ack of some kind for a message; nothing without a connection, since the stream then redelivers it.
    async fn reply(&self, kind: AckKind, reply: String) {
        let client = self.context.client();
        if client.connection_state() == State::Connected {
            // The client's queue is closed only when the client is gone.
            let _ = client.publish(reply, kind.into()).await;
        }
    }
}

impl ActiveConsumer {
    async fn work(mut self, mut stop: oneshot::Receiver<()>, mut posted_numbers: mpsc::UnboundedReceiver<u64>) {
        let mut progress = ticks(self.base.timing.ack_wait / PROGRESS_ACKS);
        let mut checks = ticks(CHECK_INTERVAL);
        let mut batch = None;
        loop {
            tokio::select! {
                // In this order, so that a request is given up only when all that it brought has been taken.
                biased;
                _ = &mut stop => break,
                Some(number) = posted_numbers.recv() => self.acknowledge(number).await,
                _ = progress.tick() => self.reply_to_all(AckKind::Progress).await,
                message = next(&mut batch) => match message {
                    Some(Ok(message)) => self.take(message).await,
                    Some(Err(error)) => batch = self.recover(QueueError::Server(error.to_string())).await,
                    None => batch = self.request().await,
                },
                _ = checks.tick() => {
                    self.check_missing().await;
                    if self.has_reconnected() {
                        batch = None;
                    }
                }
            }
        }
        self.drain(batch, posted_numbers).await;
    }

    async fn request(&mut self) -> Option<Batch> {
        let batch = self.consumer.batch().max_messages(REQUEST_MESSAGES).expires(self.base.timing.request);
        match batch.messages().await {
            Ok(batch) => Some(batch),
            Err(error) => self.recover(QueueError::Server(error.to_string())).await,
        }
    }

    /// The consumer or the stream may be gone: creates it again. Messages that were taken stay taken.
    async fn recover(&mut self, error: QueueError) -> Option<Batch> {
        self.base.fail(error).await;
        match self.base.consumer().await {
            Ok(consumer) => self.consumer = consumer,
            Err(error) => self.base.gauges.health.failed(&error),
        }
        None
    }

    async fn take(&mut self, message: Message) {
        match self.enter(message) {
            Some(Step::Post(messages)) => self.post(messages),
            Some(Step::Acknowledge(reply)) => self.base.reply(AckKind::Ack, reply).await,
            None => {}
        }
    }

    fn enter(&mut self, message: Message) -> Option<Step> {
        // A message without a reply subject or a number did not come from the stream.
        let (number, delivered) = message.info().ok().map(|info| (info.stream_sequence, info.consumer_sequence))?;
        let reply = message.reply.as_ref()?.to_string();
        Some(self.lease.take(number, delivered, message.message.payload, reply))
    }

    fn post(&self, messages: Vec<(u64, bytes::Bytes)>) {
        let Some(posted) = &self.posted else { return };
        for (number, body) in messages {
            let posted = posted.clone();
            let ack = Ack::revocable(self.base.revoked.clone(), move || {
                // A consumer that has ended has given the message back.
                let _ = posted.send(number);
            });
            // The worker ends only after its consumers.
            let _ = self.base.pulled.send(PulledEvent { body, ack });
        }
    }

    async fn acknowledge(&mut self, number: u64) {
        if let Some(reply) = self.lease.finish(number) {
            self.base.reply(AckKind::Ack, reply).await;
        }
    }

    async fn reply_to_all(&self, kind: AckKind) {
        for reply in self.lease.replies() {
            self.base.reply(kind, reply.clone()).await;
        }
    }

    /// Stops waiting for missing messages if none is pending any more (the previous owner has posted them after all), or if
    /// they are late.
    async fn check_missing(&mut self) {
        if !self.lease.holds_back() {
            self.waits_since = None;
            return;
        }
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let is_late = since.elapsed() >= self.base.timing.ack_wait + LAG;
        if is_late {
            warn!(
                slot = self.base.slot.number(),
                "webhooks held by another node were not redelivered in time; posting newer ones first"
            );
        }
        if is_late || self.has_all().await {
            let messages = self.lease.release();
            self.post(messages);
        }
    }

    fn has_reconnected(&mut self) -> bool {
        let connections = self.base.connections();
        std::mem::replace(&mut self.connections, connections) != connections
    }

    /// Whether all messages that are pending anywhere are here.
    async fn has_all(&self) -> bool {
        self.consumer.get_info().await.is_ok_and(|info| info.num_ack_pending <= self.lease.taken())
    }

    /// Lets current posts end, takes what the last request still brings, and gives back everything that is left.
    async fn drain(mut self, mut batch: Option<Batch>, mut posted_numbers: mpsc::UnboundedReceiver<u64>) {
        let timing = self.base.timing;
        let end = Instant::now() + timing.drain.max(timing.request + CHECK_INTERVAL);
        // From here on `posted_numbers` ends with the last post, since there is no other sender.
        self.posted = None;
        let mut is_posting = true;
        while is_posting || batch.is_some() {
            let step = async {
                tokio::select! {
                    number = posted_numbers.recv(), if is_posting => DrainStep::Posted(number),
                    message = next(&mut batch), if batch.is_some() => DrainStep::Came(message.and_then(Result::ok).map(Box::new)),
                }
            };
            match timeout_at(end, step).await {
                Ok(DrainStep::Posted(Some(number))) => self.acknowledge(number).await,
                Ok(DrainStep::Posted(None)) => is_posting = false,
                Ok(DrainStep::Came(Some(message))) => drop(self.enter(*message)),
                Ok(DrainStep::Came(None)) => batch = None,
                Err(_) => break,
            }
        }
        self.reply_to_all(AckKind::Nak(None)).await;
    }
}

/// What happens while a consumer drains.
enum DrainStep {
    Posted(Option<u64>),
    Came(Option<Box<Message>>),
}

/// The next message of a request; `None` when it is answered, or when there is none.
async fn next(batch: &mut Option<Batch>) -> Option<Result<Message, async_nats::Error>> {
    batch.as_mut()?.next().await
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
