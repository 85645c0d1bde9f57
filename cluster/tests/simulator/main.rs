//! Thousands of minutes in which everything goes wrong: 3 to 5 nodes, kills, restarts, stops, a bus that loses,
//! duplicates and reorders, goes away for one node or for all, and splits; then eighty seconds to heal, and a
//! judgement.
//!
//! `SEEDS=3000` runs more of them, `SEED=17` repeats one.

mod actions;
mod carry;
mod drain;
mod judge;
mod pages;
mod process;
mod replica;
mod truth;
mod verdict;
mod world;

use std::time::Duration;

use gaung_cluster::{core::Bounds, ring::Retention};
use gaung_simulator::{number, run_seeds};
use judge::Tally;
use world::{Scenario, Trouble, run};

/// A ring that reaches back for as long as the trouble lasts.
const MINUTE: Retention = Retention { age: Duration::from_secs(60), bytes: 16 << 20, frames: usize::MAX };

/// Runs the seeds and fails with those that failed.
fn check(seeds: u64, retention: Retention, trouble: Trouble) -> Tally {
    // Where events are large, what may be held back and what fits into an answer is a handful of them.
    let bounds = if trouble == Trouble::Outages {
        Bounds { held: 5_000, answer: 2_000, ..Bounds::default() }
    } else {
        Bounds::default()
    };
    run_seeds(seeds, |seed| run(Scenario { seed, retention, bounds, trouble }))
}

#[test]
fn after_a_minute_of_trouble_all_nodes_agree_and_every_promise_was_kept() {
    let tally = check(number("SEEDS").unwrap_or(500), MINUTE, Trouble::All);
    assert!(tally.promised > 0 && tally.posts > 0 && tally.delivered > 0, "nothing happened: {tally:?}");
    assert!(tally.pages > 0 && tally.lost_pages > 0 || number("SEED").is_some(), "no page was lost: {tally:?}");
}

#[test]
fn with_a_ring_of_eight_frames_gaps_are_marked_lost_and_state_is_right_all_the_same() {
    let tally = check(number("SEEDS").unwrap_or(500).div_ceil(5), Retention { frames: 8, ..MINUTE }, Trouble::All);
    assert!(tally.gaps_lost > 0 || number("SEED").is_some(), "the ring was never too short: {tally:?}");
}

#[test]
fn users_who_move_while_node_after_node_leaves_are_never_seen_to_go() {
    let tally = check(number("SEEDS").unwrap_or(500).div_ceil(5), MINUTE, Trouble::Leaving);
    assert!(tally.drains > 0 && tally.visits > 0, "no node left, or no visit happened: {tally:?}");
}

#[test]
fn with_large_events_a_small_bound_and_long_outages_nothing_is_lost_that_a_publisher_remembers() {
    let retention = Retention { age: Duration::from_secs(300), ..MINUTE };
    let tally = check(number("SEEDS").unwrap_or(500).div_ceil(5), retention, Trouble::Outages);
    assert!(tally.promised > 0 || number("SEED").is_some(), "nothing happened: {tally:?}");
    assert_eq!(tally.events_lost, 0, "every ring reached back to the beginning");
}
