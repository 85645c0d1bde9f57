//! Sessions: one actor for each WebSocket connection.

pub mod outbox;
mod reader;
mod wire;

pub use outbox::Outbox;
