//! Sessions: one actor for each WebSocket connection. A socket arrives in [`upgrade`], is read by `wire` and `reader` at
//! its `pace`, heard by `pusher_speech` or `tenant_speech`, and written to by its `outbox`.

pub mod access;
mod actor;
pub mod handshake;
mod liveness;
pub mod origin;
pub mod pace;
mod place;
mod pusher_speech;
pub mod reader;
pub mod roster;
pub mod services;
pub mod subscriptions;
mod tenant_speech;
pub mod upgrade;
pub mod wire;
