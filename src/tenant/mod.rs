//! The plain dialect of `/ws` and `/sse` for clients without a Pusher library, as values: who asks, what a token grants,
//! frames in, frames out. Pure: no actor, no clock, no log.

pub mod algorithm;
pub mod channels;
pub mod grant;
pub mod heard;
pub mod id;
pub mod inbound;
pub mod issued;
pub mod key_set;
pub mod outbound;
pub mod problem;
pub mod public_key;
pub mod request;
pub mod stream;
pub mod stream_request;
pub mod term;
pub mod token;

pub use algorithm::{TokenAlgorithm, TokenAlgorithms};
pub use channels::TenantChannels;
pub use grant::Grant;
pub use heard::Heard;
pub use id::{InvalidTenantId, TenantId};
pub use inbound::{Malformed, TenantMessage};
pub use issued::TokenRules;
pub use key_set::{InvalidKeySet, KeySet};
pub use problem::Problem;
pub use public_key::{PublicKey, UnusableKey};
pub use request::{InvalidRequest, TenantRequest};
pub use stream_request::{InvalidStream, StreamLimits, StreamRequest};
pub use term::{Deadline, Due, Term};
pub use token::{AccessToken, ClaimNames, TokenError};
