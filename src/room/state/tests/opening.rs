//! What waits until the room knows how things stand on other nodes.

use gaung_cluster::fact::Member;

use super::*;

fn opening(subscriptions: usize, members: &[&str]) -> FromPeers {
    let member = |user: &&str| Member { user: (*user).into(), info: "{}".into(), since: 1, sockets: 1 };
    FromPeers::Opened(Opening {
        subscriptions,
        members: members.iter().map(member).collect(),
        cached: None,
        positions: Vec::new(),
    })
}

#[test]
fn nobody_is_answered_before_the_opening() {
    let mut room = stage("products.1", Reach::Cluster);
    assert_eq!(room.join(1), [""; 0]);
    assert!(!room.state.is_idle());
    assert_eq!(room.hear(nobody()), ["replay"]);
    let joined = vec!["share count 1", "answer subscription_succeeded", "1 subscribed"];
    assert_eq!(room.replayed(), [joined, vec!["opened"]]);
}

#[test]
fn what_waited_is_replayed_in_order_and_before_what_comes_meanwhile() {
    let mut room = stage("products.1", Reach::Cluster);
    room.join(1);
    room.leave(1);
    room.join(2);
    room.publish("first");
    assert_eq!(room.hear(nobody()), ["replay"]);
    room.step(RoomInput::Replay);
    assert_eq!(room.join(3), [""; 0]);
    assert_eq!(room.step(RoomInput::EndReplay), ["replay later"]);
    assert_eq!(room.replayed().len(), 5);
    assert_eq!(room.step(RoomInput::EndReplay), ["serve"]);
    assert_eq!(room.served(), ["2 hears first"]);
}

#[test]
fn what_a_socket_sent_is_handled_when_it_is_replayed() {
    let mut room = stage("products.1", Reach::Cluster);
    let message =
        RoomMessage::Join(Join { subscriber: room.subscriber(1), claim: None, since: None, page: None, attempt: 1 });
    let underway = Some(room.inflow.begin());
    assert_eq!(room.step(RoomInput::Message(Forwarded { message, underway })), [""; 0]);
    room.hear(nobody());
    assert_eq!(room.inflow.waiting(), 1);
    assert_eq!(room.step(RoomInput::Replay).last().unwrap(), "handled");
    assert_eq!(room.inflow.waiting(), 0);
}

#[test]
fn members_of_other_nodes_are_members_from_the_opening_on_and_told_of_once() {
    let mut room = stage("presence-a", Reach::Cluster);
    room.join_as(1, "here");
    room.hear(opening(1, &["there"]));
    room.replayed();
    assert_eq!(room.state.members().len(), 2);
    room.served();
    room.at = 1_000;
    assert_eq!(room.hear(FromPeers::Member("there".into(), None)), ["announce"]);
    assert_eq!(room.served(), ["1 hears member_removed"]);
}

#[test]
fn an_event_that_waited_is_not_newer_than_what_the_opening_tells() {
    let mut room = stage("cache-a", Reach::Cluster);
    room.join(1);
    room.publish("waited");
    room.at = 10;
    let at = 1_000_005_000;
    let record = gaung_cluster::fact::CachedEvent { at, ttl: 60_000_000, payload: Default::default() };
    let expires = room.moment().0 + Duration::from_secs(60);
    let cached = crate::event::Cached { event: room.event("known"), record, expires };
    room.hear(FromPeers::Opened(Opening {
        subscriptions: 0,
        members: Vec::new(),
        cached: Some(cached),
        positions: Vec::new(),
    }));
    room.replayed();
    assert_eq!(room.served(), ["1 hears waited"]);
    assert_eq!(room.join(2)[1], "answer subscription_succeeded known");
    room.publish("later");
    assert_eq!(room.join(3)[1], "answer subscription_succeeded later");
}

#[test]
fn who_waits_to_join_is_closed_when_a_back_end_terminates_the_user() {
    let mut room = stage("presence-a", Reach::Cluster);
    room.join_as(1, "ada");
    room.join_as(2, "bob");
    assert_eq!(room.hear(FromPeers::Acted("ada".into(), UserAction::Terminate)), ["close 1"]);
}
