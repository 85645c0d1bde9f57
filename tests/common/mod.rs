//! What several test binaries share.
#![allow(dead_code, reason = "each of them uses a part")]

pub mod answer;
pub mod client;
pub mod event_stream;
pub mod otlp;
pub mod process;
pub mod request;
pub mod signer;
pub mod xhr;
