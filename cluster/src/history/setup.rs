//! Creates the stream where it is missing, and rejects one that does not fit.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::settings::HistorySettings;
use crate::jetstream::covers;

/// For how long events are kept, if they are not too many: far longer than in histories, because who was connected for
/// long without an event has a position that is as old.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The stream's `duplicate_window`, which may not be longer than events are kept. No message has an id.
const DUPLICATES: Duration = Duration::from_secs(1);

/// How the stream is to be configured.
#[derive(Debug, Clone)]
pub(super) struct StreamSpec {
    pub name: String,
    subjects: String,
    /// Used only where the stream is created, as is `max_bytes`.
    replicas: usize,
    max_bytes: usize,
}

/// Why the stream cannot be used. An operator must act, unless only the connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// Another retention than `Limits`: it would forget events that were read.
    #[error("stream {name} has the retention {found:?}, but a history needs Limits; remove this stream")]
    Retention { name: String, found: RetentionPolicy },
    #[error("the stream {name} does not store {missing}; add this subject to it, or remove it")]
    Subjects { name: String, missing: String },
    /// It would refuse new events instead of forgetting old ones.
    #[error(
        "the stream {name} discards new events when it is full, but a history needs to discard old ones; remove it"
    )]
    Discard { name: String },
    /// NATS did not answer, or rejected the request.
    #[error("{0}")]
    Server(String),
}

impl StreamSpec {
    pub(super) fn new(settings: &HistorySettings) -> Self {
        let subjects = &settings.bus.subjects;
        Self {
            name: subjects.history_stream(),
            subjects: subjects.history(),
            replicas: settings.replicas,
            max_bytes: settings.max_bytes,
        }
    }

    /// Makes the stream what it must be.
    pub(super) async fn prepare(self, context: Context) -> Result<(), StreamError> {
        let found = match context.get_stream(&self.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.code() == 404 => self.create(&context).await?,
                _ => return Err(server(error)),
            },
        };
        self.check(&found)
    }

    async fn create(&self, context: &Context) -> Result<Config, StreamError> {
        let config = Config {
            name: self.name.clone(),
            description: Some("Events of Gaung's channels with a history, behind the nodes' memory".to_owned()),
            subjects: vec![self.subjects.clone()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_age: MAX_AGE,
            max_bytes: i64::try_from(self.max_bytes).unwrap_or(i64::MAX),
            duplicate_window: DUPLICATES,
            ..Config::default()
        };
        let stream = context.create_stream(config).await.map_err(server)?;
        Ok(stream.cached_info().config.clone())
    }

    fn check(&self, config: &Config) -> Result<(), StreamError> {
        let name = self.name.clone();
        if config.retention != RetentionPolicy::Limits {
            return Err(StreamError::Retention { name, found: config.retention });
        }
        if config.discard != DiscardPolicy::Old {
            return Err(StreamError::Discard { name });
        }
        if !config.subjects.iter().any(|pattern| covers(pattern, &self.subjects)) {
            return Err(StreamError::Subjects { name, missing: self.subjects.clone() });
        }
        Ok(())
    }
}

pub(super) fn server(error: impl std::fmt::Display) -> StreamError {
    StreamError::Server(error.to_string())
}
