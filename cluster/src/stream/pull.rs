//! Pulls one slot for as long as it is this node's, tells the stream that its messages are not forgotten, and gives back
//! at the end what was not posted.

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
    Pulled, StreamTiming,
    health::Health,
    setup::{Plan, Trouble},
    slot::Slot,
    store::connected,
    tenure::{Step, Tenure},
};
use crate::receipt::Receipt;

/// Messages that one request asks for.
const REQUEST: usize = 256;

/// The pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a new owner looks whether the one before it has gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How much later than this node another one may notice that a slot has moved.
const LAG: Duration = Duration::from_secs(2);

/// How many signs of life the stream gets in the time after which it would give a message to another node.
const SIGNS: u32 = 3;

/// What it takes to pull a slot.
pub(super) struct Puller {
    pub context: Context,
    pub plan: Plan,
    pub timing: StreamTiming,
    pub slot: Slot,
    pub health: Health,
    pub revoked: Arc<AtomicBool>,
    pub pulled: mpsc::UnboundedSender<Pulled>,
}

/// A slot that is being pulled.
struct Shift {
    puller: Puller,
    consumer: PullConsumer,
    tenure: Tenure,
    /// Since when messages are held back.
    waits_since: Option<Instant>,
    /// Connections that the client had so far. A request does not outlive its connection.
    connections: u64,
    /// For the numbers of messages that were posted; whoever posts one holds a copy. None at the end of the shift.
    posted: Option<mpsc::UnboundedSender<u64>>,
}

impl Puller {
    /// Works until `stop` is gone, and then until nothing of the slot is under way here.
    pub async fn work(self, mut stop: oneshot::Receiver<()>) -> Slot {
        let slot = self.slot;
        let begun = tokio::select! {
            begun = self.begin() => Some(begun),
            _ = &mut stop => None,
        };
        let Some((consumer, tenure)) = begun else { return slot };
        let (posted, endings) = mpsc::unbounded_channel();
        let connections = self.connections();
        let posted = Some(posted);
        let shift = Shift { puller: self, consumer, tenure, waits_since: None, connections, posted };
        shift.work(stop, endings).await;
        slot
    }

    /// Waits until the stream answers and the owner before has stopped asking.
    async fn begin(&self) -> (PullConsumer, Tenure) {
        loop {
            connected(&self.context).await;
            match self.try_begin().await {
                Ok(begun) => return begun,
                Err(trouble) => self.fail(trouble).await,
            }
        }
    }

