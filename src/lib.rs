//! Gaung: a clustered WebSocket server that speaks the Pusher protocol. This page is the map.

/// The admin port: health, metrics, console.
pub mod admin;
/// Apps: credentials, limits, counters, and where they come from.
pub mod app;
/// `gaung bench`: speed and memory of one node, beside the least that they could be.
pub mod bench;
/// `GAUNG_*` variables, read and checked at the start.
pub mod config;
/// The trigger API and the health probes.
pub mod http;
/// Counters and histograms, and the table of all metrics.
pub mod metrics;
/// A running node: everything wired together.
pub mod node;
/// The Pusher protocol as values.
pub mod protocol;
/// Whether the node wants new sockets.
pub mod readiness;
/// Rooms: who is subscribed to a channel, and the fan-out to them.
pub mod room;
/// Sessions: one actor per WebSocket connection.
pub mod session;
/// The plain `/ws` dialect as values.
pub mod tenant;
/// Certificates of the public listener.
pub mod tls;
/// Edges of channels and members, posted to back ends.
pub mod webhook;
