//! What a change of facts means to those who look.

use super::*;

const OWN: NodeId = NodeId::from_bits(9);
const A: NodeId = NodeId::from_bits(1);
const B: NodeId = NodeId::from_bits(2);

fn room() -> Room {
    Room::new("shop", "presence-a").unwrap()
}

fn person(user: &str, info: &str, since: u64, sockets: u32) -> Member {
    Member { user: user.into(), info: info.into(), since, sockets }
}

fn member(user: &str, info: &str, since: u64, sockets: u32) -> Fact {
    Fact::Member { room: room(), member: person(user, info, since, sockets) }
}

fn count(sockets: u32) -> Fact {
    Fact::Count { room: room(), sockets }
}

fn occupancy(user: Option<&str>) -> Occupancy {
    Occupancy { room: room(), user: user.map(Into::into) }
}

fn added(user: &str) -> Difference {
    Difference::Occupied(occupancy(Some(user)))
}

fn removed(user: &str) -> Difference {
    Difference::Vacated(occupancy(Some(user)))
}

fn there(user: &str, member: Option<Member>) -> Difference {
    Difference::Remote(RemoteChange::Member { room: room(), user: user.into(), member })
}

fn subscriptions(sockets: u64) -> Difference {
    Difference::Remote(RemoteChange::Subscriptions { room: room(), sockets })
}

fn view() -> View {
    let mut view = View::new(OWN, 100, Tenancy::default());
    assert_eq!((view.show(A), view.show(B)), (vec![], vec![]));
    view
}

#[test]
fn a_user_on_two_nodes_comes_and_goes_once() {
    let mut view = view();
    let (old, young) = (person("7", "b", 3, 1), person("7", "a", 5, 1));
    assert_eq!(view.set(A, member("7", "a", 5, 1)), [added("7"), there("7", Some(young.clone()))]);
    assert_eq!(view.set(B, member("7", "b", 3, 1)), [there("7", Some(old.clone()))]);
    assert_eq!(view.set(A, member("7", "a", 5, 2)), []);
    assert_eq!((view.population(&room()), view.members(&room()).count()), (1, 1));
    assert_eq!(view.set(A, member("7", "a", 5, 0)), []);
    assert_eq!(view.set(B, member("7", "b", 3, 0)), [removed("7"), there("7", None)]);
    assert_eq!(view.population(&room()), 0);
}

#[test]
fn this_nodes_own_facts_are_not_reported_as_remote() {
    let mut view = view();
    assert_eq!(view.set(OWN, member("7", "a", 1, 1)), [added("7")]);
    assert_eq!(view.set(OWN, count(2)), [Difference::Occupied(occupancy(None))]);
    assert_eq!(view.set(A, member("7", "b", 5, 1)), [there("7", Some(person("7", "b", 5, 1)))]);
    assert_eq!(view.set(OWN, member("7", "a", 1, 0)), []);
    assert_eq!(view.set(A, count(3)), [subscriptions(3)]);
    assert_eq!((view.sockets(&count(0).key()), view.remote_sockets(&count(0).key())), (5, 3));
    assert_eq!(view.remote_members(&room(), None).collect::<Vec<_>>(), [&person("7", "b", 5, 1)]);
}

