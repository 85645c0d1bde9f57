//! Creates the stream where it is missing, and rejects one that does not fit.

use async_nats::jetstream::{
    Context,
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
};

use crate::{jetstream::covers, subject::Subjects};

/// How the stream is to be configured.
#[derive(Debug, Clone)]
pub(super) struct StreamSpec {
    pub subjects: Subjects,
    /// Used only where the stream is created.
    pub replicas: usize,
}

/// Why the records cannot be followed. An operator must act, unless only the connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// It would forget records by itself, or keep old ones.
    #[error(
        "the stream {name} does not keep exactly one record for each app for ever; its retention must be Limits, with one \
         message per subject and no other limit"
    )]
    Limits { name: String },
    #[error("the stream {name} does not store {missing}; add this subject to it, or remove it")]
    Subjects { name: String, missing: String },
    /// NATS did not answer, or rejected the request.
    #[error("{0}")]
    Server(String),
}

impl StreamSpec {
    /// The stream as it must be.
    pub(super) async fn prepare(&self, context: &Context) -> Result<Stream, RecordError> {
        let name = self.subjects.records_stream();
        let stream = match context.get_stream(&name).await {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.code() == 404 => self.create(context).await?,
                _ => return Err(server(error)),
            },
        };
        self.check(&stream.cached_info().config)?;
        Ok(stream)
    }

    async fn create(&self, context: &Context) -> Result<Stream, RecordError> {
        let config = Config {
            name: self.subjects.records_stream(),
            description: Some("Apps of Gaung, sealed".to_owned()),
            subjects: vec![self.subjects.record("*")],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_messages_per_subject: 1,
            ..Config::default()
        };
        context.create_stream(config).await.map_err(server)
    }

    fn check(&self, config: &Config) -> Result<(), RecordError> {
        let (name, missing) = (config.name.clone(), self.subjects.record("*"));
        let is_limited = config.max_messages > 0 || config.max_bytes > 0 || !config.max_age.is_zero();
        if config.retention != RetentionPolicy::Limits || config.max_messages_per_subject != 1 || is_limited {
            return Err(RecordError::Limits { name });
        }
        if !config.subjects.iter().any(|pattern| covers(pattern, &missing)) {
            return Err(RecordError::Subjects { name, missing });
        }
        Ok(())
    }
}

pub(super) fn server(error: impl std::fmt::Display) -> RecordError {
    RecordError::Server(error.to_string())
}
