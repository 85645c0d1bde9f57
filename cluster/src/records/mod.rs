//! A stream in JetStream that keeps one record for each app, sealed by who writes it: here it is bytes. Needs NATS 2.9 or
//! later.
//!
//! The way of a change: [`RecordStream::put`](crate::records::RecordStream::put) writes behind the record that its writer
//! knew, or not at all → the stream → the worker of every node hears it. A record that is gone is one that says so: nothing
//! is deleted, so that nobody misses it.

mod setup;
mod worker;

use std::sync::{Arc, OnceLock};

use async_nats::{
    connection::State,
    jetstream::{Context, context::PublishErrorKind, message::PublishMessage},
};
use bytes::Bytes;

use crate::{
    bus::BusSettings,
    jetstream::{Health, HealthTexts},
    subject::Subjects,
};

pub use worker::{Heard, Worker};

/// Settings of the stream.
#[derive(Debug, Clone)]
pub struct RecordSettings {
    /// Servers, login and subjects. The stream has a connection of its own.
    pub bus: BusSettings,
    /// Replicas of the stream, where the node creates it: `GAUNG_APPS_STORE_REPLICAS`.
    pub replicas: usize,
}

/// A handle of the stream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RecordStream {
    subjects: Subjects,
    context: Arc<OnceLock<Context>>,
    health: Health,
}

/// Why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Another record of the app was written since.
    #[error("another change was faster")]
    Conflict,
    /// There is no connection. Nothing was written.
    #[error("there is no connection to the apps in NATS")]
    Away,
    /// NATS has not said in time whether it was written.
    #[error("NATS does not confirm that the app was changed; it may have been: read it again")]
    Unconfirmed,
    /// NATS refused it.
    #[error("NATS does not take the app: {0}")]
    Refused(String),
}

/// A stream and its worker.
pub fn open(settings: RecordSettings) -> (RecordStream, Worker) {
    let health = Health::new(HealthTexts {
        fails: "the apps in NATS cannot be followed; the last known apps stay in force and cannot be changed",
        works: "the apps in NATS can be followed again",
    });
    let subjects = settings.bus.subjects.clone();
    let stream = RecordStream { subjects, context: Arc::default(), health };
    (stream.clone(), Worker::new(settings, stream))
}

impl RecordStream {
    /// Writes a record of this app, if the last one has this place in the stream (0: there is none). Its own place.
    pub async fn put(&self, app: &str, record: Bytes, after: u64) -> Result<u64, PutError> {
        let context = self.context.get().ok_or(PutError::Away)?;
        if context.client().connection_state() != State::Connected {
            return Err(PutError::Away);
        }
        let message = PublishMessage::build()
            .payload(record)
            .expected_stream(self.subjects.records_stream())
            .expected_last_subject_sequence(after);
        let sent = context.send_publish(self.subjects.record(app), message).await;
        let stored = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        stored.map(|stored| stored.sequence).map_err(|error| match error.kind() {
            PublishErrorKind::WrongLastSequence => PutError::Conflict,
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => PutError::Unconfirmed,
            // Servers have another code for it while another write is under way.
            _ if error.to_string().contains("wrong last sequence") => PutError::Conflict,
            _ => PutError::Refused(error.to_string()),
        })
    }

    /// Whether the records can be followed.
    pub fn works(&self) -> bool {
        self.health.is_healthy()
    }

    /// What is wrong; `None` while all is well.
    pub fn error(&self) -> Option<String> {
        self.health.error()
    }
}
