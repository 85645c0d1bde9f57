//! A real node, spoken to over real sockets.

mod admin;
mod harness;
mod http;
mod http_wire;
mod pusher;
mod webhook_receiver;
mod webhooks;
