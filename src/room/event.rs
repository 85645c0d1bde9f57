//! An event on its way to a room. It is encoded once, and only if somebody may hear it. Pure but for [`now`].

use std::{
    ops::Deref,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;

use crate::protocol::{ChannelName, SocketId, outbound};

/// Who published an event; only back ends' events are cached (protocol.md §1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Posted to the trigger API.
    BackEnd,
    /// A client event.
    Client,
}

/// One event for one channel.
#[derive(Debug, Clone)]
pub struct Event {
    /// Where it goes.
    pub channel: ChannelName,
    /// `product.updated`, `App\Events\Shipped`, `client-typing`.
    pub name: String,
    /// The payload as the publisher sent it, byte for byte.
    pub data: String,
    /// The socket that does not receive it.
    pub except: Option<SocketId>,
    /// Who published it.
    pub origin: Origin,
    /// The sender's user, on client events in presence channels.
    pub user_id: Option<String>,
    /// When the server took it, for latency figures.
    pub accepted: Instant,
    /// The same moment on the wall clock, as time since the Unix epoch.
    pub accepted_at: Duration,
}

/// A moment on both clocks.
pub type Moment = (Instant, Duration);

/// Now, on both clocks. Not for pure code: callers pass the moment in.
pub fn now() -> Moment {
    (Instant::now(), SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

impl Event {
    /// An event from the trigger API.
    pub fn from_back_end(
        channel: ChannelName,
        name: String,
        data: String,
        except: Option<SocketId>,
        (accepted, accepted_at): Moment,
    ) -> Self {
        Self { channel, name, data, except, origin: Origin::BackEnd, user_id: None, accepted, accepted_at }
    }

    /// An event that `sender` published; its own socket does not receive it.
    pub fn from_client(
        channel: ChannelName,
        name: String,
        data: String,
        (sender, user_id): (SocketId, Option<String>),
        (accepted, accepted_at): Moment,
    ) -> Self {
        Self { channel, name, data, except: Some(sender), origin: Origin::Client, user_id, accepted, accepted_at }
    }

    /// Encodes the event for Pusher sockets.
    pub fn encode(self) -> EncodedEvent {
        let frame = outbound::event(&self.name, &self.channel, &self.data, self.user_id.as_deref());
        EncodedEvent { event: self, frame }
    }
}

/// An event with its ready WebSocket frame for Pusher sockets.
#[derive(Debug, Clone)]
pub struct EncodedEvent {
    event: Event,
    /// The frame.
    pub frame: Bytes,
}

impl Deref for EncodedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}
