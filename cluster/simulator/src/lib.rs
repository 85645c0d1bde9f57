//! What simulations of a cluster have in common: a bus that loses, duplicates and reorders, nodes that are killed, stopped,
//! cut off and split, time that passes in milliseconds without a clock, and the account of what was promised of events.
//!
//! Two test programs build on it. `cluster/tests/simulator` has cores, with a replica of what rooms would do; `tests/simulator`
//! has the server's own rooms above them, and clients. A program owns its world: it takes what [`Network::arrived`] brings,
//! steps its cores, gives the bus what they publish, and carries out each [`Fault`].
//!
//! The same seed gives the same run everywhere: nothing here looks at a clock, and no order depends on a hash.

mod bus;
mod faults;
mod network;
mod promises;
mod random;
mod seeds;

pub use bus::Weather;
pub use faults::Fault;
pub use network::{EPOCH, Network, Phase, Process, SILENCE, Slot, meets};
pub use promises::{Party, Promises};
pub use random::Random;
pub use seeds::{number, run_seeds};
