//! How a session wants to be spoken to, and every room message in each dialect. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::membership::JoinRefusal;
use crate::{
    event::EncodedEvent,
    outbox::closing::ClientProtocol,
    protocol::{ChannelName, Recovery, close::UNAUTHORIZED, outbound, recovery},
    tenant::{Problem, TenantId, outbound as tenant, stream},
};

/// The wire format of a session. Rooms encode each message once per dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialect {
    /// The Pusher protocol.
    Pusher,
    /// The Pusher protocol with the time of acceptance on each event, for `gaung subscribe`.
    Traced,
    /// Plain frames of one tenant.
    Tenant(TenantId),
    /// The same messages as server-sent events.
    Stream(TenantId),
}

/// What a room says to all its subscribers.
#[derive(Debug, Clone)]
pub enum Announcement {
    /// An event from a back end or a client.
    Event(EncodedEvent),
    /// A user's first socket joined: id and `user_info` as JSON text.
    MemberAdded(Arc<str>, Arc<str>),
    /// A user's last socket left.
    MemberRemoved(Arc<str>),
    /// How many are subscribed now.
    SubscriptionCount(usize),
}

/// A refusal as the subscriber hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub text: String,
    /// What the socket is sent.
    pub frames: Vec<Bytes>,
}

impl Announcement {
    /// About how many bytes its frame has.
    pub fn size(&self) -> usize {
        /// What is around a member or a count.
        const ROUND: usize = 150;
        match self {
            Self::Event(event) => event.frame.len(),
            Self::MemberAdded(id, info) => ROUND + id.len() + info.len(),
            Self::MemberRemoved(id) => ROUND + id.len(),
            Self::SubscriptionCount(_) => ROUND,
        }
    }
}

impl Dialect {
    /// The protocol in which its client is told why its session ends.
    pub fn client_protocol(&self) -> ClientProtocol {
        match self {
            Self::Pusher | Self::Traced => ClientProtocol::Pusher,
            Self::Tenant(_) => ClientProtocol::Tenant,
            Self::Stream(_) => ClientProtocol::Stream,
        }
    }

    /// The frame of an announcement; `None` where the dialect has no word for it.
    pub fn announcement(&self, channel: &ChannelName, announcement: &Announcement) -> Option<Bytes> {
        match (announcement, self) {
            (Announcement::Event(event), _) => self.event(event),
            (_, Self::Stream(tenant)) => {
                Self::Tenant(tenant.clone()).announcement(channel, announcement).as_ref().map(stream::message)
            }
            (Announcement::MemberAdded(id, info), Self::Pusher | Self::Traced) => {
                Some(outbound::member_added(channel, id, info))
            }
            (Announcement::MemberAdded(id, info), Self::Tenant(_)) => Some(tenant::member_added(channel, id, info)),
            (Announcement::MemberRemoved(id), Self::Pusher | Self::Traced) => {
                Some(outbound::member_removed(channel, id))
            }
            (Announcement::MemberRemoved(id), Self::Tenant(_)) => Some(tenant::member_removed(channel, id)),
            (Announcement::SubscriptionCount(count), Self::Pusher | Self::Traced) => {
                Some(outbound::subscription_count(channel, *count))
            }
            (Announcement::SubscriptionCount(_), Self::Tenant(_)) => None,
        }
    }

    /// The frame of an event, with its id if the channel keeps a history; `None` if another node sent one that says
    /// nothing.
    pub fn event(&self, event: &EncodedEvent) -> Option<Bytes> {
        if let Self::Stream(tenant) = self {
            let frame = Self::Tenant(tenant.clone()).event(event)?;
            let noted = event.id().map(|id| stream::event(&frame, &event.channel, id));
            return Some(noted.unwrap_or_else(|| stream::message(&frame)));
        }
        let frame = self.frame_of(event)?;
        Some(event.id().map_or_else(|| frame.clone(), |id| recovery::with_id(&frame, id)))
    }

    fn frame_of(&self, event: &EncodedEvent) -> Option<Bytes> {
        match self {
            Self::Pusher => Some(event.frame.clone()),
            Self::Traced => {
                let words = event.words()?;
                let (user_id, accepted_at) = (words.user_id.as_deref(), event.accepted_at);
                Some(outbound::traced_event(&words.name, &event.channel, &words.data, user_id, accepted_at))
            }
            Self::Tenant(tenant) | Self::Stream(tenant) => {
                let words = event.words()?;
                Some(tenant::event(&words.name, &event.channel, &words.data, tenant))
            }
        }
    }

