//! Creates the stream and its consumers where they are missing, and rejects a stream that is configured otherwise.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer, pull},
    context::GetStreamErrorKind,
    stream::{Config, RetentionPolicy, StorageType},
};

use super::slot::Slot;
use crate::{jetstream::covers, subject::Subjects};

/// The stream's `duplicate_window`: an id is stored once within it.
const REMEMBER: Duration = Duration::from_secs(120);

/// Events of a slot that may be in flight to endpoints. Beyond it the slot waits, with all apps in it: so it is far
/// more than an endpoint's own queue holds.
const MAX_TAKEN: i64 = 5_000;

/// How the stream and its consumers are to be configured.
#[derive(Debug, Clone)]
pub(super) struct StreamSpec {
    pub name: String,
    /// Used only where the stream is created.
    pub replicas: usize,
    pub subjects: Subjects,
    /// The consumers' `ack_wait`.
    pub ack_wait: Duration,
}

/// Why the stream cannot be used. An operator must act, unless only the connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueueError {
    /// Another retention than `WorkQueue`: it would deliver events twice or never delete them.
    #[error(
        "stream {name} has the retention {found:?}, but webhooks need WorkQueue; name another stream in \
        GAUNG_WEBHOOK_STREAM, or remove this one"
    )]
    Retention { name: String, found: RetentionPolicy },
    #[error(
        "the stream {name} does not store {missing}; add this subject to it, or name another stream in \
        GAUNG_WEBHOOK_STREAM"
    )]
    Subjects { name: String, missing: String },
    /// NATS did not answer, or rejected the request.
    #[error("{0}")]
    Server(String),
}

impl StreamSpec {
    /// Creates the stream if there is none, and rejects one that does not fit.
    pub(super) async fn stream(&self, context: &Context) -> Result<(), QueueError> {
        let config = match context.get_stream(&self.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.code() == 404 => self.create(context).await?,
                _ => return Err(QueueError::Server(error.to_string())),
            },
        };
        self.check(&config)
    }

    /// The slot's durable consumer, with which a node continues where another one stopped.
    pub(super) async fn consumer(&self, context: &Context, slot: Slot) -> Result<PullConsumer, QueueError> {
        let subject = self.subjects.webhooks(&slot.number().to_string());
        let config = pull::Config {
            durable_name: Some(subject.replace('.', "_")),
            filter_subject: subject,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_ack_pending: MAX_TAKEN,
            ..pull::Config::default()
        };
        let made = context.create_consumer_on_stream(config, self.name.as_str()).await;
        made.map_err(|error| QueueError::Server(error.to_string()))
    }

    async fn create(&self, context: &Context) -> Result<Config, QueueError> {
        let config = Config {
            name: self.name.clone(),
            description: Some("Webhooks of Gaung that are not posted yet".to_owned()),
            subjects: vec![self.subjects.webhooks("*")],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            num_replicas: self.replicas,
            duplicate_window: REMEMBER,
            ..Config::default()
        };
        match context.create_stream(config).await {
            Ok(stream) => Ok(stream.cached_info().config.clone()),
            Err(error) => Err(QueueError::Server(error.to_string())),
        }
    }

    fn check(&self, config: &Config) -> Result<(), QueueError> {
        let missing = self.subjects.webhooks("*");
        if config.retention != RetentionPolicy::WorkQueue {
            return Err(QueueError::Retention { name: self.name.clone(), found: config.retention });
        }
        if !config.subjects.iter().any(|pattern| covers(pattern, &missing)) {
            return Err(QueueError::Subjects { name: self.name.clone(), missing });
        }
        Ok(())
    }
}
