//! A visit between two checks is reported as if it had lasted longer.

use std::collections::BTreeSet;

use gaung_cluster::{
    core::{Input, Output},
    fact::{Fact, Member, Occupancy},
};

use crate::pair::{A, B, Pair, room};

/// So many that both nodes own some.
const ROOMS: usize = 100;

fn pair() -> Pair {
    let mut pair = Pair::acquainted();
    [A, B].iter().for_each(|slot| pair.step(*slot, Input::Webhooks(BTreeSet::from(["shop".into()]))));
    pair.pass(5_000);
    pair
}

/// Lets time pass in which what is posted is done at once; returns what was posted.
fn posts(pair: &mut Pair, millis: u64) -> Vec<(Occupancy, bool)> {
    let mut posts = Vec::new();
    for _ in 0..millis / 50 {
        pair.pass(50);
        for (slot, output) in std::mem::take(&mut pair.outputs) {
            if let Output::Post(generation) = output {
                posts.push((generation.occupancy.clone(), generation.number % 2 == 1));
                pair.step(slot, Input::Posted(generation));
            }
        }
    }
    posts
}

fn visit(pair: &mut Pair, number: usize) -> [Occupancy; 2] {
    let place = room(&format!("presence-{number}"));
    for sockets in [1, 0] {
        let member = Member { user: "7".into(), info: "{}".into(), since: 1, sockets };
        pair.step(A, Input::Fact(Fact::Count { room: place.clone(), sockets }));
        pair.step(A, Input::Fact(Fact::Member { room: place.clone(), member }));
    }
    [None, Some("7".into())].map(|user| Occupancy { room: place.clone(), user })
}

#[test]
fn a_visit_of_an_instant_is_posted_as_an_arrival_and_a_departure_whichever_node_owns_the_room() {
    let mut pair = pair();
    let occupancies: Vec<Occupancy> = (0..ROOMS).flat_map(|number| visit(&mut pair, number)).collect();
    let posted = posts(&mut pair, 10_000);
    for occupancy in &occupancies {
        let posted: Vec<bool> =
            posted.iter().filter(|(other, _)| other == occupancy).map(|(_, has_come)| *has_come).collect();
        assert_eq!(posted, [true, false], "{occupancy:?}");
    }
    assert_eq!(posted.len(), 2 * occupancies.len());
    assert_eq!(posts(&mut pair, 60_000), []);
}
