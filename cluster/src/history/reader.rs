//! Reads a room's events from the stream, with what the marks of all nodes say of them.
//!
//! Bounds: [`MAX_READS`] rooms are read at once, and one every [`PACE`]; the marks are read once a second at most.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_nats::jetstream::{
    Context, Message,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    stream::Info,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::{Mutex, Semaphore},
    time::sleep_until,
};

use super::{
    mark::Mark,
    marks::{Marks, Place, StoredEvent, StoredSpan},
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

/// For how long marks are believed to be the newest.
const FRESH: Duration = Duration::from_secs(1);

/// Messages of one answer at most. A room that has more is not read.
const MAX_MESSAGES: u64 = 16_384;

/// After how long the servers forget what a read has begun.
const FORGET_AFTER: Duration = Duration::from_secs(5);

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
    marks: Mutex<KnownMarks>,
}

/// The marks, as they were read last.
#[derive(Debug, Default)]
struct KnownMarks {
    marks: Marks,
    /// The last sequence number that was looked at.
    last: u64,
    /// The stream that they are of, by the time at which it was made.
    created: Option<Duration>,
    read_at: Option<Instant>,
}

/// What the stream has of a room.
#[derive(Debug, Clone, Default)]
pub struct StoredHistory {
    /// What is known of each node.
    pub spans: Vec<StoredSpan>,
    /// Of each node in the order of its numbers.
    pub events: Vec<StoredEvent>,
    /// The time, by the clock of the servers.
    pub now: Duration,
}

/// Why a room was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no connection to the history stream")]
    Away,
    #[error("the history stream has {0} events of the room, more than are read")]
    TooMuch(u64),
    /// NATS did not answer, or rejected the request.
    #[error("{0}")]
    Server(String),
}

/// Some messages of the stream, and the time.
struct Messages {
    messages: Vec<Message>,
    now: Duration,
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

    /// What the stream has of a room that is not older than `window`.
    pub(super) async fn read(&self, room: &Room, window: Duration) -> Result<StoredHistory, ReadError> {
        let context = self.context.get().filter(|_| self.gauges.health.is_healthy()).ok_or(ReadError::Away)?;
        let _turn = self.turns.acquire().await.map_err(server)?;
        self.keep_pace().await;
        self.gauges.read();
        // The marks first: what they say is before them is there then.
        self.learn_marks(context).await?;
        let start = SystemTime::now() - window;
        let policy = DeliverPolicy::ByStartTime { start_time: start.into() };
        let subject = self.subjects.stored_events(room);
        let Messages { messages, now } = self.messages(context, subject, policy).await?;
        // Then what the stream has forgotten meanwhile.
        let sequence = self.info(context).await?.state.first_sequence;
        let behind = Place { sequence, at: start.duration_since(UNIX_EPOCH).unwrap_or_default() };
        let mut events: Vec<StoredEvent> = messages.iter().filter_map(|message| event(message, room)).collect();
        events.sort_by_key(|event| (event.node, event.numbering.number));
        events.dedup_by_key(|event| (event.node, event.numbering.number));
        let spans = self.marks.lock().await.marks.spans(&events, behind);
        Ok(StoredHistory { spans, events, now })
    }

    async fn keep_pace(&self) {
        let mut pace = self.pace.lock().await;
        let now = Instant::now();
        let turn = pace.map_or(now, |last| now.max(last + PACE));
        *pace = Some(turn);
        drop(pace);
        sleep_until(turn.into()).await;
    }

    /// Reads the marks that came since they were read last.
    async fn learn_marks(&self, context: &Context) -> Result<(), ReadError> {
        let mut known = self.marks.lock().await;
        if known.read_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let info = self.info(context).await?;
        let created = Some(since_epoch(info.created.unix_timestamp_nanos()));
        if known.created != created {
            *known = KnownMarks { created, ..KnownMarks::default() };
        }
        let policy = DeliverPolicy::ByStartSequence { start_sequence: known.last + 1 };
        let read = self.messages(context, self.subjects.marks("*"), policy).await?;
        for message in &read.messages {
            let Some(place) = place(message) else { continue };
            known.last = known.last.max(place.sequence);
            if let Some((node, mark)) = self.mark(message) {
                known.marks.note(node, place, mark);
            }
        }
        known.last = known.last.max(info.state.last_sequence);
        known.marks.forget_before(info.state.first_sequence);
        known.read_at = Some(Instant::now());
        Ok(())
    }

    async fn info(&self, context: &Context) -> Result<Info, ReadError> {
        let stream = context.get_stream(self.subjects.history_stream()).await.map_err(server)?;
        Ok(stream.cached_info().clone())
    }

    fn mark(&self, message: &Message) -> Option<(NodeId, Mark)> {
        Some((self.subjects.marking_node(&message.subject)?, Mark::read(message.payload.clone())?))
    }

    /// The messages of a subject from somewhere on.
    async fn messages(
        &self,
        context: &Context,
        subject: String,
        deliver_policy: DeliverPolicy,
    ) -> Result<Messages, ReadError> {
        let config = pull::Config {
            filter_subject: subject,
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGET_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let stream = self.subjects.history_stream();
        let consumer: PullConsumer = context.create_consumer_on_stream(config, stream).await.map_err(server)?;
        let (info, mut messages) = (consumer.cached_info(), Vec::new());
        let (pending, now) = (info.num_pending, since_epoch(info.created.unix_timestamp_nanos()));
        if pending > MAX_MESSAGES {
            return Err(ReadError::TooMuch(pending));
        }
        while (messages.len() as u64) < pending {
            let wanted = pending as usize - messages.len();
            let batch = consumer.batch().max_messages(wanted).expires(PATIENCE).messages().await;
            let mut batch = batch.map_err(server)?;
            let before = messages.len();
            while let Some(message) = batch.next().await {
                messages.push(message.map_err(server)?);
            }
            if messages.len() == before {
                return Err(ReadError::Server("the history stream did not send what it has".to_owned()));
            }
        }
        Ok(Messages { messages, now })
    }
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

fn place(message: &Message) -> Option<Place> {
    let info = message.info().ok()?;
    Some(Place { sequence: info.stream_sequence, at: since_epoch(info.published.unix_timestamp_nanos()) })
}

fn since_epoch(nanoseconds: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

fn server(error: impl std::fmt::Display) -> ReadError {
    ReadError::Server(error.to_string())
}
