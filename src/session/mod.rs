//! Sessions: one actor for each WebSocket connection. A socket arrives in [`upgrade`], is read by `wire` and `reader`,
//! heard by `pusher` or `tenant`, and written to by its `outbox`.

pub mod access;
mod actor;
pub mod address;
mod liveness;
mod origin;
pub mod outbox;
mod pusher;
mod reader;
pub mod roster;
pub mod services;
mod tenant;
pub mod upgrade;
mod wire;

pub use outbox::Outbox;
