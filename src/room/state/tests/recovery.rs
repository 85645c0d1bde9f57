//! What a subscriber that comes back hears of what it missed.

use super::*;
use crate::{
    config::HistoryRules,
    protocol::{EventId, EventOrigin, Position, Since},
    room::inquiry::Answered,
};

/// A room of a node that is alone; it begins at 100000-1, and its events are 100000-2, 100000-3, …
fn room_with(rules: &str, name: &str) -> Stage {
    let history = HistoryRules::parse(rules).unwrap();
    let mut room = stage_of(name, Reach::Alone, AppSettings { history, ..AppSettings::new("key", "secret") });
    room.state = RoomState::new(channel(name), Reach::Alone, 1_000, Histories::new(1, 1 << 20));
    room
}

fn room() -> Stage {
    room_with("*=60s:3", "products.1")
}

/// How far a client has heard the only origin that has heard this many of its events.
fn at(events: u64) -> Option<Position> {
    Some([EventId { origin: EventOrigin::of_node(1), number: events + 1 }].into_iter().collect())
}

impl Stage {
    /// The messages that a socket is answered that subscribes, each shortened to what matters here.
    pub(super) fn joined(&mut self, id: u64, since: Option<Position>) -> Vec<String> {
        let subscriber = self.subscriber(id);
        self.joined_as(subscriber, since)
    }

    fn joined_as(&mut self, subscriber: Subscriber, since: Option<Position>) -> Vec<String> {
        let since = since.map(Since::Position);
        let join = RoomMessage::Join(Join { subscriber, claim: None, since, page: None, attempt: 1 });
        let mut effects = self.effects(self.forwarded(join));
        if self.state.question().is_some() {
            // No other node answers.
            let silent = RoomMessage::FromPeers(FromPeers::History(Answered::Silent));
            effects.extend(self.effects(self.forwarded(silent)));
        }
        while self.state.is_catching_up() {
            effects.extend(self.effects(RoomInput::Replay));
        }
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Answer(_, frames) => Some(frames.concat()),
            _ => None,
        });
        let text = String::from_utf8_lossy(&answer.unwrap()).into_owned();
        let shorten = |message: &str| {
            let message = message.split('}').next().unwrap_or_default().replace(['"', '\\'], "");
            message.replace("event:", "").replace(",channel:products.1", "").replace("pusher_internal:", "")
        };
        text.split('{').filter(|part| part.contains("event\"") || part.contains("complete")).map(shorten).collect()
    }
}

#[test]
fn a_new_subscriber_learns_how_far_it_has_heard_the_channel_also_where_nothing_was_published() {
    let mut room = room();
    assert_eq!(room.joined(1, None), ["id:100000-1,subscription_succeeded,data:"]);
    room.publish("e");
    assert_eq!(room.joined(2, None), ["id:100000-2,subscription_succeeded,data:"]);
}

#[test]
fn a_channel_that_opens_again_begins_after_every_position_from_before() {
    let mut room = room();
    assert_eq!(room.joined(1, None), ["id:100000-1,subscription_succeeded,data:"]);
    let histories = room.state.histories.clone();
    room.state = RoomState::new(channel("products.1"), Reach::Alone, 1_000, histories);
    assert_eq!(
        room.joined(2, at(0)),
        ["subscription_succeeded,data:", "id:100000-2,pusher:resumed,data:", "complete:false,replayed:0"]
    );
}

