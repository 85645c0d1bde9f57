//! The marks of all nodes, read from the stream once a second at most.

use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::{
    Context, Message,
    consumer::DeliverPolicy,
    message::StreamMessage,
    stream::{Info, Stream},
};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::{
    mark::Mark,
    marks::{Marks, Place, RECENT},
    reader::{Messages, ReadError, place, server, since_epoch},
};
use crate::{room::NodeId, subject::Subjects};

/// For how long marks are believed to be the newest.
const FRESH: Duration = Duration::from_secs(1);

/// The marks, as they were read last.
#[derive(Debug, Default)]
pub(super) struct MarkTable {
    pub(super) marks: Marks,
    /// The last sequence number that was looked at.
    last: u64,
    /// The stream that they are of, by the time at which it was made.
    created: Option<Duration>,
    read_at: Option<Instant>,
}

impl MarkTable {
    /// Reads the marks that came since they were read last.
    pub(super) async fn learn(
        &mut self,
        (context, stream): (&Context, &Stream<()>),
        subjects: &Subjects,
    ) -> Result<(), ReadError> {
        if self.read_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let mut listed = stream.info_with_subjects(subjects.marks("*")).await.map_err(server)?;
        let info = listed.info.clone();
        self.begin(&info);
        let policy = match self.last {
            0 => DeliverPolicy::ByStartTime { start_time: (SystemTime::now() - RECENT).into() },
            last => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
        };
        let read = Messages::read((context, stream), (subjects.marks("*"), policy), u64::MAX).await?;
        read.messages.iter().for_each(|message| self.note(message, subjects));
        self.last = self.last.max(info.state.last_sequence);
        self.marks.forget_before(info.state.first_sequence);
        while let Some((subject, _)) = listed.try_next().await.map_err(server)? {
            if let Some(node) = subjects.marking_node(&subject).filter(|node| !self.marks.knows_first(*node)) {
                self.learn_first(node, &subject, stream).await?;
            }
        }
        self.read_at = Some(Instant::now());
        Ok(())
    }

    /// A stream that was made anew has other marks.
    fn begin(&mut self, info: &Info) {
        let created = Some(since_epoch(info.created.unix_timestamp_nanos()));
        if self.created != created {
            *self = Self { created, ..Self::default() };
        }
    }

    fn note(&mut self, message: &Message, subjects: &Subjects) {
        let Some(place) = place(message) else { return };
        self.last = self.last.max(place.sequence);
        if let Some((node, mark)) = read_mark(&message.subject, &message.payload, subjects) {
            self.marks.note(node, place, mark);
        }
    }

    async fn learn_first(&mut self, node: NodeId, subject: &str, stream: &Stream<()>) -> Result<(), ReadError> {
        let StreamMessage { sequence, time, payload, .. } =
            stream.get_next_raw_message_by_subject(subject).await.map_err(server)?;
        if let Some(mark) = Mark::read(payload) {
            let at = since_epoch(time.unix_timestamp_nanos());
            self.marks.note_first(node, Place { sequence, at }, mark);
        }
        Ok(())
    }
}

fn read_mark(subject: &str, payload: &Bytes, subjects: &Subjects) -> Option<(NodeId, Mark)> {
    Some((subjects.marking_node(subject)?, Mark::read(payload.clone())?))
}