#[test]
fn of_two_who_came_at_once_every_node_shows_the_same_info() {
    let mut view = view();
    view.set(A, member("7", "b", 5, 1));
    view.set(OWN, member("7", "a", 5, 1));
    assert_eq!(view.members(&room()).map(|member| &*member.info).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn sessions_of_a_node_are_its_connections_to_all_apps() {
    let mut view = view();
    for (app, sockets) in [("a", 2), ("b", 3)] {
        view.set(A, Fact::Connections { app: app.into(), sockets });
    }
    view.set(A, count(9));
    assert_eq!((view.sessions(A), view.sessions(B)), (5, 0));
}

#[test]
fn the_oldest_info_is_shown_in_any_order_of_arrival() {
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
fn counts_are_sums_and_their_transitions_are_reported_once() {
    let mut view = view();
    assert_eq!(view.set(A, count(2)), [Difference::Occupied(occupancy(None)), subscriptions(2)]);
    assert_eq!(view.set(B, count(3)), [subscriptions(5)]);
    assert_eq!(view.set(A, count(0)), [subscriptions(3)]);
    assert_eq!(view.set(B, count(0)), [Difference::Vacated(occupancy(None)), subscriptions(0)]);
}

#[test]
fn the_number_of_a_users_remote_sign_ins_is_reported() {
    let mut view = view();
    let user = |sockets| Fact::User { app: "shop".into(), user: "7".into(), sockets };
    let remote = |sockets| Difference::Remote(RemoteChange::User { app: "shop".into(), user: "7".into(), sockets });
    assert_eq!(view.set(OWN, user(1)), []);
    assert_eq!(view.set(A, user(1)), [remote(1)]);
    assert_eq!(view.set(B, user(1)), [remote(2)]);
    assert_eq!(view.sockets(&user(1).key()), 3);
    assert_eq!(view.forget(A), [remote(1)]);
    assert_eq!(view.set(B, user(0)), [remote(0)]);
}

#[test]
fn hiding_a_node_removes_only_what_no_other_node_holds() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    view.set(OWN, member("8", "b", 6, 1));
    assert_eq!(view.hide(A), [there("8", None), removed("7"), there("7", None)]);
    assert_eq!(view.hide(A), []);
    let (seven, eight) = (person("7", "a", 5, 1), person("8", "a", 5, 1));
    assert_eq!(view.show(A), [added("7"), there("7", Some(seven)), there("8", Some(eight))]);
}

/// A page of facts after those of a user; the last, or one that others follow.
fn page(after: Option<&str>, rest: Rest, users: &[(&str, u32)]) -> SnapshotPage<Fact> {
    let after = after.map(|user| FactKey::Member(room(), user.into()));
    let facts = users.iter().map(|(user, sockets)| member(user, "a", 5, *sockets)).collect();
    SnapshotPage { state: 1, after, rest, facts }
}

fn replace(view: &mut View, page: &SnapshotPage<Fact>, newer: &[&str]) -> Replaced {
    let newer = newer.iter().map(|user| FactKey::Member(room(), (*user).into())).collect();
    view.replace(A, page, &newer)
}

fn names(view: &View) -> String {
    view.members(&room()).map(|member| &*member.user).collect()
}

#[test]
fn a_snapshot_reports_only_what_differs() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    view.set(A, member("9", "a", 5, 1));
    let page = page(None, Rest::Nothing, &[("8", 2), ("9", 1)]);
    let differences = vec![removed("7"), there("7", None), there("8", Some(person("8", "a", 5, 2)))];
    assert_eq!(replace(&mut view, &page, &[]), Replaced::Whole(differences));
}

#[test]
fn a_page_leaves_what_is_before_and_behind_it_and_what_was_published_meanwhile() {
    let mut view = view();
    for user in ["1", "3", "5", "7", "9"] {
        view.set(A, member(user, "a", 5, 1));
    }
    let gone = vec![removed("3"), there("3", None), added("4"), there("4", Some(person("4", "a", 5, 1)))];
    assert_eq!(replace(&mut view, &page(Some("1"), Rest::More, &[("4", 1), ("7", 1)]), &["5"]), Replaced::Whole(gone));
    assert_eq!(names(&view), "14579");
    replace(&mut view, &page(Some("7"), Rest::Nothing, &[("8", 1)]), &["8"]);
    assert_eq!(names(&view), "1457");
}

#[test]
fn where_many_facts_are_gone_a_page_takes_several_steps() {
    let mut view = View::new(OWN, 2, Tenancy::default());
    view.show(A);
    for user in ["1", "2", "3", "4", "5"] {
        view.set(A, member(user, "a", 5, 1));
    }
    let last = page(None, Rest::Nothing, &[("6", 1)]);
    let mut steps = Vec::new();
    while let Replaced::Part(_) = replace(&mut view, &last, &[]) {
        steps.push(names(&view));
    }
    assert_eq!((steps, names(&view)), (vec!["345".to_owned(), "5".to_owned()], "6".to_owned()));
}

#[test]
fn the_hash_depends_on_what_is_held_and_not_on_how_it_came_to_be() {
    let mut view = view();
    view.set(A, member("7", "a", 5, 1));
    view.set(A, member("8", "a", 5, 1));
    view.set(A, member("7", "a", 5, 0));
    view.set(B, member("8", "a", 5, 4));
    assert_ne!(view.hash(A), view.hash(B));
    view.replace(B, &page(None, Rest::Nothing, &[("8", 1)]), &BTreeSet::new());
    assert_eq!(view.hash(A), view.hash(B));
    view.set(A, member("8", "a", 5, 0));
    assert_eq!(view.hash(A), 0);
}

#[test]
fn a_slice_that_is_not_shown_is_kept_silently() {
    let mut view = View::new(OWN, 100, Tenancy::default());
    assert_eq!(view.set(A, count(1)), []);
    assert_eq!(view.sockets(&FactKey::Count(room())), 0);
    assert_eq!(view.show(A), [Difference::Occupied(occupancy(None)), subscriptions(1)]);
}

#[test]
fn rooms_are_listed_in_order_from_one_on() {
    let mut view = view();
    for (app, channel) in [("a", "x"), ("shop", "orders"), ("shop", "#server-to-user-7"), ("shop2", "x")] {
        view.set(A, Fact::Count { room: Room::new(app, channel).unwrap(), sockets: 1 });
    }
    let names = |from| view.rooms_from(from).map(|(room, _)| room.channel().to_string()).collect::<Vec<_>>();
    let orders = Room::new("shop", "orders").unwrap();
    assert_eq!(names(Bound::Included(Room::first_of("shop"))), ["#server-to-user-7", "orders", "x"]);
    assert_eq!(names(Bound::Included(orders.clone())), ["orders", "x"]);
    assert_eq!(names(Bound::Excluded(orders)), ["x"]);
}

#[test]
fn a_node_with_many_facts_is_shown_and_hidden_in_steps() {
    let mut view = View::new(OWN, 2, Tenancy::default());
    for user in ["1", "2", "3", "4", "5"] {
        view.set(A, member(user, "a", 5, 1));
    }
    assert_eq!((view.show(A).len(), view.is_updating(), view.population(&room())), (4, true, 2));
    // Facts that are not shown yet are not reported, and are shown as they are by then.
    assert_eq!(view.set(A, member("2", "a", 5, 0)), [removed("2"), there("2", None)]);
    assert_eq!(view.set(A, member("4", "a", 5, 0)), []);
    assert_eq!((view.continue_work().len(), view.population(&room())), (4, 3));
    assert_eq!((view.continue_work().len(), view.is_updating()), (0, false));
    assert_eq!((view.hide(A).len(), view.population(&room())), (4, 1));
    // Those that are still shown come and go as before.
    assert_eq!(view.set(A, member("1", "a", 5, 0)), [removed("1"), there("1", None)]);
    assert_eq!(view.set(A, member("5", "a", 5, 2)), []);
    assert_eq!((view.continue_work().len(), view.is_updating(), view.population(&room())), (0, false, 0));
}

#[test]
fn a_node_that_goes_while_it_is_being_shown_is_hidden_in_steps_as_well() {
    let mut view = View::new(OWN, 2, Tenancy::default());
    for user in ["1", "2", "3", "4", "5"] {
        view.set(A, member(user, "a", 5, 1));
    }
    let mut seen = Vec::new();
    for turn in [View::show, View::hide, View::show] {
        seen.push((turn(&mut view, A).len(), names(&view)));
    }
    view.continue_work();
    seen.push((view.hide(A).len(), names(&view)));
    let steps = [(4, "12"), (4, ""), (4, "12"), (4, "12")].map(|(changes, names)| (changes, names.to_owned()));
    assert_eq!(seen, steps);
}

#[test]
fn a_node_that_returns_while_it_is_being_hidden_is_shown_whole() {
    let mut view = View::new(OWN, 2, Tenancy::default());
    for user in ["1", "2", "3", "4", "5"] {
        view.set(A, member(user, "a", 5, 1));
    }
    view.show(A);
    while view.is_updating() {
        view.continue_work();
    }
    view.hide(A);
    view.show(A);
    while view.is_updating() {
        view.continue_work();
    }
    assert_eq!((view.population(&room()), view.members(&room()).count()), (5, 5));
}

#[test]
fn members_are_listed_in_order_after_one_and_end_with_their_room() {
    let mut view = view();
    for user in ["a", "b", "c"] {
        view.set(A, member(user, "", 1, 1));
        view.set(B, member(user, "", 2, 1));
    }
    let next_room = Room::new("shop", "presence-b").unwrap();
    view.set(A, Fact::Member { room: next_room, member: person("d", "", 1, 1) });
    let after = |user: Option<&str>| {
        let user = user.map(Arc::from);
        view.members_after(&room(), user.as_ref()).map(|member| member.user.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after(None), ["a", "b", "c"]);
    assert_eq!(after(Some("a")), ["b", "c"]);
    assert_eq!(after(Some("bb")), ["c"], "one that has gone is passed by");
    assert!(after(Some("c")).is_empty());
}
