//! Gaung: a clustered WebSocket server that speaks the Pusher protocol. This page is the map.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | `GAUNG_*` variables, read and checked at the start |
//! | [`app`] | apps: credentials, limits, counters, and where they come from |
//! | [`node`] | a running node: everything wired together |
//! | [`protocol`] | the Pusher protocol as values |
//! | [`tenant`] | the plain `/ws` dialect as values |
//! | [`connection`] | a connection until it is a socket: its place, its time limits, what makes no sense |
//! | [`session`] | one actor per WebSocket connection, its outbox, the upgrade |
//! | [`repeats`] | what was published under an idempotency key |
//! | [`room`] | one actor per channel: who is subscribed, and the fan-out to them |
//! | [`cluster`] | what this node's rooms tell the other nodes, and what comes from them |
//! | [`http`] | the trigger API and the health probes |
//! | [`webhook`] | what happens in channels, posted to back ends |
//! | [`admin`] | the admin port: health, metrics, console |
//! | [`metrics`] | counters and histograms, and the table of all metrics |
//! | [`activity`] | what happens, told to consoles that watch |
//! | [`event`] | events and what rooms answer, as rooms, sessions and nodes hand them on |
//! | [`trace_log`] | what the log tells of an event whose request belongs to a trace |
//! | [`outbox`] | the write half of a socket |
//! | [`files`] | files that are read again while the server runs |
//! | [`log`] | where log lines go, without anybody waiting for it |
//! | [`fatal`] | what ends the process at once |
//! | [`turn`] | how much an actor does before others on its thread have their turn |
//! | [`outgoing`] | how webhooks and access callbacks are sent, and whose certificates are believed |
//! | [`process`] | what the operating system knows of this process |
//! | [`capacity`] | how full the node is |
//! | [`descriptors`] | what sockets and requests may have of the file descriptors |
//! | [`readiness`] | whether the node wants new sockets |
//! | [`seldom`] | what is logged at once and then once a minute |
//! | [`tls`] | certificates of the public listener |

#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used))]

pub mod activity;
pub mod admin;
pub mod app;
pub mod capacity;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod descriptors;
pub mod event;
pub mod fatal;
pub mod files;
pub mod http;
pub mod log;
pub mod metrics;
pub mod node;
pub mod outbox;
pub mod outgoing;
pub mod process;
pub mod protocol;
pub mod readiness;
pub mod repeats;
pub mod room;
pub mod seldom;
pub mod session;
pub mod tenant;
pub mod tls;
pub mod trace_log;
pub mod turn;
pub mod webhook;
