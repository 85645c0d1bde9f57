//! Generations, owners and the order in which transitions are announced.

use super::*;
use crate::room::Room;

const A: NodeId = NodeId::from_bits(1);
const B: NodeId = NodeId::from_bits(2);

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn occupancy() -> Occupancy {
    Occupancy { room: Room::new("shop", "orders").unwrap(), user: None }
}

fn occupancy_of(number: usize) -> Occupancy {
    Occupancy { room: Room::new("shop", &format!("orders-{number}")).unwrap(), user: None }
}

fn generation(number: u64, phase: Phase) -> Generation {
    Generation { occupancy: occupancy(), number, phase }
}

fn merge(announcements: &mut Announcements, number: u64, phase: Phase) {
    announcements.merge(&Record::Generation(generation(number, phase)), at(0));
}

/// Has published a floor as the state stream's first frame.
fn begin(announcements: &mut Announcements, floor: u64) {
    announcements.merge(&Record::Floor { slot: ALL_SLOTS, number: floor }, at(0));
    announcements.floor_published(1);
}

/// Some voters who began at 0.
fn with_floor(voters: BTreeSet<NodeId>) -> Announcements {
    let mut announcements = Announcements::default();
    announcements.set_voters(voters, at(0));
    begin(&mut announcements, 0);
    announcements
}

/// One node alone, with these generations behind it.
fn alone(done: u64) -> Announcements {
    let mut announcements = with_floor([A].into());
    if done > 0 {
        merge(&mut announcements, done, Phase::Done);
    }
    announcements
}

fn act(announcements: &mut Announcements, truth: Truth, seen: Option<u64>, millis: u64) -> Vec<Action> {
    announcements.compare(&occupancy(), truth, at(millis));
    announcements.act(A, |_| truth, seen, at(millis))
}

#[test]
fn a_generation_is_announced_posted_once_and_done() {
    let mut announcements = alone(0);
    let announced = generation(1, Phase::Announced);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 3000), [Action::Announce(announced.clone())]);
    merge(&mut announcements, 1, Phase::Announced);
    announcements.announced(&announced, 17);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 3100), [Action::Post(announced)]);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 3200), []);
    assert_eq!(announcements.posted(&occupancy(), 1), Some(generation(1, Phase::Done)));
    merge(&mut announcements, 1, Phase::Done);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 3300), []);
}

#[test]
fn nothing_is_posted_before_a_peer_holds_the_announcement() {
    let mut announcements = alone(0);
    merge(&mut announcements, 1, Phase::Announced);
    announcements.announced(&generation(1, Phase::Announced), 17);
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(16), 3000), []);
    let posted = Action::Post(generation(1, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(17), 3000), [posted]);
}

#[test]
fn a_return_within_three_seconds_is_not_reported() {
    let mut announcements = alone(1);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 10_000), []);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 12_999), []);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 12_999), []);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 13_000), []);
    let announced = Action::Announce(generation(2, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 16_000), [announced]);
}

#[test]
fn a_new_owner_repeats_what_is_not_done_with_the_same_number_once_the_nodes_are_stable() {
    let mut announcements = with_floor([A, B].into());
    merge(&mut announcements, 5, Phase::Announced);
    announcements.set_voters([A].into(), at(10_000));
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 12_499), []);
    let repeated = Action::Announce(generation(5, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 12_500), [repeated]);
}

#[test]
fn a_node_that_may_have_missed_something_listens_first_and_announces_anew() {
    let mut announcements = alone(0);
    let announced = generation(1, Phase::Announced);
    merge(&mut announcements, 1, Phase::Announced);
    announcements.announced(&announced, 17);
    announcements.disturb(at(9000));
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 11_499), []);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 11_500), [Action::Announce(announced)]);
}

#[test]
fn exactly_one_voter_owns_an_occupancy_and_a_node_without_a_vote_is_silent() {
    let owners = [A, B].map(|node| {
        let mut announcements = with_floor([A, B].into());
        announcements.compare(&occupancy(), Truth::Occupied, at(0));
        announcements.act(node, |_| Truth::Occupied, None, at(9000)).len()
    });
    assert_eq!(owners.iter().sum::<usize>(), 1);
    let mut announcements = alone(0);
    announcements.set_voters([B].into(), at(0));
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 9000), []);
}

#[test]
fn the_highest_number_and_the_latest_phase_win() {
    let mut announcements = alone(0);
    merge(&mut announcements, 3, Phase::Done);
    merge(&mut announcements, 3, Phase::Announced);
    merge(&mut announcements, 2, Phase::Done);
    let records: Vec<Record> = announcements.generations_after(Bound::Unbounded).collect();
    assert_eq!(records, [Record::Generation(generation(3, Phase::Done))]);
}

#[test]
fn nothing_is_announced_before_enough_others_hold_where_it_begins() {
    let mut announcements = Announcements::default();
    announcements.set_voters([A].into(), at(0));
    announcements.compare(&occupancy(), Truth::Occupied, at(0));
    assert_eq!(announcements.floor_to_publish(A, 50, at(2499)), None);
    let floor = Record::Floor { slot: ALL_SLOTS, number: 100 };
    assert_eq!(announcements.floor_to_publish(A, 50, at(2500)), Some(floor.clone()));
    announcements.merge(&floor, at(2500));
    announcements.floor_published(17);
    assert_eq!(announcements.floor_to_publish(A, 51, at(2600)), None);
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(16), 2600), []);
    let announced = Action::Announce(generation(101, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(17), 2700), [announced]);
}

