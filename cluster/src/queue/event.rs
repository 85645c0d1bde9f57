//! Events on their way into the stream and out of it.

use bytes::Bytes;

use super::slot::Slot;
use crate::ack::Ack;

/// An event to be stored in the stream.
#[derive(Debug)]
pub struct QueuedEvent {
    /// The [`Slot::of`] its channel.
    pub slot: Slot,
    /// The stream stores an id once within two minutes.
    pub id: String,
    /// What [`PulledEvent::body`] brings back, on this node or another.
    pub body: Bytes,
    /// Confirmed once the stream has stored the event, or once the event was dropped for good. Dropped at
    /// [`super::Queue::close`].
    pub ack: Ack,
}

/// An event from the stream, which is to be posted here.
#[derive(Debug)]
pub struct PulledEvent {
    /// What a node pushed. To be parsed like any outside input.
    pub body: Bytes,
    /// To be confirmed once it was posted. Revoked when another node is to post it instead.
    pub ack: Ack,
}

/// What the queue hands to the node.
#[derive(Debug)]
pub enum QueueOutput {
    /// An event is to be posted here.
    Delivered(PulledEvent),
    /// So many events were dropped: the stream accepted nothing for too long, or they were larger than it accepts.
    Dropped(usize),
}
