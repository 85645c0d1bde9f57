//! A real node, spoken to over real sockets.

mod addresses;
mod admin;
mod apps_file;
mod bad_frames;
mod bad_messages;
mod bad_upgrades;
mod capacity;
mod channels;
mod command_line;
mod command_lists;
mod command_subscribe;
#[path = "../common/mod.rs"]
mod common;
mod connection;
mod console;
mod console_access;
mod console_tail;
mod doctor;
mod drain;
mod fake;
mod harness;
mod http;
mod http_2;
mod http_connections;
mod http_live;
mod http_wire;
mod liveness;
mod metrics;
#[path = "../../cluster/tests/bus/server.rs"]
#[allow(dead_code, reason = "the tests of the bus use more of it")]
mod nats;
mod pace;
mod pages;
mod process;
mod process_logs;
mod raw;
mod recovery;
mod relay;
mod repeats;
mod roundtrip;
mod slow;
mod tenant;
mod tenant_access;
mod tenant_callback;
mod tls;
mod trace_log;
mod traces;
mod users;
mod webhook_events;
mod webhook_posts;
mod webhook_receiver;
mod webhook_stream;
mod webhooks;
mod wrong_port;