    /// The answer to a subscription, with the members of a presence channel, and, where the channel keeps a history, how
    /// far a new subscriber has heard it. Who comes back hears that behind what it missed.
    pub fn subscribed(
        &self,
        channel: &ChannelName,
        members: Option<&[(&str, &str)]>,
        recovery: Option<&Recovery>,
    ) -> Vec<Bytes> {
        if let Self::Stream(tenant) = self {
            let frames = Self::Tenant(tenant.clone()).subscribed(channel, members, recovery);
            return streamed(&frames, channel, recovery);
        }
        let success = match (self, members) {
            (Self::Pusher | Self::Traced, None) => outbound::subscription_succeeded(channel),
            (Self::Pusher | Self::Traced, Some(members)) => outbound::presence_succeeded(channel, members),
            (Self::Tenant(_) | Self::Stream(_), _) => tenant::subscribed(channel, recovery),
        };
        let success = match recovery {
            Some(Recovery::New(position)) if !position.is_empty() => recovery::with_id(&success, position),
            Some(Recovery::New(_) | Recovery::Whole { .. } | Recovery::Partial(_)) | None => success,
        };
        let presence = match (self, members) {
            (Self::Tenant(_) | Self::Stream(_), Some(members)) => Some(tenant::presence(channel, members)),
            (Self::Tenant(_) | Self::Stream(_), None) | (Self::Pusher | Self::Traced, _) => None,
        };
        [success].into_iter().chain(presence).collect()
    }

    /// What a subscriber that came back hears behind what it missed. Plain clients were told with the success; a stream
    /// learns how far it has heard the channel then, which may leave out nodes that are gone.
    pub fn resumed(&self, channel: &ChannelName, recovery: &Recovery) -> Option<Bytes> {
        match (self, recovery) {
            (Self::Pusher | Self::Traced, _) => recovery::resumed(channel, recovery),
            (Self::Stream(_), Recovery::Whole { position, .. }) => Some(stream::position(channel, position)),
            (Self::Stream(_), Recovery::New(_) | Recovery::Partial(_)) | (Self::Tenant(_), _) => None,
        }
    }

    /// What a subscriber of an empty cache channel hears.
    pub fn cache_miss(&self, channel: &ChannelName) -> Option<Bytes> {
        match self {
            Self::Pusher | Self::Traced => Some(outbound::cache_miss(channel)),
            Self::Tenant(_) | Self::Stream(_) => None,
        }
    }

    /// Why a presence channel did not take the subscriber.
    pub fn join_refused(&self, channel: &ChannelName, refusal: &JoinRefusal, limit: usize) -> Denial {
        match self {
            Self::Pusher | Self::Traced => pusher_refusal(channel, refusal, limit),
            Self::Stream(tenant) => {
                let denial = Self::Tenant(tenant.clone()).join_refused(channel, refusal, limit);
                Denial { frames: denial.frames.iter().map(stream::message).collect(), ..denial }
            }
            Self::Tenant(_) => {
                let problem = match refusal {
                    JoinRefusal::Full => Problem::RoomFull { limit },
                    JoinRefusal::OtherUser => Problem::OtherUser,
                    JoinRefusal::LimitReached(reached) => Problem::LimitReached(reached.to_string()),
                };
                let text = problem.to_string();
                let frames = vec![tenant::error(problem.code(), &text, Some(channel.as_str()))];
                Denial { text, frames }
            }
        }
    }
}

/// The answer to a subscription as server-sent events. Who comes back whole has heard the channel as far as before, until it
/// is sent what it missed.
fn streamed(frames: &[Bytes], channel: &ChannelName, recovery: Option<&Recovery>) -> Vec<Bytes> {
    let position = match recovery {
        Some(Recovery::New(position) | Recovery::Partial(position)) => Some(position),
        Some(Recovery::Whole { .. }) | None => None,
    };
    let success = |frame| position.map_or_else(|| stream::message(frame), |at| stream::message_at(frame, channel, at));
    let mut frames = frames.iter();
    frames.next().map(success).into_iter().chain(frames.map(stream::message)).collect()
}

fn pusher_refusal(channel: &ChannelName, refusal: &JoinRefusal, limit: usize) -> Denial {
    let (kind, status, code, text) = match refusal {
        JoinRefusal::Full => (
            "LimitReached",
            4100,
            None,
            format!("the channel has {limit} members, the limit is {limit} (app setting max_presence_members)"),
        ),
        JoinRefusal::LimitReached(reached) => ("LimitReached", 4100, None, reached.to_string()),
        JoinRefusal::OtherUser => (
            "AuthError",
            401,
            Some(UNAUTHORIZED),
            "this connection is subscribed to the channel as another user".to_owned(),
        ),
    };
    let frames = vec![
        outbound::subscription_error(channel.as_str(), kind, &text, status),
        outbound::error(code, &text, Some(channel.as_str())),
    ];
    Denial { text, frames }
}
