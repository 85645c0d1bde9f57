//! What the nodes of a cluster say to one another.

pub mod announcements;
pub mod cache;
pub mod codec;
pub mod core;
pub mod counters;
pub mod detector;
pub mod fact;
pub mod frame;
pub mod hash;
pub mod lane;
pub mod outgoing;
pub mod peer;
pub mod ring;
pub mod room;
pub mod subject;
pub mod view;

pub use room::{InvalidRoom, NodeId, Room};
pub use subject::{Subject, Subjects};
