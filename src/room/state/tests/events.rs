//! What is published.

use super::*;
use crate::event::Cached;

#[test]
fn an_event_asks_for_one_serving_turn_and_for_no_clock() {
    let mut room = stage("products.1", Reach::Alone);
    (1..=2).for_each(|id| drop(room.join(id)));
    for expected in [&["serve"][..], &[]] {
        let input = room.forwarded(RoomMessage::Publish(room.event("e"), room.permit(), None));
        let (app, mut effects) = (room.app.clone(), Vec::new());
        room.state.step(input, &Surroundings::new(&app, false, || panic!("the clock is read")), &mut effects);
        assert_eq!(effects.iter().map(word).collect::<Vec<_>>(), expected);
    }
    assert_eq!(room.served(), ["1 hears e e", "2 hears e e"]);
    assert_eq!(room.backlog.waiting(), 0);
    assert_eq!(room.publish("next"), ["serve"]);
}

#[test]
fn while_the_serving_goes_on_by_itself_no_turn_is_asked_for() {
    let mut room = stage("products.1", Reach::Alone);
    room.join(1);
    assert_eq!(room.publish("e"), ["serve"]);
    assert_eq!(room.step(RoomInput::Served(Serving::GoesOn)), [""; 0]);
    assert_eq!(room.publish("e"), [""; 0]);
    assert_eq!(room.step(RoomInput::Served(Serving::Ends)), ["serve"]);
}

#[test]
fn who_joins_after_an_event_does_not_hear_it() {
    let mut room = stage("products.1", Reach::Alone);
    room.join(1);
    room.publish("before");
    room.join(2);
    room.publish("after");
    assert_eq!(room.served(), ["1 hears before", "1 hears after", "2 hears after"]);
}

#[test]
fn an_event_that_nobody_hears_gives_its_place_back_and_is_shown() {
    let mut room = opened("products.1");
    let event = FromPeers::Event(room.event("e"), room.permit());
    assert_eq!(room.hear(event), ["unheard e"]);
    assert_eq!(room.backlog.waiting(), 0);
}

#[test]
fn an_event_comes_after_the_members_that_came_before_it() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.announced();
    room.join_as(2, "bob");
    room.publish("e");
    assert_eq!(room.served(), ["1 hears member_added e", "2 hears e"]);
}

#[test]
fn a_client_event_of_a_socket_that_is_not_subscribed_is_refused() {
    let mut room = stage("private-a", Reach::Alone);
    room.join(1);
    let client_event = room.publish_client_event(2);
    assert_eq!(room.step(client_event), ["refuse event of 2"]);
    assert_eq!(room.backlog.waiting(), 0);
}

#[test]
fn a_client_event_is_for_all_but_its_sender() {
    let mut room = stage("private-a", Reach::Alone);
    (1..=2).for_each(|id| drop(room.join(id)));
    let client_event = room.publish_client_event(1);
    assert_eq!(room.step(client_event), ["count client event", "webhook ClientEvent", "serve"]);
    assert_eq!(room.served(), ["2 hears client-e"]);
}

#[test]
fn in_a_cluster_nobody_hears_a_client_event_that_the_other_nodes_were_not_sent() {
    let mut room = opened("private-a");
    (1..=2).for_each(|id| drop(room.join(id)));
    let client_event = room.publish_client_event(1);
    let Some(Effect::SendClientEvent(pending)) = room.effects(client_event).pop() else { panic!("it is to be sent") };
    assert_eq!(room.served(), [""; 0]);
    assert_eq!(room.step(RoomInput::ClientEventSent(pending)), ["count client event", "webhook ClientEvent", "serve"]);
    assert_eq!(room.served(), ["2 hears client-e"]);
}

fn cached(room: &Stage, name: &str, at: u64) -> Cached {
    let record = gaung_cluster::fact::CachedEvent { at, ttl: 60_000_000, payload: Default::default() };
    Cached { event: room.event(name), record, expires: room.moment().0 + Duration::from_secs(60) }
}

#[test]
fn who_joins_is_shown_the_cached_event_after_the_answer() {
    let mut room = stage("cache-a", Reach::Alone);
    assert_eq!(room.join(1)[..2], ["webhook CacheMiss", "answer subscription_succeeded cache_miss"]);
    room.publish("e");
    assert_eq!(room.join(2)[0], "answer subscription_succeeded e");
}

#[test]
fn an_older_cached_event_of_another_node_is_delivered_and_not_kept() {
    let mut room = opened("cache-a");
    room.join(1);
    for (name, at) in [("newer", 9), ("older", 8)] {
        room.hear(FromPeers::Cached(cached(&room, name, at), room.permit()));
    }
    assert_eq!(room.served(), ["1 hears newer older"]);
    assert_eq!(room.join(2)[1], "answer subscription_succeeded newer");
}

#[test]
fn a_repaired_cached_event_is_for_those_who_come_later_only() {
    let mut room = opened("cache-a");
    room.join(1);
    room.hear(FromPeers::CacheRepaired(cached(&room, "missed", 9)));
    assert_eq!(room.served(), [""; 0]);
    assert_eq!(room.join(2)[1], "answer subscription_succeeded missed");
    room.hear(FromPeers::CacheEvicted(9));
    assert_eq!(room.join(3)[2], "answer subscription_succeeded cache_miss");
}
