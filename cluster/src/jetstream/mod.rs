//! What all streams of this crate have in common.

mod health;

use std::time::Duration;

use async_nats::{connection::State, jetstream::Context};
use tokio::time::sleep;

pub(crate) use health::{Health, HealthTexts};

/// How long to wait for an answer of JetStream.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to check for a connection while there is none.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a connection: what is published without one would pile up in the client and be sent twice.
pub(crate) async fn connected(context: &Context) {
    let client = context.client();
    while client.connection_state() != State::Connected {
        sleep(CHECK_INTERVAL).await;
    }
}

/// Whether a subject pattern matches everything that another one matches.
pub(crate) fn covers(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut tokens) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), tokens.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
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
