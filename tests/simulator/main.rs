//! Whole clusters of the server's own rooms, with clients, in virtual time: 3 to 5 nodes for a minute in which everything
//! goes wrong, then eighty seconds to heal, and a judgement of what the clients heard.
//!
//! The world is that of the crate `gaung-simulator`: time, the bus and its faults. Above it each node has its core, and the
//! rooms of the product: [`RoomState`](gaung::room::state::RoomState) takes inputs and returns effects, as under its actor.
//! What is simulated here is what acts in the product:
//!
//! | file | instead of |
//! |---|---|
//! | `node` | the threads of one node: what waits for its rooms, the turns and clocks that they asked for |
//! | `rooms` | shard and room actor: messages are routed, effects carried out |
//! | `peers` | the bus thread: what the core puts out, and what rooms tell it |
//! | `client` | one socket at a time, and what it believes of its channels |
//! | `pages` | clients that name themselves, move between nodes, and what is on its way to them |
//! | `sessions` | their sessions: receipts, and how they end |
//! | `registry` | what a node knows of pages, and what it asks and tells other nodes of them |
//! | `truth`, `strangers` | what pages must have heard, and what nobody can know |
//! | `inquiries` | room actor and bus thread: nodes ask one another for what they keep |
//! | `stream` | JetStream, and the thread that stores events in it |
//! | `quiet` | a channel without events, and clients that are away for minutes |
//! | `actions`, `drain` | clients, back ends, and nodes that leave |
//! | `world`, `faults`, `verdict`, `tally` | time, faults, and the judgement |
//!
//! What a client is promised, and checked for:
//! - success before anything else of a channel, on each subscription;
//! - events: of each publisher in order, none twice; those that were accepted while it was subscribed all arrive, unless its
//!   node or the publisher's died, was not part of the cluster, or reported a loss (as `gaung-cluster` promises);
//! - members: the snapshot and what follows add up to who is there; nobody comes who is there, or goes who is not;
//! - nobody is seen to go who moves from a leaving node to another;
//! - on a channel with a history, over all its sockets: each event of a publisher once and none missing, or the word that
//!   something may be;
//! - a page that names itself hears, over all its sockets on all nodes, each event of a publisher at least once, or the
//!   word that something may be missing; and nothing twice if it has proven what it heard before it moved;
//! - in the end a page has one socket, and all nodes know where;
//! - in the end all counts are right, and who joins a cache channel hears its newest event.
//!
//! Where nodes are cut off, split and killed, a page may come to one that has not heard of it and cannot have: it begins anew,
//! and is not held to what it heard before. Where nodes only leave, it is.
//!
//! `SEEDS=3000` runs more of them, as `tests/run` does 500; `SEED=17` repeats one.

mod actions;
mod client;
mod drain;
mod faults;
mod inquiries;
mod node;
mod pages;
mod peers;
mod quiet;
mod registry;
mod rooms;
mod sessions;
mod strangers;
mod stream;
mod tally;
mod truth;
mod verdict;
mod world;

use gaung_simulator::{number, run_seeds};
use tally::Tally;
use world::{Trouble, run};

/// Runs the seeds and fails with those that failed.
fn check(seeds: u64, trouble: Trouble) -> Tally {
    run_seeds(seeds, |seed| run(seed, trouble))
}

#[test]
fn after_a_minute_of_trouble_every_client_knows_who_is_there_and_has_heard_what_it_was_promised() {
    let tally = check(number("SEEDS").unwrap_or(80), Trouble::All);
    assert!(number("SEED").is_some() || tally.is_lively(), "too little happened: {tally:?}");
}

#[test]
fn members_who_move_while_node_after_node_leaves_are_never_seen_to_go() {
    let tally = check(number("SEEDS").unwrap_or(80).div_ceil(4), Trouble::Leaving);
    assert!(number("SEED").is_some() || tally.drains > 0, "no node left: {tally:?}");
    let (whole, told) = (tally.slept_whole, tally.slept_told);
    assert!(number("SEED").is_some() || whole > 2 * told, "who slept through it is told too often: {tally:?}");
    // Nodes that have ended a moment ago do not answer, and are not known to be gone.
    let in_vain = tally.asked_part + tally.asked_silent;
    assert!(number("SEED").is_some() || tally.asked_whole > in_vain, "rooms opened later know too little: {tally:?}");
}
