//! The stream and its consumers as they must be: made where they are missing, refused where they are others.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer, pull},
    context::GetStreamErrorKind,
    stream::{Config, RetentionPolicy, StorageType},
};

use super::slot::Slot;
use crate::subject::Subjects;

/// How long the stream remembers ids, so that a repeat within it is stored once.
const REMEMBER: Duration = Duration::from_secs(120);

/// Events of a slot that may be at endpoints at the same time. Beyond it the slot waits, all apps in it: so it is far
/// more than what an endpoint's own queue takes.
const MAX_TAKEN: i64 = 5_000;

/// What the stream is called, and what goes into it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub name: String,
    /// How many servers keep it, where it is made.
    pub replicas: usize,
    pub subjects: Subjects,
    /// How long the stream waits for a word about a message before it gives it to another node.
    pub silence: Duration,
}

/// Why the stream cannot be used. An operator must act, unless it is the way there that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another retention than the work queue's: it would deliver events twice or never forget them.
    Retention { name: String, found: RetentionPolicy },
    /// It does not store what we publish.
    Subjects { name: String, missing: String },
    /// NATS did not answer, or refused.
    Server(String),
}

impl Plan {
    /// Makes the stream if there is none, and refuses one that cannot serve.
    pub async fn stream(&self, context: &Context) -> Result<(), Trouble> {
        let config = match context.get_stream(&self.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.code() == 404 => self.create(context).await?,
                _ => return Err(Trouble::Server(error.to_string())),
            },
        };
        self.check(&config)
    }

    /// The slot's consumer, with which any node goes on where another one stopped.
    pub async fn consumer(&self, context: &Context, slot: Slot) -> Result<PullConsumer, Trouble> {
        let subject = self.subjects.webhooks(&slot.number().to_string());
        let config = pull::Config {
            durable_name: Some(subject.replace('.', "_")),
            filter_subject: subject,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.silence,
            max_ack_pending: MAX_TAKEN,
            ..pull::Config::default()
        };
        let made = context.create_consumer_on_stream(config, self.name.as_str()).await;
        made.map_err(|error| Trouble::Server(error.to_string()))
    }

    async fn create(&self, context: &Context) -> Result<Config, Trouble> {
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
            Err(error) => Err(Trouble::Server(error.to_string())),
        }
    }

    fn check(&self, config: &Config) -> Result<(), Trouble> {
        let missing = self.subjects.webhooks("*");
        if config.retention != RetentionPolicy::WorkQueue {
            return Err(Trouble::Retention { name: self.name.clone(), found: config.retention });
        }
        if !config.subjects.iter().any(|pattern| covers(pattern, &missing)) {
            return Err(Trouble::Subjects { name: self.name.clone(), missing });
        }
        Ok(())
    }
}

/// Whether a stream's subject takes in all of another one.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retention { name, found } => write!(
                f,
                "the stream {name} has the retention {found:?}, but webhooks need a work queue; name another stream in \
                 GAUNG_WEBHOOK_STREAM, or remove this one"
            ),
            Self::Subjects { name, missing } => write!(
                f,
                "the stream {name} does not store {missing}; add this subject to it, or name another stream in \
                 GAUNG_WEBHOOK_STREAM"
            ),
            Self::Server(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_stream_may_take_in_more_than_is_needed() {
        for pattern in ["gaung.v1.main.webhooks.*", "gaung.v1.main.webhooks.>", "gaung.v1.*.webhooks.*", "gaung.>", ">"]
        {
            assert!(covers(pattern, "gaung.v1.main.webhooks.*"), "{pattern}");
        }
    }

    #[test]
    fn a_stream_of_another_cluster_or_of_some_slots_is_not_enough() {
        for pattern in ["gaung.v1.other.webhooks.*", "gaung.v1.main.webhooks.3", "gaung.v1.main.webhooks", "*", ""] {
            assert!(!covers(pattern, "gaung.v1.main.webhooks.*"), "{pattern}");
        }
    }
}
