//! An event on its way to a room, encoded once. Pure.

use std::time::{Duration, Instant};

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

/// One event for one channel, with its frame for Pusher sockets.
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
    /// The ready WebSocket frame.
    pub frame: Bytes,
    /// When the server took it, for latency figures.
    pub accepted: Instant,
    /// The same moment on the wall clock, as time since the Unix epoch.
    pub accepted_at: Duration,
}

impl Event {
    /// An event from the trigger API.
    pub fn from_back_end(
        channel: ChannelName,
        name: String,
        data: String,
        except: Option<SocketId>,
        (accepted, accepted_at): (Instant, Duration),
    ) -> Self {
        let frame = outbound::event(&name, &channel, &data, None);
        Self { channel, name, data, except, origin: Origin::BackEnd, frame, accepted, accepted_at }
    }
}
