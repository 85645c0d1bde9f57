//! The work queue of webhooks on a real nats-server with JetStream.

mod events;
mod failures;
mod node;
#[path = "../bus/server.rs"]
#[allow(dead_code, reason = "the tests of the bus use more of it")]
mod server;
