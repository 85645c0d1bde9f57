//! Reads a room's events from the stream, with what the marks of all nodes say of them, and what a node stored last.
//!
//! Bounds: [`MAX_READS`] rooms are read at once, and one every [`PACE`]; the marks are read once a second at most.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_nats::jetstream::{
    Context, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    stream::Stream,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::{Mutex, Semaphore},
    time::sleep_until,
};

use super::{
    mark_table::MarkTable,
    marks::{Place, StoredEvent, StoredSpan},
    status::Gauges,
};
use crate::{
    codec,
    frame::{Body, Numbered, Numbering},
    room::{NodeId, Room},
    subject::Subjects,
};

/// Rooms that are read at once.
const MAX_READS: usize = 16;

/// The pause between two reads.
const PACE: Duration = Duration::from_millis(1);

/// Events of a room that are read, however old they are. Of a room that has more, those of the window are read.
const MAX_OLD: u64 = 2_048;

/// Events of one room that are read at most.
const MAX_EVENTS: u64 = 16_384;

/// Events of all rooms that are read at most to find those of one node.
const MAX_LAST: u64 = 262_144;

/// By how much clocks may differ.
const MARGIN: Duration = Duration::from_secs(10);

/// After how long the servers forget what a read has begun.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// How long the messages that were promised may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What reads rooms, once it is connected.
#[derive(Debug)]
pub(super) struct Reader {
    subjects: Subjects,
    gauges: Gauges,
    context: OnceLock<Context>,
    turns: Semaphore,
    pace: Mutex<Option<Instant>>,
    marks: Mutex<MarkTable>,
}

/// What the stream has of a room.
#[derive(Debug, Clone, Default)]
pub struct StoredHistory {
    /// What is known of each node.
    pub spans: Vec<StoredSpan>,
    /// Of each node in the order of its numbers.
    pub events: Vec<StoredEvent>,
    /// Everything that the stream took of the room since then is among the events; by the clock of the servers.
    pub since: Duration,
    /// The time, by the same clock.
    pub now: Duration,
}

/// Why a room was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no connection to the history stream")]
    Away,
    #[error("the history stream has {0} events of that time, more than are read")]
    TooMuch(u64),
    /// NATS did not answer, or rejected the request.
    #[error("{0}")]
    Server(String),
}

/// Some messages of the stream, and the time.
pub(super) struct Messages {
    pub messages: Vec<Message>,
    pub now: Duration,
}

impl Reader {
    pub(super) fn new(subjects: Subjects, gauges: Gauges) -> Self {
        let (pace, marks) = (Mutex::new(None), Mutex::default());
        Self { subjects, gauges, context: OnceLock::new(), turns: Semaphore::new(MAX_READS), pace, marks }
    }

    /// From now on rooms can be read.
    pub(super) fn connect(&self, context: Context) {
        // It is connected once.
        let _ = self.context.set(context);
    }

    /// What the stream has of a room; where that is much, what is not older than `window`.
    pub(super) async fn read(&self, room: &Room, window: Duration) -> Result<StoredHistory, ReadError> {
        let context = self.context()?;
        let _turn = self.turns.acquire().await.map_err(server)?;
        self.keep_pace().await;
        self.gauges.read();
        let stream = context.get_stream_no_info(self.subjects.history_stream()).await.map_err(server)?;
        // The marks first: what they say is before them is there then.
        self.marks.lock().await.learn((context, &stream), &self.subjects).await?;
        let (Messages { messages, now }, start) = self.messages((context, &stream), room, window).await?;
        let mut events: Vec<StoredEvent> = messages.iter().filter_map(|message| event(message, room)).collect();
        events.sort_by_key(|event| (event.node, event.numbering.number));
        events.dedup_by_key(|event| (event.node, event.numbering.number));
        // Then what the stream has forgotten meanwhile.
        let state = stream.get_info().await.map_err(server)?.state;
        let behind = Place { sequence: state.first_sequence, at: start };
        let spans = self.marks.lock().await.marks.spans(&events, behind);
        let since = start.max(since_epoch(state.first_timestamp.unix_timestamp_nanos()));
        Ok(StoredHistory { spans, events, since, now })
    }

    /// The frames that a node has stored in so long before now, and some from before that, in the order of their numbers.
    pub(super) async fn read_node(&self, node: NodeId, window: Duration) -> Result<Vec<Bytes>, ReadError> {
        let context = self.context()?;
        let stream = context.get_stream_no_info(self.subjects.history_stream()).await.map_err(server)?;
        let start = SystemTime::now().checked_sub(window + MARGIN).unwrap_or(UNIX_EPOCH);
        let policy = DeliverPolicy::ByStartTime { start_time: start.into() };
        let from = (self.subjects.all_stored_events(), policy);
        let number = |message: &Message| {
            let frame = codec::decode(message.payload.clone()).ok().filter(|frame| frame.origin == node)?;
            Some(frame.number)
        };
        let is_its = |message: &Message| number(message).is_some();
        let Messages { mut messages, .. } = Messages::read_some((context, &stream), from, MAX_LAST, is_its).await?;
        messages.sort_by_cached_key(number);
        // They must not keep what was read with them in memory.
        Ok(messages.into_iter().map(|message| Bytes::copy_from_slice(&message.payload)).collect())
    }

