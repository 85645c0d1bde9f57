//! Stores one event in the stream, with retries for as long as it takes.

use std::time::Duration;

use async_nats::jetstream::{Context, context::PublishErrorKind, message::PublishMessage};
use tokio::time::sleep;

use super::{
    event::QueuedEvent,
    setup::{QueueError, StreamSpec},
    status::Gauges,
};
use crate::jetstream::connected;

/// The pause before a retry.
const PAUSE: Duration = Duration::from_secs(1);

/// The outcome for one event.
#[derive(Debug)]
pub(super) enum StoreOutcome {
    /// The stream has it, perhaps from an earlier attempt.
    Stored(QueuedEvent),
    /// It exceeds the server's `max_payload`.
    TooLarge(QueuedEvent),
}

/// Retries until there is an outcome. Retries carry the event's id, so that the stream stores it once.
pub(super) async fn store(context: Context, spec: StreamSpec, gauges: Gauges, event: QueuedEvent) -> StoreOutcome {
    let subject = spec.subjects.webhooks(&event.slot.number().to_string());
    loop {
        connected(&context).await;
        if let Err(error) = check(&context, &spec, &gauges).await {
            gauges.health.failed(&error);
            sleep(PAUSE).await;
            continue;
        }
        let message = PublishMessage::build().payload(event.body.clone()).message_id(&event.id);
        let sent = context.send_publish(subject.clone(), message.expected_stream(&spec.name)).await;
        let answer = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => {
                gauges.stored();
                return StoreOutcome::Stored(event);
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => return StoreOutcome::TooLarge(event),
            Err(error) => {
                gauges.health.failed(&error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Checks the stream before the first event and after every failure: a misconfigured stream would lose events.
async fn check(context: &Context, spec: &StreamSpec, gauges: &Gauges) -> Result<(), QueueError> {
    if !gauges.health.is_healthy() {
        spec.stream(context).await?;
        gauges.health.worked();
    }
    Ok(())
}
