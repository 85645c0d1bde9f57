//! The bus with a real nats-server, which the tests start, kill, pause and restart. Each node has a thread of its own,
//! as in the product; what it outputs to its rooms is recorded.

mod bystanders;
mod closing;
mod events;
mod faults;
mod login;
mod node;
mod server;
mod tls;
mod trust;
