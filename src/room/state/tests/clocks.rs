//! Pauses of member notices and counts, and the end of a cached event.

use super::*;

#[test]
fn the_next_change_of_a_member_waits_for_its_clock() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.announced();
    room.join_as(2, "bob");
    assert_eq!(room.announced(), ["1 hears member_added"]);
    room.at = 30;
    assert_eq!(room.leave(2).last().unwrap(), "wake Members after 70 ms");
    assert_eq!(room.join_as(3, "cid").last().unwrap(), "announce");
    assert_eq!(room.step(RoomInput::Announce), ["serve"]);
    assert_eq!(room.served(), ["1 hears member_added"]);
    room.at = 100;
    assert_eq!(room.step(RoomInput::Woke(Clock::Members)), ["announce"]);
    assert_eq!(room.step(RoomInput::Announce), ["serve"]);
    assert_eq!(room.served(), ["1 hears member_removed", "3 hears member_removed"]);
}

#[test]
fn nothing_is_announced_where_the_last_one_has_gone() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.leave(1);
    assert_eq!(room.step(RoomInput::Announce), [""; 0]);
    assert!(room.state.is_idle());
}

#[test]
fn who_comes_into_a_room_that_was_empty_is_shown_how_it_is_and_not_what_others_were_told() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.announced();
    room.leave(1);
    let claim = Some(JoinAs::Member(MemberClaim { id: "bob".to_owned(), info: "{}".to_owned() }));
    let join = Join { subscriber: room.subscriber(2), claim, since: None, page: None, attempt: 1 };
    let effects = room.effects(room.forwarded(RoomMessage::Join(join)));
    let answered = effects.iter().find_map(|effect| match effect {
        Effect::Answer(_, frames) => Some(String::from_utf8_lossy(&frames.concat()).into_owned()),
        _ => None,
    });
    assert!(answered.unwrap().contains(r#"\"ids\":[\"bob\"]"#));
}

#[test]
fn counts_that_change_within_a_pause_are_announced_together() {
    let settings = AppSettings { subscription_counts: true, ..AppSettings::new("key", "secret") };
    let mut room = stage_of("products.1", Reach::Alone, settings);
    assert_eq!(room.join(1)[3..], ["webhook SubscriptionCount", "serve"]);
    room.served();
    room.at = 40;
    assert_eq!(room.join(2)[2..], ["wake Count after 60 ms"]);
    assert_eq!(room.join(3)[2..], [""; 0]);
    room.at = 100;
    assert_eq!(room.step(RoomInput::Woke(Clock::Count)), ["webhook SubscriptionCount", "serve"]);
    assert_eq!(room.served().len(), 3);
}

#[test]
fn a_count_that_changed_elsewhere_is_announced_and_no_webhook_of_this_node() {
    let settings = AppSettings { subscription_counts: true, ..AppSettings::new("key", "secret") };
    let mut room = Stage { app: App::new("app", settings), ..opened("products.1") };
    room.join(1);
    room.served();
    room.at = 1_000;
    assert_eq!(room.hear(FromPeers::Subscriptions(4)), ["serve"]);
    assert_eq!(room.served(), ["1 hears subscription_count"]);
}

#[test]
fn one_clock_watches_the_cached_event_which_a_later_one_puts_off() {
    let settings = AppSettings { cache_ttl: Duration::from_millis(100), ..AppSettings::new("key", "secret") };
    let mut room = stage_of("cache-a", Reach::Alone, settings);
    let expected = ["shelve 1000000000", "wake Cache after 100 ms", "unheard e"];
    assert_eq!(room.publish("e"), expected);
    room.at = 60;
    assert_eq!(room.publish("e"), ["shelve 1000060000", "unheard e"]);
    room.at = 100;
    assert_eq!(room.step(RoomInput::Woke(Clock::Cache)), ["wake Cache after 60 ms"]);
    assert!(!room.state.is_idle());
    room.at = 160;
    assert_eq!(room.step(RoomInput::Woke(Clock::Cache)), [""; 0]);
    assert!(room.state.is_idle());
}
