//! Gaung: a clustered WebSocket server that speaks the Pusher protocol. This page is the map.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | `GAUNG_*` variables, read and checked at the start |
//! | [`app`] | apps: credentials, limits, counters, and where they come from |
//! | [`app_store`] | where the apps are kept, and how they are changed while the server runs |
//! | [`node`] | a running node: everything wired together |
//! | [`protocol`] | the Pusher protocol as values |
//! | [`tenant`] | the plain dialect of `/ws` and `/sse` as values |
//! | [`connection`] | a connection until it is a socket: its permit, its time limits, what is no request |
//! | [`session`] | one actor per WebSocket connection or stream of events, its outbox, the upgrade |
//! | [`repeats`] | what was published under an idempotency key |
//! | [`revocations`] | which tokens of plain sockets hold no more |
//! | [`room`] | one actor per channel: who is subscribed, and the fan-out to them |
//! | [`cluster`] | what this node's rooms send to the other nodes |
//! | [`http`] | the trigger API and the health probes |
//! | [`webhook`] | what happens in channels, posted to back ends |
//! | [`admin`] | the admin port: health, metrics, console |
//! | [`metrics`] | counters and histograms, and the table of all metrics |
//! | [`activity`] | what happens on this node, reported to consoles |
//! | [`event`] | events, and what rooms answer about themselves |
//! | [`trace_log`] | log lines of events whose request belongs to a trace |
//! | [`spans`] | spans of requests whose trace is sampled |
//! | [`issuer`] | the public keys of those who sign tokens beside the application |
//! | [`otlp`] | exports spans to a collector |
//! | [`outbox`] | the write half of a socket |
//! | [`files`] | files that are reloaded while the server runs |
//! | [`log`] | the writer of log lines, which nothing waits for |
//! | [`fatal`] | failures that end the process at once |
//! | [`turn`] | the work budget of one actor turn, before it yields its thread |
//! | [`outgoing`] | the HTTP client of webhooks, access callbacks and keys of issuers, and the authorities that it trusts |
//! | [`process`] | what the operating system reports of this process |
//! | [`capacity`] | how full the node is |
//! | [`descriptors`] | how the file descriptors are shared between sockets and requests |
//! | [`readiness`] | whether the node wants new sockets |
//! | [`tls`] | certificates of the public listener |
//! | [`tls_stream`] | a connection that speaks TLS |

#![cfg_attr(not(test), warn(unreachable_pub, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used))]

pub mod activity;
pub mod admin;
pub mod app;
pub mod app_store;
pub mod capacity;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod descriptors;
pub mod event;
pub mod fatal;
pub mod files;
pub mod http;
pub mod issuer;
pub mod log;
pub mod metrics;
pub mod node;
pub mod otlp;
pub mod outbox;
pub mod outgoing;
pub mod page;
pub mod process;
pub mod protocol;
pub mod readiness;
pub mod rebalance;
pub mod repeats;
pub mod revocations;
pub mod room;
pub mod session;
pub mod spans;
pub mod tenant;
pub mod tls;
pub mod tls_stream;
pub mod trace_log;
pub mod turn;
pub mod webhook;
