//! A real node, spoken to over real sockets.

mod admin;
mod channels;
mod connection;
mod harness;
mod http;
mod http_wire;
mod users;
mod pusher;
mod tenant;
mod tenant_access;
mod tenant_callback;
mod webhook_receiver;
mod webhooks;
