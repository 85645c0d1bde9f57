//! The Pusher protocol as values: names, frames, signatures, close reasons. Pure: no actor, no clock, no log.

pub mod channel;
pub mod close;
pub mod deflate;
mod escaped;
pub mod frame;
pub mod inbound;
mod key;
mod object;
pub mod outbound;
pub mod pattern;
pub mod position;
pub mod presence;
pub mod recovery;
mod resume_id;
mod secret;
pub mod signature;
pub mod socket_id;
pub mod webhook;
pub mod xhr;

pub use channel::{ChannelKind, ChannelName, InvalidChannelName};
pub use close::Close;
pub use key::AppKey;
pub use pattern::{ChannelPattern, InvalidPattern};
pub use position::{EventId, EventOrigin, Position};
pub use recovery::{Recovery, Since};
pub use resume_id::{InvalidResumeId, ResumeId};
pub use secret::Secret;
pub use socket_id::SocketId;
pub use webhook::{DebounceRule, WebhookDetail, WebhookEvent, WebhookKind};
