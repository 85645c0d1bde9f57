//! Tests with real sockets.

mod webhook_receiver;
mod webhooks;
