//! The trigger API: what back ends ask of the node over HTTP (protocol.md §3), and the health probes.
//!
//! A request travels [`routes`] → [`signed`] (app, body, signature, limits) → the file of its resource → [`answer`],
//! or [`error`] from anywhere. Knows nothing of sockets but that [`Rooms`](crate::room::Rooms) reach them.

pub mod answer;
mod api;
mod asking;
pub mod attributes;
pub mod body;
pub mod channels;
pub mod connections;
pub mod cors;
pub mod error;
mod history;
pub mod invalid_body;
pub mod invalid_event;
pub mod probes;
pub mod publication;
pub mod routes;
pub mod server_span;
pub mod signed;
mod stream;
pub mod tokens;
pub mod traceparent;
pub mod trigger;
mod xhr;

pub use api::Api;
pub use routes::{address_full, app};
