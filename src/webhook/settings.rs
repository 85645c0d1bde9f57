//! What the webhooks of a node are given: how long things take, and what they may use.

use std::time::Duration;

use crate::outgoing::Trust;

/// How long things take. The defaults are the protocol's; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a vacated channel or a removed member may come back before an event is posted (3 s).
    pub debounce: Duration,
    /// How long a batch collects events (50 ms).
    pub batch: Duration,
    /// The pause after the first failed attempt; it doubles with each further one (1 s).
    pub first_retry: Duration,
    /// The longest pause (60 s).
    pub longest_retry: Duration,
    /// The age at which a post that failed is dropped (5 min).
    pub give_up: Duration,
    /// How long one attempt may take, connection and answer together (10 s).
    pub request_timeout: Duration,
    /// How long further cache misses of a channel are not posted (5 s).
    pub cache_miss_pause: Duration,
    /// How often idle endpoints are let go and refused events are logged (10 s).
    pub sweep: Duration,
}

/// What the webhooks of a node may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// How much memory what waits may take.
    pub max_bytes: usize,
    /// Whose certificates endpoints may have.
    pub trust: Trust,
}

impl Resources {
    /// So much memory, and endpoints with certificates of public authorities.
    pub fn of_bytes(max_bytes: usize) -> Self {
        Self { max_bytes, trust: Trust::default() }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            debounce: Duration::from_secs(3),
            batch: Duration::from_millis(50),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(60),
            give_up: Duration::from_secs(300),
            request_timeout: Duration::from_secs(10),
            cache_miss_pause: Duration::from_secs(5),
            sweep: Duration::from_secs(10),
        }
    }
}
