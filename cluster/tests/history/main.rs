//! The history stream on a real nats-server with JetStream.

mod faults;
mod node;
mod reading;
#[path = "../bus/server.rs"]
#[allow(dead_code, reason = "the tests of the bus use more of it")]
mod server;