    async fn try_begin(&self) -> Result<(PullConsumer, Tenure), Trouble> {
        let consumer = self.consumer().await?;
        let deadline = Instant::now() + self.timing.request + LAG;
        loop {
            let info = consumer.get_info().await.map_err(|error| Trouble::Server(error.to_string()))?;
            if info.num_waiting == 0 || Instant::now() >= deadline {
                return Ok((
                    consumer,
                    Tenure::new(
                        info.num_ack_pending as u64,
                        info.delivered.stream_sequence,
                        info.delivered.consumer_sequence,
                    ),
                ));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn consumer(&self) -> Result<PullConsumer, Trouble> {
        self.plan.stream(&self.context).await?;
        let consumer = self.plan.consumer(&self.context, self.slot).await?;
        self.health.worked();
        Ok(consumer)
    }

    async fn fail(&self, trouble: Trouble) {
        self.health.failed(trouble);
        sleep(PAUSE).await;
    }

    fn connections(&self) -> u64 {
        self.context.client().statistics().connects.load(Ordering::Relaxed)
    }

    /// Says something about a message. Without a connection nothing is said: the stream gives the message again.
    async fn say(&self, kind: AckKind, reply: String) {
        let client = self.context.client();
        if client.connection_state() == State::Connected {
            // The client's queue is closed only when the client is gone.
            let _ = client.publish(reply, kind.into()).await;
        }
    }
}

impl Shift {
    async fn work(mut self, mut stop: oneshot::Receiver<()>, mut endings: mpsc::UnboundedReceiver<u64>) {
        let mut signs = ticks(self.puller.timing.silence / SIGNS);
        let mut looks = ticks(LOOK_EVERY);
        let mut batch = None;
        loop {
            tokio::select! {
                // In this order, so that a request is given up only when all that it brought has been taken.
                biased;
                _ = &mut stop => break,
                Some(number) = endings.recv() => self.acknowledge(number).await,
                _ = signs.tick() => self.say_of_all(AckKind::Progress).await,
                message = next(&mut batch) => match message {
                    Some(Ok(message)) => self.take(message).await,
                    Some(Err(error)) => batch = self.recover(Trouble::Server(error.to_string())).await,
                    None => batch = self.request().await,
                },
                _ = looks.tick() => {
                    self.look().await;
                    if self.has_reconnected() {
                        batch = None;
                    }
                }
            }
        }
        self.part(batch, endings).await;
    }

    async fn request(&mut self) -> Option<Batch> {
        let batch = self.consumer.batch().max_messages(REQUEST).expires(self.puller.timing.request);
        match batch.messages().await {
            Ok(batch) => Some(batch),
            Err(error) => self.recover(Trouble::Server(error.to_string())).await,
        }
    }

    /// The consumer or the stream may be gone, and is made anew. What was taken stays taken.
    async fn recover(&mut self, trouble: Trouble) -> Option<Batch> {
        self.puller.fail(trouble).await;
        match self.puller.consumer().await {
            Ok(consumer) => self.consumer = consumer,
            Err(trouble) => self.puller.health.failed(trouble),
        }
        None
    }

    async fn take(&mut self, message: Message) {
        match self.enter(message) {
            Some(Step::Post(messages)) => self.post(messages),
            Some(Step::Acknowledge(reply)) => self.puller.say(AckKind::Ack, reply).await,
            None => {}
        }
    }

    fn enter(&mut self, message: Message) -> Option<Step> {
        // Whatever has no reply or no number did not come from the stream.
        let (number, given) = message.info().ok().map(|info| (info.stream_sequence, info.consumer_sequence))?;
        let reply = message.reply.as_ref()?.to_string();
        Some(self.tenure.take(number, given, message.message.payload, reply))
    }

    fn post(&self, messages: Vec<(u64, bytes::Bytes)>) {
        let Some(posted) = &self.posted else { return };
        for (number, body) in messages {
            let posted = posted.clone();
            let receipt = Receipt::revocable(self.puller.revoked.clone(), move || {
                // A shift that is over has given the message back.
                let _ = posted.send(number);
            });
            // The pump goes only after its pullers.
            let _ = self.puller.pulled.send(Pulled { body, receipt });
        }
    }

    async fn acknowledge(&mut self, number: u64) {
        if let Some(reply) = self.tenure.finish(number) {
            self.puller.say(AckKind::Ack, reply).await;
        }
    }

    async fn say_of_all(&self, kind: AckKind) {
        for reply in self.tenure.replies() {
            self.puller.say(kind, reply.clone()).await;
        }
    }

    /// Whether the messages that are waited for will not come: the owner before may have posted them after all.
    async fn look(&mut self) {
        if !self.tenure.holds_back() {
            self.waits_since = None;
            return;
        }
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let is_late = since.elapsed() >= self.puller.timing.silence + LAG;
        if is_late {
            warn!(slot = self.puller.slot.number(), "webhooks that another node had taken did not come back in time");
        }
        if is_late || self.has_all().await {
            let messages = self.tenure.release();
            self.post(messages);
        }
    }

    fn has_reconnected(&mut self) -> bool {
        let connections = self.puller.connections();
        std::mem::replace(&mut self.connections, connections) != connections
    }

    /// Whether all messages that are under way anywhere are here.
    async fn has_all(&self) -> bool {
        self.consumer.get_info().await.is_ok_and(|info| info.num_ack_pending <= self.tenure.taken())
    }

    /// Lets posts under way end, takes what the last request still brings, and gives back everything that is left.
    async fn part(mut self, mut batch: Option<Batch>, mut endings: mpsc::UnboundedReceiver<u64>) {
        let timing = self.puller.timing;
        let end = Instant::now() + timing.farewell.max(timing.request + LOOK_EVERY);
        // From here on `endings` ends with the last post, since nobody else holds a copy.
        self.posted = None;
        let mut is_posting = true;
        while is_posting || batch.is_some() {
            let step = async {
                tokio::select! {
                    number = endings.recv(), if is_posting => Left::Posted(number),
                    message = next(&mut batch), if batch.is_some() => Left::Came(message.and_then(Result::ok).map(Box::new)),
                }
            };
            match timeout_at(end, step).await {
                Ok(Left::Posted(Some(number))) => self.acknowledge(number).await,
                Ok(Left::Posted(None)) => is_posting = false,
                Ok(Left::Came(Some(message))) => drop(self.enter(*message)),
                Ok(Left::Came(None)) => batch = None,
                Err(_) => break,
            }
        }
        self.say_of_all(AckKind::Nak(None)).await;
    }
}

/// What happens at the end of a shift.
enum Left {
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
