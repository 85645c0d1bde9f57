//! The state of the bus, for readiness, metrics and operators. Written by the bus thread and the client's callbacks,
//! read from any thread.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::codec::{ENVELOPE, MAX_FRAME};

/// The state of the bus at one moment. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Whether a server is connected and our own heartbeats come back.
    pub connected: bool,
    /// Connections after the first.
    pub reconnects: u64,
    /// Messages that the client dropped because the bus thread was too slow to read them; they are asked for again.
    pub slow_consumers: u64,
    /// Frames that the client rejected, because its queue was full or the server's limit too small; numbered ones are
    /// asked for again.
    pub dropped: u64,
    /// Events between those who publish and the bus thread now.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Bytes of the frames that the client has and has not written.
    pub unwritten: usize,
    /// Events that were refused because that queue was full.
    pub refused: u64,
    /// Commands other than events that the bus thread has not executed yet.
    pub waiting: usize,
    /// The largest payload of an event, in bytes, given the server's limit.
    pub max_payload: usize,
    /// The last error, without secrets; `None` while healthy.
    pub last_error: Option<String>,
}

/// The same, while it is written.
#[derive(Debug)]
pub(super) struct Gauges {
    pub connected: AtomicBool,
    pub connections: AtomicU64,
    pub slow_consumers: AtomicU64,
    pub dropped: AtomicU64,
    pub queued: AtomicUsize,
    pub queued_bytes: AtomicUsize,
    pub unwritten: AtomicUsize,
    pub refused: AtomicU64,
    pub waiting: AtomicUsize,
    max_payload: AtomicUsize,
    last_error: Mutex<Option<String>>,
}

impl Gauges {
    pub(super) fn new() -> Self {
        Self {
            connected: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            slow_consumers: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            unwritten: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            max_payload: AtomicUsize::new(payload_of(MAX_FRAME)),
            last_error: Mutex::new(None),
        }
    }

    /// Notes the server's `max_payload`.
    pub(super) fn limit(&self, max_message: usize) {
        self.max_payload.store(payload_of(max_message), Relaxed);
    }

    pub(super) fn set_error(&self, error: Option<String>) {
        *self.error() = error;
    }

    pub(super) fn max_payload(&self) -> usize {
        self.max_payload.load(Relaxed)
    }

    pub(super) fn status(&self) -> Status {
        Status {
            connected: self.connected.load(Relaxed),
            reconnects: self.connections.load(Relaxed).saturating_sub(1),
            slow_consumers: self.slow_consumers.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            queued: self.queued.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
            unwritten: self.unwritten.load(Relaxed),
            refused: self.refused.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            max_payload: self.max_payload(),
            last_error: self.error().clone(),
        }
    }

    fn error(&self) -> MutexGuard<'_, Option<String>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn payload_of(max_message: usize) -> usize {
    max_message.min(MAX_FRAME).saturating_sub(ENVELOPE)
}
