//! Who joins and leaves.

use super::*;

#[test]
fn the_first_socket_occupies_a_channel_and_the_last_one_vacates_it() {
    let mut room = stage("products.1", Reach::Alone);
    assert_eq!(room.join(1), ["answer subscription_succeeded", "1 subscribed", "webhook ChannelOccupied"]);
    assert_eq!(room.join(2), ["answer subscription_succeeded", "2 subscribed"]);
    assert_eq!(room.leave(1), ["1 unsubscribed"]);
    assert!(!room.state.is_idle());
    assert_eq!(room.leave(2), ["2 unsubscribed", "webhook ChannelVacated"]);
    assert!(room.state.is_idle());
}

#[test]
fn a_subscription_that_is_repeated_is_answered_and_nothing_else() {
    let mut room = stage("products.1", Reach::Alone);
    room.join(1);
    assert_eq!(room.join(1), ["answer subscription_succeeded"]);
    assert_eq!(room.leave(7), [""; 0]);
}

#[test]
fn a_node_in_a_cluster_shares_its_count_before_the_answer_and_leaves_the_edges_to_all_nodes() {
    let mut room = opened("products.1");
    assert_eq!(room.join(1), ["share count 1", "answer subscription_succeeded", "1 subscribed"]);
    assert_eq!(room.leave(1), ["1 unsubscribed", "share count 0"]);
}

#[test]
fn a_member_is_shared_before_the_answer_and_announced_in_a_turn_of_its_own() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.announced();
    let expected =
        ["share member bob with 1", "answer subscription_succeeded", "2 subscribed", "webhook MemberAdded", "announce"];
    assert_eq!(room.join_as(2, "bob"), expected);
    assert_eq!(room.step(RoomInput::Announce), ["serve"]);
    assert_eq!(room.served(), ["1 hears member_added"]);
}

#[test]
fn a_second_socket_of_a_member_is_no_news_and_its_last_one_is() {
    let mut room = stage("presence-a", Reach::Alone);
    room.join_as(1, "ada");
    room.join_as(2, "bob");
    room.served();
    let second = ["share member bob with 2", "answer subscription_succeeded", "3 subscribed"];
    assert_eq!(room.join_as(3, "bob")[..3], second);
    assert_eq!(room.leave(2)[..2], ["2 unsubscribed", "share member bob with 1"]);
    room.at = 1_000;
    let last = ["3 unsubscribed", "share member bob with 0", "webhook MemberRemoved"];
    assert_eq!(room.leave(3)[..3], last);
    assert_eq!(room.served(), ["1 hears member_removed"]);
}

#[test]
fn a_full_channel_refuses_users_it_does_not_know() {
    let settings = AppSettings { max_presence_members: 1, ..AppSettings::new("key", "secret") };
    let mut room = stage_of("presence-a", Reach::Alone, settings);
    room.join_as(1, "ada");
    assert_eq!(room.join_as(2, "bob")[0], "refuse Full, subscribed false");
    assert_eq!(room.join_as(1, "bob")[0], "refuse OtherUser, subscribed true");
    assert_eq!(room.join_as(3, "ada")[1], "answer subscription_succeeded");
}

#[test]
fn nobody_sees_the_members_of_a_node_leave_that_goes() {
    let mut room = opened("presence-a");
    room.join_as(1, "ada");
    room.join_as(2, "bob");
    room.is_leaving = true;
    assert_eq!(room.leave(2), ["2 unsubscribed", "share count 1"]);
    assert_eq!(room.state.members().len(), 2);
}

#[test]
fn who_is_a_member_is_closed_when_a_back_end_terminates_the_user() {
    let mut room = opened("presence-a");
    room.join_as(1, "ada");
    room.join_as(2, "bob");
    assert!(room.hear(FromPeers::Acted("bob".into(), UserAction::Terminate)).contains(&"close 2".to_owned()));
}
