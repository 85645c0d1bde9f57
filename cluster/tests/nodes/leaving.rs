//! What a node can say of the events of another that has ended.

use std::time::Duration;

use gaung_cluster::core::Input;

use crate::{
    event,
    pair::{A, B, Pair, id, room},
};

const HOLD: Duration = Duration::from_secs(10);

/// Two nodes, the first of which serves a room.
fn serving() -> Pair {
    let mut pair = Pair::acquainted();
    pair.step(A, Input::Serve(room("orders")));
    pair.pass(1_000);
    pair
}

/// Whether the first node knows that the second has left, and that it missed nothing of it.
fn vouches(pair: &Pair) -> bool {
    pair.nodes[A].published_in(&room("orders")).left.contains(&id(B))
}

#[test]
fn of_a_node_that_has_left_in_order_it_stays_known_that_nothing_was_missed() {
    let mut pair = serving();
    pair.step(B, Input::Publish(event("one")));
    pair.step(B, Input::Bye { hold: HOLD });
    pair.pass(3_000);
    assert!(!vouches(&pair), "it still speaks");
    pair.step(B, Input::Publish(event("two")));
    pair.step(B, Input::Confirm);
    pair.is_cut = true;
    pair.pass_for(&[A], 3_000);
    assert!(vouches(&pair));
    // As one that is dead, after this node was cut off, and as one that is no peer any more.
    pair.pass_for(&[A], 20_000);
    assert!(vouches(&pair));
    pair.step(A, Input::Disconnected);
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 600_000);
    assert_eq!((pair.nodes[A].peers().count(), vouches(&pair)), (0, true));
}

#[test]
fn of_a_node_that_died_it_is_not_known_what_it_published_last() {
    let mut pair = serving();
    pair.step(B, Input::Publish(event("one")));
    for silence in [3_000, 10_000, 130_000] {
        pair.pass_for(&[A], silence);
        assert!(!vouches(&pair), "after {silence} ms");
    }
}

#[test]
fn nor_of_one_that_died_while_it_was_leaving_or_ended_while_this_one_was_cut_off() {
    let mut pair = serving();
    pair.step(B, Input::Bye { hold: HOLD });
    pair.step(B, Input::Publish(event("one")));
    pair.pass_for(&[A], 20_000);
    assert!(!vouches(&pair), "it published after its last word");

    let mut pair = serving();
    pair.step(B, Input::Bye { hold: HOLD });
    pair.step(A, Input::Disconnected);
    pair.pass_for(&[A], 1_000);
    pair.is_cut = true;
    pair.step(A, Input::Connected);
    pair.pass_for(&[A], 20_000);
    assert!(!vouches(&pair), "it may have published meanwhile");
}