#[test]
fn a_floor_that_others_published_is_published_again_before_anything_is_announced() {
    let mut announcements = alone(0);
    let other = Record::Floor { slot: ALL_SLOTS, number: 100 };
    announcements.merge(&other, at(0));
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(16), 3000), []);
    assert_eq!(announcements.floor_to_publish(A, 51, at(3000)), Some(other));
    announcements.floor_published(17);
    let announced = Action::Announce(generation(101, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Occupied, Some(17), 3100), [announced]);
}

/// A node that is cut off with a peer who does not answer begins later than the others, who post meanwhile.
#[test]
fn sides_of_a_split_that_begin_apart_do_not_post_one_arrival_twice() {
    let mut cut_off = Announcements::default();
    cut_off.set_voters([A].into(), at(0));
    begin(&mut cut_off, 38);
    assert_eq!(act(&mut cut_off, Truth::Occupied, Some(0), 3000), []);
    merge(&mut cut_off, 37, Phase::Done);
    assert_eq!(act(&mut cut_off, Truth::Occupied, Some(1), 6000), []);
}

#[test]
fn a_retired_occupancy_never_uses_a_number_again() {
    let mut announcements = alone(4);
    assert_eq!(announcements.retirements(A, at(600_000)), []);
    let retired = generation(4, Phase::Retired);
    assert_eq!(announcements.retirements(A, at(600_001)), [Action::Retire(retired.clone())]);
    announcements.merge(&Record::Generation(retired), at(600_001));
    let announced = Action::Announce(generation(5, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 700_000), [announced]);
}

#[test]
fn nodes_that_know_the_same_have_the_same_hash() {
    let (mut one, mut other) = (alone(0), alone(0));
    merge(&mut one, 1, Phase::Announced);
    merge(&mut one, 2, Phase::Done);
    merge(&mut other, 2, Phase::Done);
    assert_eq!(one.hash(), other.hash());
    merge(&mut one, 2, Phase::Retired);
    assert_ne!(one.hash(), other.hash());
    merge(&mut other, 2, Phase::Retired);
    assert_eq!(one.hash(), other.hash());
}

#[test]
fn a_visit_between_two_checks_is_reported_as_an_arrival_and_a_departure() {
    let mut announcements = alone(2);
    announcements.compare(&occupancy(), Truth::Occupied, at(10_000));
    announcements.compare(&occupancy(), Truth::Vacant, at(10_001));
    let announced = generation(3, Phase::Announced);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 10_050), [Action::Announce(announced.clone())]);
    merge(&mut announcements, 3, Phase::Announced);
    announcements.announced(&announced, 17);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 10_100), [Action::Post(announced)]);
    announcements.posted(&occupancy(), 3);
    merge(&mut announcements, 3, Phase::Done);
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 12_999), []);
    let departed = Action::Announce(generation(4, Phase::Announced));
    assert_eq!(act(&mut announcements, Truth::Vacant, None, 13_000), [departed]);
}

#[test]
fn a_visit_that_its_owner_did_not_report_before_it_died_is_reported_by_the_next() {
    let owned_by = |node| (0..).map(occupancy_of).find(|occupancy| owner(&[A, B].into(), occupancy) == Some(node));
    let occupancy = owned_by(B).expect("B owns some");
    let mut announcements = with_floor([A, B].into());
    announcements.compare(&occupancy, Truth::Occupied, at(10_000));
    announcements.compare(&occupancy, Truth::Vacant, at(10_001));
    assert_eq!(announcements.act(A, |_| Truth::Vacant, None, at(10_100)), []);
    announcements.set_voters([A].into(), at(16_000));
    let announced = Generation { occupancy, number: 1, phase: Phase::Announced };
    assert_eq!(announcements.act(A, |_| Truth::Vacant, None, at(18_500)), [Action::Announce(announced)]);
}

#[test]
fn a_visit_that_another_node_has_reported_is_not_reported_again() {
    let mut announcements = with_floor([A].into());
    announcements.compare(&occupancy(), Truth::Occupied, at(10_000));
    announcements.compare(&occupancy(), Truth::Vacant, at(10_001));
    merge(&mut announcements, 2, Phase::Done);
    announcements.compare(&occupancy(), Truth::Vacant, at(10_002));
    assert!(announcements.pending.is_empty());
}

#[test]
fn an_unreported_visit_is_given_up_also_by_a_node_that_may_not_decide() {
    let mut announcements = Announcements::default();
    announcements.compare(&occupancy(), Truth::Occupied, at(10_000));
    announcements.compare(&occupancy(), Truth::Vacant, at(10_001));
    announcements.give_up_visits(at(70_000));
    assert!(!announcements.pending.is_empty());
    announcements.give_up_visits(at(70_001));
    assert!(announcements.pending.is_empty());
    announcements.compare(&occupancy(), Truth::Occupied, at(10_000));
    announcements.give_up_visits(at(99_000));
    assert!(!announcements.pending.is_empty());
}

#[test]
fn what_became_due_while_a_webhook_was_posted_is_announced_although_another_node_called_it_done() {
    let mut announcements = alone(1);
    merge(&mut announcements, 2, Phase::Announced);
    announcements.announced(&generation(2, Phase::Announced), 17);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 9000), [Action::Post(generation(2, Phase::Announced))]);
    merge(&mut announcements, 2, Phase::Done);
    assert_eq!(act(&mut announcements, Truth::Occupied, None, 9050), []);
    announcements.posted(&occupancy(), 2);
    let announced = Action::Announce(generation(3, Phase::Announced));
    assert_eq!(announcements.act(A, |_| Truth::Occupied, None, at(9100)), [announced]);
}
