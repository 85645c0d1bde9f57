//! Real nodes around a real nats-server, which the tests kill, pause, cut off and bring back.

mod all_clear;
mod bytes;
mod cache;
#[path = "../common/mod.rs"]
mod common;
mod deliveries;
mod drain;
mod events;
mod harness;
mod history;
mod history_moves;
mod history_rules;
mod history_stream;
mod intruder;
mod isolation;
mod login;
mod nats_away;
mod nats_faults;
mod node_faults;
mod operators;
mod pages;
mod payload;
mod presence;
mod probes;
mod queries;
mod repeats;
mod rolling;
mod roundtrip;
mod server_events;
mod tenant_rights;
mod trace_log;
mod traces;
mod users;
mod webhooks;
mod webhooks_lost;
mod xhr;