#[test]
fn events_of_a_channel_with_a_history_begin_with_their_id_and_others_do_not() {
    for (rules, expected) in [
        ("products.*=60s:3", r#"{"id":"100000-2","event":"e","channel":"products.1","data":"{}"}"#),
        ("orders.*=60s:3", r#"{"event":"e","channel":"products.1","data":"{}"}"#),
    ] {
        let mut room = room_with(rules, "products.1");
        room.join(1);
        room.publish("e");
        let (writes, _) = room.state.hand_over();
        assert_eq!(writes[0].frames, crate::protocol::frame::text(expected));
    }
}

#[test]
fn what_was_missed_comes_between_the_success_and_what_is_live() {
    let mut room = room();
    room.joined(1, None);
    for name in ["a", "b", "c"] {
        room.publish(name);
    }
    assert_eq!(
        room.joined(2, at(1)),
        [
            "subscription_succeeded,data:",
            "id:100000-3,b,data:",
            "id:100000-4,c,data:",
            "id:100000-4,pusher:resumed,data:",
            "complete:true,replayed:2"
        ]
    );
    room.publish("d");
    assert_eq!(room.served(), ["1 hears a b c", "1 hears d", "2 hears d"]);
}

#[test]
fn who_missed_more_than_is_kept_is_told_so_and_sent_nothing_old() {
    let mut room = room();
    room.joined(1, None);
    for name in ["a", "b", "c", "d"] {
        room.publish(name);
    }
    let partial = ["subscription_succeeded,data:", "id:100000-5,pusher:resumed,data:", "complete:false,replayed:0"];
    assert_eq!(room.joined(2, at(0)), partial);
    assert_eq!(room.joined(3, at(1)).len(), 6);
}

#[test]
fn who_missed_more_than_a_socket_takes_at_once_is_told_so() {
    let mut room = room_with("*=60s:100", "products.1");
    room.joined(1, None);
    for _ in 0..50 {
        room.publish("an event of some fifty bytes");
    }
    assert_eq!(room.joined(2, at(0)).last().unwrap(), "complete:false,replayed:0");
    assert_eq!(room.joined(3, at(45)).last().unwrap(), "complete:true,replayed:5");
}

#[test]
fn without_a_history_nothing_is_promised() {
    let mut room = room_with("", "products.1");
    assert_eq!(room.joined(1, None), ["subscription_succeeded,data:"]);
    assert_eq!(
        room.joined(2, at(0)),
        ["subscription_succeeded,data:", "pusher:resumed,data:", "complete:false,replayed:0"]
    );
}

#[test]
fn a_socket_that_an_event_excluded_stays_excluded() {
    let mut room = room();
    room.joined(1, None);
    let mut event = room.event("own");
    event.except = Some(SocketId::from_bits(1));
    room.tell(RoomMessage::Publish(event, room.permit(), None));
    room.publish("other");
    room.leave(1);
    assert!(!room.joined(1, at(0)).iter().any(|message| message.contains("own")));
    assert!(room.joined(2, at(0)).iter().any(|message| message.contains("own")));
}

#[test]
fn who_is_subscribed_already_hears_nothing_twice() {
    let mut room = room();
    room.joined(1, None);
    room.publish("e");
    assert_eq!(room.joined(1, at(0)), ["subscription_succeeded,data:"]);
}

#[test]
fn a_room_lives_on_for_the_window_after_its_last_subscriber_and_keeps_what_comes_meanwhile() {
    let mut room = room();
    room.join(1);
    assert!(room.leave(1).contains(&"wake History after 60000 ms".to_owned()));
    assert!(!room.state.is_idle());
    room.at = 30_000;
    assert_eq!(room.publish("missed"), ["unheard missed"]);
    room.at = 60_000;
    assert_eq!(room.step(RoomInput::Woke(Clock::History)), ["wake History after 30000 ms"]);
    assert_eq!(room.joined(1, at(0)).last().unwrap(), "complete:true,replayed:1");
    room.leave(1);
    room.at = 90_000;
    room.step(RoomInput::Woke(Clock::History));
    assert!(!room.state.is_idle());
    room.at = 120_000;
    room.step(RoomInput::Woke(Clock::History));
    assert!(room.state.is_idle());
}

#[test]
fn without_a_history_a_room_ends_with_its_last_subscriber() {
    let mut room = room_with("", "products.1");
    room.join(1);
    room.leave(1);
    assert!(room.state.is_idle());
}

#[test]
fn the_cached_event_is_not_told_again_to_who_has_heard_it() {
    let mut room = room_with("*=60s:3", "cache-products");
    room.joined(1, None);
    room.publish("e");
    let hears = |messages: Vec<String>| messages.iter().filter(|message| message.contains(",e,")).count();
    assert_eq!(hears(room.joined(2, None)), 1);
    assert_eq!(hears(room.joined(3, at(0))), 1);
    assert_eq!(hears(room.joined(4, at(1))), 0);
}

#[test]
fn plain_clients_are_told_with_the_success() {
    let mut room = room();
    room.joined(1, None);
    room.publish("a");
    let tenant = crate::tenant::TenantId::parse("1").unwrap();
    let mut answers = |id, since: Option<Position>| {
        let subscriber = Subscriber { dialect: Dialect::Tenant(tenant.clone()), ..room.subscriber(id) };
        let join = RoomMessage::Join(Join {
            subscriber,
            claim: None,
            since: since.map(Since::Position),
            page: None,
            attempt: 1,
        });
        let input = room.forwarded(join);
        let answer = room.effects(input).into_iter().find_map(|effect| match effect {
            Effect::Answer(_, frames) => Some(frames),
            _ => None,
        });
        let text = |frame: &bytes::Bytes| crate::protocol::frame::text_of(frame).unwrap().to_owned();
        answer.unwrap().iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(answers(2, None), [r#"{"id":"100000-2","type":"subscribed","channel":"products.1"}"#]);
    assert_eq!(
        answers(3, at(0)),
        [
            r#"{"type":"subscribed","channel":"products.1","recovered":true}"#,
            r#"{"id":"100000-2","type":"a","channel":"products.1","data":{"tenantId":"1"}}"#,
        ]
    );
    assert_eq!(
        answers(4, Some(Position::default())),
        [r#"{"id":"100000-2","type":"subscribed","channel":"products.1","recovered":false}"#]
    );
}

#[test]
fn what_a_socket_is_replayed_of_all_its_channels_leaves_room_for_what_is_live() {
    let mut room = room_with("*=60s:100", "products.1");
    room.joined(1, None);
    (0..5).for_each(|_| _ = room.publish("e"));
    assert_eq!(room.joined(2, at(0)).last().unwrap(), "complete:true,replayed:5");
    for id in [3, 4] {
        room.subscriber(id).outbox.send(&vec![0; 1_900].into());
    }
    assert_eq!(room.joined(3, at(0)).last().unwrap(), "complete:false,replayed:0");
    assert_eq!(room.joined(4, at(5)).last().unwrap(), "complete:true,replayed:0");
}

#[test]
fn a_room_that_must_make_room_for_others_lives_while_it_keeps_events() {
    let mut room = room();
    room.join(1);
    assert!(room.leave(1).contains(&"awaitreturn".to_owned()));
    room.tell(RoomMessage::StopAwaiting);
    assert!(room.state.is_idle());
    room.join(1);
    room.publish("e");
    room.served();
    room.leave(1);
    room.tell(RoomMessage::StopAwaiting);
    assert!(!room.state.is_idle());
    room.at = 60_000;
    room.step(RoomInput::Woke(Clock::History));
    assert!(room.state.is_idle());
}
