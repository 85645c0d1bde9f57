//! An event on its way to a room. It is encoded once, and only if somebody may hear it. Pure but for [`now`].

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use gaung_cluster::{NodeId, TraceContext};
use serde::Deserialize;

use crate::{
    event::wire::Payload,
    protocol::{ChannelName, EventId, SocketId, frame, outbound},
};

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
    pub channel: ChannelName,
    /// What it says, shared by all channels of one request.
    pub words: Arc<Words>,
    /// The socket that does not receive it.
    pub except: Option<SocketId>,
    pub origin: Origin,
    /// When the server took it, for latency figures.
    pub accepted: Instant,
    /// The same moment on the wall clock, as time since the Unix epoch.
    pub accepted_at: Duration,
    /// The request that it comes of, for the log.
    pub trace: Option<TraceContext>,
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
        words: Arc<Words>,
        except: Option<SocketId>,
        (accepted, accepted_at): Moment,
    ) -> Self {
        Self { channel, words, except, origin: Origin::BackEnd, accepted, accepted_at, trace: None }
    }

    /// An event that `sender` published; its own socket does not receive it.
    pub fn from_client(
        channel: ChannelName,
        name: String,
        data: String,
        (sender, user_id): (SocketId, Option<String>),
        (accepted, accepted_at): Moment,
    ) -> Self {
        let words = Arc::new(Words { name, data, user_id });
        Self { channel, words, except: Some(sender), origin: Origin::Client, accepted, accepted_at, trace: None }
    }

    /// The bytes of the frame that [`encode`](Self::encode) makes.
    pub fn frame_bytes(&self) -> usize {
        outbound::event_bytes(&self.words.name, &self.channel, &self.words.data, self.words.user_id.as_deref())
    }

    /// Encodes the event for Pusher sockets.
    pub fn encode(self) -> EncodedEvent {
        let Self { channel, words, except, origin, accepted, accepted_at, trace } = self;
        let frame = outbound::event(&words.name, &channel, &words.data, words.user_id.as_deref());
        EncodedEvent {
            channel,
            except,
            origin,
            accepted,
            accepted_at,
            trace,
            sample: None,
            frame,
            numbered: None,
            words: Some(words),
        }
    }
}

/// An event with its ready WebSocket frame for Pusher sockets.
#[derive(Debug, Clone)]
pub struct EncodedEvent {
    pub channel: ChannelName,
    /// The socket that does not receive it.
    pub except: Option<SocketId>,
    pub origin: Origin,
    /// When this node took it, for latency figures.
    pub accepted: Instant,
    /// When the node that published it took it, as time since the Unix epoch.
    pub accepted_at: Duration,
    /// The request that it comes of, for the log.
    pub trace: Option<TraceContext>,
    /// The acknowledgement that its publisher wants once the sockets of this node have it, if it wants one.
    pub sample: Option<Sample>,
    /// The frame, without the event's id.
    pub frame: Bytes,
    /// Its place among the events of a channel that keeps a history.
    pub numbered: Option<Numbered>,
    words: Option<Arc<Words>>,
}

/// An event of another node, whose way that node measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub node: NodeId,
    /// The number of the event there.
    pub number: u64,
}

/// The place of an event on its channel, the same on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// Its name.
    pub id: EventId,
    /// The number before it of the same origin on the channel; `None` if the origin does not say.
    pub predecessor: Option<u64>,
}

/// What an event says, for dialects that say it differently.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Words {
    /// `product.updated`, `App\Events\Shipped`, `client-typing`.
    #[serde(rename = "event")]
    pub name: String,
    /// The payload as the publisher sent it.
    pub data: String,
    /// The sender's user, on client events in presence channels.
    pub user_id: Option<String>,
}

impl Words {
    /// What a back end's event says.
    pub fn new(name: impl Into<String>, data: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), data: data.into(), user_id: None })
    }
}

impl EncodedEvent {
    /// The bytes of its frame and of what it says.
    pub fn bytes(&self) -> usize {
        let words = self.words.as_ref().map_or(0, |words| words.name.len() + words.data.len());
        self.frame.len() + words
    }

    /// An event that came from another node, ready as it is.
    pub fn from_peer(channel: ChannelName, payload: Payload, trace: Option<TraceContext>, accepted: Instant) -> Self {
        let Payload { origin, accepted_at, except, frame } = payload;
        Self { channel, except, origin, accepted, accepted_at, trace, sample: None, frame, numbered: None, words: None }
    }

    /// The name that clients are told; clients' events have none, because they are not kept.
    pub fn id(&self) -> Option<EventId> {
        self.numbered.filter(|_| self.origin == Origin::BackEnd).map(|numbered| numbered.id)
    }

    /// Whether another node took it.
    pub fn is_from_peer(&self) -> bool {
        self.words.is_none()
    }

    /// It is an event of this node that came back through the bus: what it says is read, and when it was accepted.
    pub fn come_back(&mut self, now: Moment) {
        self.words = self.words();
        let age = now.1.saturating_sub(self.accepted_at);
        self.accepted = now.0.checked_sub(age).unwrap_or(now.0);
    }

    /// What it says. Another node's event is read out of its frame, only where somebody needs it; `None` if the frame
    /// holds no event.
    pub fn words(&self) -> Option<Arc<Words>> {
        match &self.words {
            Some(words) => Some(words.clone()),
            None => serde_json::from_str(frame::text_of(&self.frame)?).ok().map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_is_read_back_from_its_frame() {
        let channel = ChannelName::parse("presence-a", 200).unwrap();
        let (name, data) = ("client-\"é\\".to_owned(), "{\"n\":\"\\u00e9\"}".to_owned());
        let sender = (SocketId::from_bits(1), Some("7".to_owned()));
        let sent = Event::from_client(channel.clone(), name, data, sender, now()).encode();
        let payload =
            Payload { origin: sent.origin, accepted_at: sent.accepted_at, except: None, frame: sent.frame.clone() };
        let heard = EncodedEvent::from_peer(channel, payload, None, sent.accepted);
        assert_eq!(heard.words(), sent.words());
        assert!(heard.words().is_some());
    }
}
