//! What a shard does with a message for a room that is not there. Pure.

use super::{Subscriber, messages::RoomMessage, state::Reach};
use crate::{
    event::{EncodedEvent, Origin},
    page::PageVisit,
};

/// What becomes of the message.
#[derive(Debug)]
pub enum Route<'a> {
    /// A room begins, and takes it.
    Open,
    /// The event goes to the other nodes only. The cluster keeps it, and a room that opens for a later subscriber learns
    /// it from there.
    Share,
    /// The sender of a client event is told that it is not subscribed.
    Refuse(&'a Subscriber),
    /// Nobody here hears the event.
    Unheard(&'a EncodedEvent),
    /// Nothing is known here of how far a page has heard the channel.
    Parted(&'a PageVisit),
    /// It concerns a room that is gone.
    Drop,
}

/// What becomes of a message for a room that is not there.
pub fn route(message: &RoomMessage, reach: Reach) -> Route<'_> {
    match message {
        RoomMessage::Join(_) => Route::Open,
        RoomMessage::Publish(event, ..) if !is_kept(event) => Route::Unheard(event),
        RoomMessage::Publish(..) => match reach {
            Reach::Cluster => Route::Share,
            Reach::Alone => Route::Open,
        },
        RoomMessage::ClientEvent(client_event, _) => Route::Refuse(&client_event.sender),
        RoomMessage::Part(parting) => Route::Parted(&parting.visit),
        RoomMessage::Leave(_) | RoomMessage::FromPeers(_) | RoomMessage::StopAwaiting => Route::Drop,
    }
}

/// Whether an event is to be kept for later subscribers.
fn is_kept(event: &EncodedEvent) -> bool {
    event.channel.kind().is_cached() && event.origin == Origin::BackEnd
}
