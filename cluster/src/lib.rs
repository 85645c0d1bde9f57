//! How the nodes of a cluster talk to one another: a pure state machine, [`core::Core`], and the [`bus`] that drives
//! it. Everything but `bus`, `queue`, `history`, `records`, what these share in `jetstream`, and `seldom` knows no socket, no
//! clock, no randomness and no log.
//!
//! The promises:
//! - Events: per publishing node and room in order, none twice; none lost while the publisher lives and its ring reaches
//!   back. What cannot be resent is counted as lost, never silently.
//! - State: every node's view is its own facts and those of the peers that live; at rest all nodes agree, and what a
//!   client was sent always adds up to its snapshot.
//! - Webhooks: transitions of an occupancy alternate, and each has one id. The exception: where all nodes that held an
//!   announcement are dead or cut off, the others may use its number again.
//! - Whatever the bus brings, no step panics, and no queue or table grows without a bound.
//!
//! The way of a message: `core::own` → `outgoing` → `codec` → the bus → `codec` → `core::receive` → `sequencer` →
//! `view`, `cache`, `announcements` or the room.

#![cfg_attr(not(test), warn(unreachable_pub, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used))]

/// Acknowledges work whose parts are done in several places.
pub mod ack;
/// Decides which node posts a webhook, and that it is posted once.
pub mod announcements;
/// Carries frames between nodes over NATS.
pub mod bus;
/// The last events of cache channels.
pub mod cache;
/// How far a peer's claims of pages are known.
pub mod claim_fetch;
/// Which node has which page.
pub mod claims;
/// Coalesces changes of this node's own sockets before they are published.
pub mod coalescer;
pub mod codec;
/// One node as a state machine.
pub mod core;
/// What happened so far, for metrics.
pub mod counters;
/// How long events take to the sockets of other nodes.
pub mod delivery;
/// When a peer counts as dead.
pub mod detector;
/// The state that nodes exchange: facts and records.
pub mod fact;
pub mod frame;
/// The hash by which nodes compare what they know.
pub mod hash;
/// The last number of each stream that this node publishes.
pub mod heads;
/// A stream that keeps events behind the nodes' memory, in JetStream.
pub mod history;
/// What all streams in JetStream have in common.
mod jetstream;
/// Keeps the newest entries within bounds of bytes.
pub mod newest;
/// What this node publishes, numbered and remembered.
pub mod outgoing;
/// Clients that come back to any node.
pub mod page;
/// One peer, as this node knows it.
pub mod peer;
/// A durable work queue for webhooks, in JetStream.
pub mod queue;
/// A stream that keeps a sealed record of each app, in JetStream.
pub mod records;
/// What the other nodes hold, as reported to this node's rooms.
pub mod remote;
/// Recently published frames, for resends.
pub mod ring;
pub mod room;
/// Rate-limited logging.
pub mod seldom;
/// Puts the frames of one peer in order, once each.
pub mod sequencer;
/// All facts of one peer, page by page.
pub mod snapshot;
pub mod subject;
/// What apps and their tenants have over all nodes.
pub mod totals;
/// The W3C trace context of an event.
pub mod trace;
/// Who is where, over all nodes.
pub mod view;

pub use room::{InvalidRoom, NodeId, Room};
pub use subject::{InvalidSubjects, Subject, Subjects};
pub use trace::TraceContext;