    fn context(&self) -> Result<&Context, ReadError> {
        self.context.get().filter(|_| self.gauges.health.is_healthy()).ok_or(ReadError::Away)
    }

    async fn keep_pace(&self) {
        let mut pace = self.pace.lock().await;
        let now = Instant::now();
        let turn = pace.map_or(now, |last| now.max(last + PACE));
        *pace = Some(turn);
        drop(pace);
        sleep_until(turn.into()).await;
    }

    /// The messages of a room, and since when they are all.
    async fn messages(
        &self,
        from: (&Context, &Stream<()>),
        room: &Room,
        window: Duration,
    ) -> Result<(Messages, Duration), ReadError> {
        let subject = self.subjects.stored_events(room);
        match Messages::read(from, (subject.clone(), DeliverPolicy::All), MAX_OLD).await {
            Err(ReadError::TooMuch(_)) => {}
            all => return Ok((all?, Duration::ZERO)),
        }
        let start = SystemTime::now() - window;
        let policy = DeliverPolicy::ByStartTime { start_time: start.into() };
        let lately = Messages::read(from, (subject, policy), MAX_EVENTS).await?;
        Ok((lately, start.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl Messages {
    /// The messages of a subject from somewhere on, unless they are more than `most`.
    pub(super) async fn read(
        from: (&Context, &Stream<()>),
        messages: (String, DeliverPolicy),
        most: u64,
    ) -> Result<Self, ReadError> {
        Self::read_some(from, messages, most, |_| true).await
    }

    /// Those of them that are wanted.
    async fn read_some(
        (context, stream): (&Context, &Stream<()>),
        (filter_subject, deliver_policy): (String, DeliverPolicy),
        most: u64,
        is_wanted: impl Fn(&Message) -> bool,
    ) -> Result<Self, ReadError> {
        let config = pull::Config {
            filter_subject,
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGET_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = stream.create_consumer(config).await.map_err(server)?;
        let info = consumer.cached_info();
        let now = since_epoch(info.created.unix_timestamp_nanos());
        let read = match info.num_pending {
            pending if pending > most => Err(ReadError::TooMuch(pending)),
            pending => fetch(&consumer, pending, is_wanted).await.map(|messages| Self { messages, now }),
        };
        // The servers would forget it by themselves, and be slow with thousands of them until then. Nobody waits for that.
        let end = format!("$JS.API.CONSUMER.DELETE.{}.{}", info.stream_name, info.name);
        let _ = context.client().publish(end, Bytes::new()).await;
        read
    }
}

async fn fetch(
    consumer: &PullConsumer,
    pending: u64,
    is_wanted: impl Fn(&Message) -> bool,
) -> Result<Vec<Message>, ReadError> {
    let (mut messages, mut count) = (Vec::new(), 0);
    while count < pending {
        let left = usize::try_from(pending - count).unwrap_or(usize::MAX);
        let batch = consumer.batch().max_messages(left).expires(PATIENCE).messages().await;
        let (mut batch, before) = (batch.map_err(server)?, count);
        while let Some(message) = batch.next().await {
            let message = message.map_err(server)?;
            count += 1;
            messages.extend(is_wanted(&message).then_some(message));
        }
        if count == before {
            return Err(ReadError::Server("the history stream did not send what it has".to_owned()));
        }
    }
    Ok(messages)
}

/// An event of the room, unless it is something else.
fn event(message: &Message, room: &Room) -> Option<StoredEvent> {
    let place = place(message)?;
    // It must not keep what was read with it in memory.
    let frame = codec::decode(Bytes::copy_from_slice(&message.payload)).ok()?;
    let Body::Numbered { predecessor, content: Numbered::Event(event) } = frame.body else { return None };
    let numbering = Numbering { number: frame.number, predecessor };
    (event.room == *room).then_some(StoredEvent { node: frame.origin, numbering, place, payload: event.payload })
}

pub(super) fn place(message: &Message) -> Option<Place> {
    let info = message.info().ok()?;
    Some(Place { sequence: info.stream_sequence, at: since_epoch(info.published.unix_timestamp_nanos()) })
}

pub(super) fn since_epoch(nanoseconds: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

pub(super) fn server(error: impl std::fmt::Display) -> ReadError {
    ReadError::Server(error.to_string())
}
