//! The task that follows the records: reads all of them, then hears each new one, and begins anew whenever it may have missed
//! one.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{
        Context, Message,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        context::ContextBuilder,
        stream::Stream,
    },
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    RecordSettings, RecordStream,
    setup::{RecordError, StreamSpec, server},
};
use crate::{
    bus::{InvalidServer, connect},
    jetstream::{REQUEST_TIMEOUT, connected},
};

/// The pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Every so many looks the stream is asked whether it has more than was heard.
const ASK_EVERY: u32 = 20;

/// After how long the servers forget who follows.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// How long one request for records lasts, and how often the servers say that they are there.
const REQUEST: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(5);

/// What is heard of the records, in this order: a stream, its records, that these were all, and each new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Records of this stream follow. One that was made at another time is another one.
    Stream { made: i64 },
    /// A record of an app, and its place in the stream.
    Record { app: String, place: u64, record: Bytes },
    /// Nothing more is there now.
    All,
}

/// The stream's background task, to be run on a thread with a tokio runtime.
pub struct Worker {
    settings: RecordSettings,
    stream: RecordStream,
}

/// Why following ended, where nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The connection is another one, or there is none.
    Reconnected,
    /// The stream has more than was heard.
    Behind,
}

/// One time of following, from the first record on.
struct Following<'a> {
    context: &'a Context,
    stream: Stream,
    consumer: PullConsumer,
    connects: u64,
    /// The place of the last record that was heard.
    last: u64,
}

impl Worker {
    pub(super) fn new(settings: RecordSettings, stream: RecordStream) -> Self {
        Self { settings, stream }
    }

    /// Runs for ever. Needs a tokio runtime with time and I/O. Fails at once on an invalid server address.
    pub async fn run(self, mut hear: impl FnMut(Heard)) -> Result<(), InvalidServer> {
        let Self { settings, stream } = self;
        let client = connect(&settings.bus, "apps").await?;
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client);
        // It is connected once.
        let _ = stream.context.set(context.clone());
        let spec = StreamSpec { subjects: settings.bus.subjects.clone(), replicas: settings.replicas };
        loop {
            connected(&context).await;
            match follow(&context, &spec, &stream, &mut hear).await {
                Ok(ended) => tracing::debug!(?ended, "following the apps in NATS anew"),
                Err(error) => {
                    stream.health.failed(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Follows until that ends or fails.
async fn follow(
    context: &Context,
    spec: &StreamSpec,
    records: &RecordStream,
    hear: &mut impl FnMut(Heard),
) -> Result<Ended, RecordError> {
    let mut following = Following::start(context, spec).await?;
    let made = following.stream.cached_info().created.unix_timestamp_nanos();
    hear(Heard::Stream { made: i64::try_from(made).unwrap_or_default() });
    if following.consumer.cached_info().num_pending == 0 {
        hear(Heard::All);
    }
    records.health.worked();
    let ended = following.hear(records, hear).await;
    following.forget().await;
    ended
}

impl<'a> Following<'a> {
    async fn start(context: &'a Context, spec: &StreamSpec) -> Result<Self, RecordError> {
        let connects = context.client().statistics().connects.load(Ordering::Relaxed);
        let stream = spec.prepare(context).await?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGET_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(server)?;
        Ok(Self { context, stream, consumer, connects, last: 0 })
    }

    async fn hear(&mut self, records: &RecordStream, hear: &mut impl FnMut(Heard)) -> Result<Ended, RecordError> {
        let messages = self.consumer.stream().expires(REQUEST).heartbeat(HEARTBEAT).messages();
        let mut messages = messages.await.map_err(server)?;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut count, mut was_behind) = (0_u32, None);
        loop {
            tokio::select! {
                message = messages.next() => {
                    let message = message.ok_or_else(|| server("the stream of records ended"))?.map_err(server)?;
                    self.take(records, &message, hear)?;
                }
                _ = looks.tick() => {
                    if self.is_another_connection() {
                        return Ok(Ended::Reconnected);
                    }
                    count = count.wrapping_add(1);
                    if count.is_multiple_of(ASK_EVERY) {
                        let newest = self.stream.get_info().await.map_err(server)?.state.last_sequence;
                        if newest > self.last && was_behind == Some(self.last) {
                            return Ok(Ended::Behind);
                        }
                        was_behind = (newest > self.last).then_some(self.last);
                    }
                }
            }
        }
    }

    fn take(
        &mut self,
        records: &RecordStream,
        message: &Message,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), RecordError> {
        let info = message.info().map_err(server)?;
        self.last = info.stream_sequence;
        // What is no app's is not ours.
        if let Some(app) = records.subjects.app_of_record(&message.subject) {
            // It must not keep what came with it in memory.
            let record = Bytes::copy_from_slice(&message.payload);
            hear(Heard::Record { app, place: self.last, record });
        }
        if info.pending == 0 {
            hear(Heard::All);
        }
        Ok(())
    }

    fn is_another_connection(&self) -> bool {
        let client = self.context.client();
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        client.connection_state() != State::Connected || connects != self.connects
    }

    /// The servers would forget it by themselves. Nobody waits for that.
    async fn forget(&self) {
        let info = self.consumer.cached_info();
        let end = format!("$JS.API.CONSUMER.DELETE.{}.{}", info.stream_name, info.name);
        let _ = self.context.client().publish(end, Bytes::new()).await;
    }
}
