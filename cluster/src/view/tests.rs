//! What a change of facts means to those who look.

use super::*;

const A: NodeId = NodeId::from_bits(1);
const B: NodeId = NodeId::from_bits(2);

fn room() -> Room {
    Room::new("shop", "presence-a").unwrap()
}

fn member(user: &str, info: &str, since: u64, sockets: u32) -> Fact {
    Fact::Member { room: room(), member: Member { user: user.into(), info: info.into(), since, sockets } }
}

fn count(sockets: u32) -> Fact {
    Fact::Count { room: room(), sockets }
}

fn added(user: &str, info: &str) -> Difference {
    Difference::MemberAdded { room: room(), user: user.into(), info: info.into() }
}

fn removed(user: &str) -> Difference {
    Difference::MemberRemoved { room: room(), user: user.into() }
}

fn view() -> View {
    let mut view = View::default();
    assert_eq!((view.show(A), view.show(B)), (vec![], vec![]));
    view
}

#[test]
fn a_user_on_two_nodes_comes_and_goes_once() {
    let mut view = view();
    assert_eq!(view.set(A, member("7", "a", 5, 1)), [added("7", "a")]);
    assert_eq!(view.set(A, member("7", "a", 5, 2)), []);
    assert_eq!(view.set(B, member("7", "b", 3, 1)), []);
    assert_eq!((view.population(&room()), view.members(&room()).count()), (1, 1));
    assert_eq!(view.set(A, member("7", "a", 5, 0)), []);
    assert_eq!(view.set(B, member("7", "b", 3, 0)), [removed("7")]);
    assert_eq!(view.population(&room()), 0);
}

#[test]
fn the_oldest_info_is_shown_whoever_was_heard_first() {
    let mut view = view();
    view.set(A, member("7", "younger", 5, 1));
    view.set(B, member("7", "older", 3, 1));
    assert_eq!(view.members(&room()).map(|member| &*member.info).collect::<Vec<_>>(), ["older"]);
}

#[test]
fn a_repeated_fact_changes_nothing() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    assert_eq!(view.set(A, member("7", "a", 5, 1)), []);
    assert_eq!(view.set(A, member("8", "a", 5, 0)), []);
}

#[test]
fn counts_are_sums_and_their_edges_are_told_once() {
    let mut view = view();
    assert_eq!(view.set(A, count(2)), [Difference::Occupied(room()), Difference::Counted(room(), 2)]);
    assert_eq!(view.set(B, count(3)), [Difference::Counted(room(), 5)]);
    assert_eq!(view.set(A, count(0)), [Difference::Counted(room(), 3)]);
    assert_eq!(view.set(B, count(0)), [Difference::Vacated(room()), Difference::Counted(room(), 0)]);
}

#[test]
fn a_users_sign_ins_are_told_at_the_first_and_the_last() {
    let mut view = view();
    let user = |sockets| Fact::User { app: "shop".into(), user: "7".into(), sockets };
    assert_eq!(view.set(A, user(1)), [Difference::Online { app: "shop".into(), user: "7".into() }]);
    assert_eq!(view.set(B, user(1)), []);
    assert_eq!(view.sockets(&user(1).key()), 2);
    assert_eq!(view.forget(A), []);
    assert_eq!(view.set(B, user(0)), [Difference::Offline { app: "shop".into(), user: "7".into() }]);
}

#[test]
fn hiding_a_node_takes_away_only_what_nobody_else_holds() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    view.set(B, member("8", "b", 6, 1));
    assert_eq!(view.hide(A), [removed("7")]);
    assert_eq!(view.hide(A), []);
    assert_eq!(view.show(A), [added("7", "a")]);
}

#[test]
fn a_snapshot_tells_only_what_differs() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    assert_eq!(view.replace(A, vec![member("8", "a", 5, 2), member("9", "a", 5, 1)]), [added("9", "a"), removed("7")]);
}

#[test]
fn the_hash_depends_on_what_is_held_and_not_on_how_it_came_to_be() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    view.set(A, member("7", "a", 5, 0));
    view.set(B, member("8", "a", 5, 4));
    assert_ne!(view.hash(A), view.hash(B));
    view.replace(B, vec![member("8", "a", 5, 1)]);
    assert_eq!(view.hash(A), view.hash(B));
    view.set(A, member("8", "a", 5, 0));
    assert_eq!(view.hash(A), 0);
}

#[test]
fn a_slice_that_is_not_shown_is_kept_silently() {
    let mut view = View::default();
    assert_eq!(view.set(A, count(1)), []);
    assert_eq!(view.sockets(&Key::Count(room())), 0);
    assert_eq!(view.show(A), [Difference::Occupied(room()), Difference::Counted(room(), 1)]);
}

#[test]
fn rooms_are_listed_by_app() {
    let mut view = view();
    for (app, channel) in [("a", "x"), ("shop", "orders"), ("shop", "#server-to-user-7"), ("shop2", "x")] {
        view.set(A, Fact::Count { room: Room::new(app, channel).unwrap(), sockets: 1 });
    }
    let names: Vec<&str> = view.rooms("shop").map(|(room, _)| &**room.channel()).collect();
    assert_eq!(names, ["#server-to-user-7", "orders"]);
}
