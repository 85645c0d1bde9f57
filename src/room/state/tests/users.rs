//! The channel of a signed-in user.

use super::*;
use crate::{
    protocol::outbound,
    room::{SignIn, messages::JoinAs},
};

const USER: &str = "#server-to-user-7";

impl Stage {
    fn sign_in(&mut self, id: u64) -> Vec<String> {
        let subscriber = self.subscriber(id);
        let sign_in = SignIn { welcome: vec![outbound::signin_success("{}")], watchlist: None };
        self.tell(RoomMessage::Join(Join {
            subscriber,
            claim: Some(JoinAs::User(sign_in)),
            since: None,
            page: None,
            attempt: 0,
        }))
    }
}

#[test]
fn a_sign_in_is_answered_and_counted_and_no_webhook_and_no_console_hears_of_it() {
    let settings = AppSettings { subscription_counts: true, ..AppSettings::new("key", "secret") };
    let mut room = stage_of(USER, Reach::Alone, settings);
    assert_eq!(room.sign_in(1), ["share user with 1", "answer signin_success"]);
    assert_eq!(room.sign_in(1), ["answer signin_success"]);
    assert_eq!(room.sign_in(2), ["share user with 2", "answer signin_success"]);
    assert_eq!(room.leave(1), ["1 watches no more", "share user with 1"]);
    assert_eq!(room.leave(2), ["2 watches no more", "share user with 0"]);
    assert!(room.state.is_idle());
}

#[test]
fn a_sign_in_waits_for_the_opening() {
    let mut room = stage(USER, Reach::Cluster);
    assert_eq!(room.sign_in(1), [""; 0]);
    assert_eq!(room.hear(nobody()), ["replay"]);
    let replayed = [vec!["share user with 1", "answer signin_success"], vec!["opened"]];
    assert_eq!(room.replayed(), replayed);
}

#[test]
fn an_event_of_whatever_node_goes_to_all_sockets_of_the_user() {
    let mut room = opened(USER);
    room.sign_in(1);
    room.sign_in(2);
    assert_eq!(room.publish("here"), ["serve"]);
    let event = FromPeers::Event(room.event("there"), room.permit());
    room.hear(event);
    assert_eq!(room.served(), ["1 hears here there", "2 hears here there"]);
}

#[test]
fn who_waits_to_sign_in_is_closed_with_the_user() {
    let mut room = stage(USER, Reach::Cluster);
    room.sign_in(1);
    assert_eq!(room.hear(FromPeers::Acted("7".into(), UserAction::Terminate)), ["close 1"]);
    room.hear(nobody());
    room.replayed();
    assert_eq!(room.hear(FromPeers::Acted("7".into(), UserAction::Terminate)), ["close 1"]);
}

#[test]
fn what_a_back_end_takes_from_a_user_their_sessions_look_for_and_presence_channels_know() {
    let patterns: Arc<[ChannelPattern]> =
        ["presence-*", "private-a"].map(|name| ChannelPattern::parse(name).unwrap()).into();
    let unsubscribe = || FromPeers::Acted("7".into(), UserAction::Unsubscribe(patterns.clone()));
    let mut room = opened(USER);
    room.sign_in(1);
    assert_eq!(room.hear(unsubscribe()), ["revoke presence-* private-a of 1"]);
    assert_eq!(room.hear(FromPeers::Acted("7".into(), UserAction::Reconnect)), ["close 1 as rights_changed"]);
    for (channel, expected) in [("presence-team", &["close 1 as rights_changed"][..]), ("presence-team.7", &[])] {
        let mut room = opened(channel);
        room.join_as(1, "7");
        room.join_as(2, "8");
        assert_eq!(room.hear(unsubscribe()), expected, "{channel}");
    }
}
