//! Sessions: one actor for each WebSocket connection. A socket arrives in [`upgrade`], is read by `wire` and `reader` at
//! its `pace`, heard by `pusher_protocol` or `tenant_protocol`, and written to by its `outbox`. A client that hears its
//! session in an HTTP answer arrives in [`answer`], one over the HTTP transports of pusher-js in [`xhr`].

pub mod access;
mod actor;
pub mod admission;
pub mod answer;
mod connection;
pub mod handshake;
mod liveness;
pub mod origin;
pub mod pace;
pub mod page;
pub mod page_session;
mod pusher_protocol;
pub mod reader;
pub mod receipts;
pub mod refusal;
pub mod registry;
mod rights;
mod route;
pub mod services;
mod stream_protocol;
pub mod subscriptions;
mod tenant_protocol;
mod token;
pub mod upgrade;
pub mod waiting;
pub mod wire;
pub mod xhr;
