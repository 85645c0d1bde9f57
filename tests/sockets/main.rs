//! A real node, spoken to over real sockets.

mod admin;
mod bad_frames;
mod bad_messages;
mod bad_upgrades;
mod channels;
mod connection;
mod harness;
mod http;
mod http_wire;
mod liveness;
mod pusher;
mod raw;
mod slow;
mod tenant;
mod tenant_access;
mod tenant_callback;
mod users;
mod webhook_receiver;
mod webhooks;
