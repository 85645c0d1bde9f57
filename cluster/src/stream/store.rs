//! Puts one letter into the stream, however long that takes.

use std::time::Duration;

use async_nats::{
    connection::State,
    jetstream::{Context, context::PublishErrorKind, message::PublishMessage},
};
use tokio::time::sleep;

use super::{
    Letter,
    health::Health,
    setup::{Plan, Trouble},
};

/// The pause before a letter is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a lost connection is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a letter ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The stream keeps it, or had it already.
    Stored(Letter),
    /// It is larger than any message that the server takes.
    TooLarge(Letter),
}

/// Returns when the letter has found its end. Repeats carry its id, so that the stream stores it once.
pub(super) async fn store(context: Context, plan: Plan, health: Health, letter: Letter) -> Ending {
    let subject = plan.subjects.webhooks(&letter.slot.number().to_string());
    loop {
        connected(&context).await;
        if let Err(trouble) = check(&context, &plan, &health).await {
            health.failed(trouble);
            sleep(PAUSE).await;
            continue;
        }
        let message = PublishMessage::build().payload(letter.body.clone()).message_id(&letter.id);
        let sent = context.send_publish(subject.clone(), message.expected_stream(&plan.name)).await;
        let answer = match sent {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => {
                health.stored();
                return Ending::Stored(letter);
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => return Ending::TooLarge(letter),
            Err(error) => {
                health.failed(Trouble::Server(error.to_string()));
                sleep(PAUSE).await;
            }
        }
    }
}

/// Waits for a connection: what is published without one would pile up in the client, and be sent twice.
pub(super) async fn connected(context: &Context) {
    let client = context.client();
    while client.connection_state() != State::Connected {
        sleep(LOOK_EVERY).await;
    }
}

/// Looks at the stream before the first letter and after every failure: one that is another would lose letters.
async fn check(context: &Context, plan: &Plan, health: &Health) -> Result<(), Trouble> {
    if !health.is_well() {
        plan.stream(context).await?;
        health.worked();
    }
    Ok(())
}
