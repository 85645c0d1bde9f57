//! The plain dialect of `/ws` and `/sse` for clients without a Pusher library, as values: who asks, what a token grants,
//! frames in, frames out. Pure: no actor, no clock, no log.

pub mod channels;
pub mod grant;
pub mod heard;
pub mod id;
pub mod inbound;
pub mod outbound;
pub mod problem;
pub mod request;
pub mod stream;
pub mod stream_request;
pub mod token;

pub use channels::TenantChannels;
pub use grant::Grant;
pub use heard::Heard;
pub use id::{InvalidTenantId, TenantId};
pub use inbound::{Malformed, TenantMessage};
pub use problem::Problem;
pub use request::{InvalidRequest, TenantRequest};
pub use stream_request::{InvalidStream, StreamLimits, StreamRequest};
pub use token::{AccessToken, TokenError};
