//! Signatures of the Pusher protocol (protocol.md §2): HMAC-SHA256 with the app's secret, in lower-case hex. Pure.

mod channel;
mod hex_hmac;
mod query;
mod request;

pub use channel::{AuthError, sign_channel, sign_user, verify_channel, verify_user};
pub use hex_hmac::hex_hmac;
pub use request::{RequestAuthError, SignedBody, SignedRequest, sign_request, verify_request};
