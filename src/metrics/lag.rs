//! How long the steps of an actor thread keep others waiting, sampled: a timer on the thread that is late was kept from
//! running by somebody.

use std::time::Duration;

use prometheus::Histogram;
use tokio::time::{Instant, sleep_until};

use super::Metrics;

/// The distance of the looks. Whatever holds a thread for longer is seen; a look costs some microseconds.
const EVERY: Duration = Duration::from_millis(25);

/// A thread on which actors live.
#[derive(Debug, Clone, Copy)]
pub enum ActorThread {
    /// Sessions and the API.
    Http,
    Rooms,
    /// The dispatcher of webhooks and its endpoints.
    Webhooks,
}

impl ActorThread {
    pub const ALL: [Self; 3] = [Self::Http, Self::Rooms, Self::Webhooks];

    /// As the metric names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rooms => "rooms",
            Self::Webhooks => "webhooks",
        }
    }
}

/// Watches the thread on which it is spawned, for ever.
pub async fn watch(metrics: Metrics, thread: ActorThread) {
    let lag = metrics.thread_lag.with_label_values(&[thread.label()]);
    loop {
        look(&lag).await;
    }
}

async fn look(lag: &Histogram) {
    let due = Instant::now() + EVERY;
    sleep_until(due).await;
    lag.observe(due.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[actix_web::test]
    async fn a_step_that_holds_the_thread_is_seen() {
        let metrics = Metrics::new();
        let lag = metrics.thread_lag.with_label_values(&["rooms"]);
        let holds = async { thread::sleep(EVERY * 3) };
        tokio::join!(look(&lag), holds);
        assert_eq!(lag.get_sample_count(), 1);
        assert!(lag.get_sample_sum() >= (EVERY * 2).as_secs_f64(), "{}", lag.get_sample_sum());
    }
}
