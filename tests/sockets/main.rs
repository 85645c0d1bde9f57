//! A real node, spoken to over real sockets.

mod admin;
mod harness;
mod pusher;
mod webhook_receiver;
mod webhooks;
