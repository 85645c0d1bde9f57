//! What the nodes of a cluster say to one another: a pure state machine, [`core::Core`], and the [`bus`] that drives it.
//! All but the bus knows no socket, no clock, no randomness and no log.
//!
//! The promises:
//! - Events: per publishing node and room in order, none twice; none lost while the publisher lives and its ring reaches
//!   back. What could not be had again is marked lost, never silent.
//! - State: every node's view is its own facts and those of the peers that live; at rest all nodes agree, and what a
//!   client was told always adds up to its snapshot.
//! - Webhooks: transitions of an occupancy alternate, and each has one id. The exception: where all nodes that held an
//!   announcement are dead or cut off, the others may use its number again.
//! - Whatever the bus brings, no step panics, and no queue or table grows without a bound.
//!
//! The way of a message: `core::own` → `outgoing` → `codec` → the bus → `codec` → `core::receive` → `sequencer` → `view`,
//! `cache`, `announcements` or the room.

#![allow(missing_docs, reason = "a doc that repeats a name is left out; limits, units and traps are documented")]

/// The promise to tell somebody once that a thing is done with.
pub mod ack;
/// Webhooks once in the cluster.
pub mod announcements;
/// What carries frames between nodes.
pub mod bus;
/// The last events of cache channels.
pub mod cache;
/// What this node has to tell of its own sockets, until it is told.
pub mod coalescer;
pub mod codec;
/// One node as a state machine.
pub mod core;
/// What happened so far, for metrics.
pub mod counters;
/// When a peer counts as dead.
pub mod detector;
/// What nodes tell one another about state.
pub mod fact;
pub mod frame;
/// The hash by which nodes compare what they know.
pub mod hash;
/// The last numbers of what this node publishes.
pub mod heads;
/// What is kept of things that come without end.
pub mod newest;
/// What this node publishes, numbered and remembered.
pub mod outgoing;
/// One peer, as this node knows it.
pub mod peer;
/// A work queue that keeps webhooks.
pub mod queue;
/// What the other nodes hold, as a room here is told.
pub mod remote;
/// Recent frames, for peers that missed some.
pub mod ring;
pub mod room;
/// What is heard from one peer, in order and once.
pub mod sequencer;
/// All facts of one peer, page by page.
pub mod snapshot;
pub mod subject;
/// Which request an event comes of.
pub mod trace;
/// Who is where, over all nodes.
pub mod view;

pub use room::{InvalidRoom, NodeId, Room};
pub use subject::{InvalidSubjects, Subject, Subjects};
pub use trace::TraceContext;
