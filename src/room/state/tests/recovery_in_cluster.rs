//! What a subscriber that comes back hears of what it missed in a cluster, by what this node has.

use super::*;
use crate::{
    config::HistoryRules,
    protocol::{EventId, EventOrigin},
};

/// A room of a cluster whose nodes 1, which is this one, and 2 have published nothing that it missed.
pub(super) fn clustered() -> Stage {
    clustered_with(Histories::new(1, 1 << 20))
}

pub(super) fn clustered_with(histories: Histories) -> Stage {
    let history = HistoryRules::parse("*=60s:3").unwrap();
    let mut room = stage_of("products.1", Reach::Cluster, AppSettings { history, ..AppSettings::new("key", "secret") });
    room.state = RoomState::new(channel("products.1"), Reach::Cluster, 1_000, histories);
    let positions = vec![id(1, 10), id(2, 20)];
    room.hear(FromPeers::Opened(Opening { subscriptions: 0, members: Vec::new(), cached: None, positions }));
    room.replayed();
    room
}

pub(super) fn id(node: u64, number: u64) -> EventId {
    EventId { origin: EventOrigin::of_node(node), number }
}

impl Stage {
    pub(super) fn hear_numbered(
        &mut self,
        event: EncodedEvent,
        node: u64,
        (number, predecessor): (u64, u64),
    ) -> Vec<String> {
        let numbering = gaung_cluster::frame::Numbering { number, predecessor };
        let permit = self.permit();
        self.hear(FromPeers::event(event, gaung_cluster::NodeId::from_bits(node), numbering, permit))
    }
}

#[test]
fn in_a_cluster_a_new_subscriber_has_heard_every_node_up_to_where_the_room_began() {
    let mut room = clustered();
    assert_eq!(room.joined(1, None), ["id:100000-10,200000-20,subscription_succeeded,data:"]);
}

#[test]
fn in_a_cluster_what_every_node_published_is_replayed_and_a_gap_is_told() {
    let mut room = clustered();
    room.joined(1, None);
    room.hear_numbered(room.event("a"), 1, (11, 0));
    room.hear_numbered(room.event("b"), 2, (25, 20));
    let since = |own, peer| Some([id(1, own), id(2, peer)].into_iter().collect());
    assert_eq!(
        room.joined(2, since(10, 20)),
        [
            "subscription_succeeded,data:",
            "id:100000-11,a,data:",
            "id:200000-25,b,data:",
            "id:100000-11,200000-25,pusher:resumed,data:",
            "complete:true,replayed:2"
        ]
    );
    assert_eq!(room.joined(3, since(10, 19)).last().unwrap(), "complete:false,replayed:0");
    room.hear(FromPeers::lost(gaung_cluster::NodeId::from_bits(2), 27));
    assert_eq!(room.joined(4, since(11, 25)).last().unwrap(), "complete:false,replayed:0");
    assert_eq!(room.joined(5, since(11, 27)).last().unwrap(), "complete:true,replayed:0");
}

#[test]
fn in_a_cluster_a_client_event_of_this_node_is_announced_once_and_leaves_no_gap() {
    let mut room = clustered();
    room.joined(1, None);
    let mut event = room.event("client-e");
    event.origin = crate::event::Origin::Client;
    assert_eq!(room.hear_numbered(event.clone(), 1, (11, 0)), [""; 0]);
    assert_eq!(room.hear_numbered(event, 2, (21, 20)), ["serve"]);
    room.hear_numbered(room.event("next"), 1, (12, 11));
    let since = Some([id(1, 10), id(2, 20)].into_iter().collect());
    assert_eq!(room.joined(2, since).last().unwrap(), "complete:true,replayed:1");
}

#[test]
fn in_a_cluster_cache_channels_keep_no_history_beside_their_event() {
    let mut room = clustered();
    room.state = RoomState::new(channel("cache-a"), Reach::Cluster, 1_000, Histories::new(1, 1 << 20));
    room.hear(nobody());
    room.replayed();
    assert_eq!(room.joined(1, None)[0], "subscription_succeeded,channel:cache-a,data:");
}

#[test]
fn in_a_cluster_events_of_channels_without_a_history_have_no_id() {
    let mut room = opened("products.1");
    room.join(1);
    room.hear_numbered(room.event("e"), 2, (21, 20));
    let (writes, _) = room.state.hand_over();
    let expected = r#"{"event":"e","channel":"products.1","data":"{}"}"#;
    assert_eq!(writes[0].frames, crate::protocol::frame::text(expected));
}

#[test]
fn what_a_client_heard_on_another_node_is_not_sent_again_when_it_comes_here_late() {
    let mut room = clustered();
    room.joined(1, Some([id(1, 10), id(2, 25)].into_iter().collect()));
    room.joined(2, None);
    for (name, number, predecessor) in [("heard", 25, 20), ("new", 26, 25)] {
        room.hear_numbered(room.event(name), 2, (number, predecessor));
    }
    assert_eq!(room.served(), ["1 hears new", "2 hears heard new"]);
}

#[test]
fn a_room_that_was_open_when_the_rule_came_begins_with_the_first_event_that_it_hears() {
    let mut room = opened("products.1");
    let history = HistoryRules::parse("*=60s:3").unwrap();
    room.app = App::new("app", AppSettings { history, ..AppSettings::new("key", "secret") });
    room.hear_numbered(room.event("e"), 2, (25, 20));
    assert_eq!(room.joined(2, None), ["id:200000-25,subscription_succeeded,data:"]);
    assert_eq!(room.joined(3, Some([id(2, 20)].into_iter().collect())).last().unwrap(), "complete:true,replayed:1");
    assert_eq!(room.joined(4, Some([id(2, 19)].into_iter().collect())).last().unwrap(), "complete:false,replayed:0");
}

#[test]
fn where_a_rule_comes_while_the_room_is_open_a_new_subscriber_is_answered_once_its_position_is_known() {
    let mut room = opened("products.1");
    room.join(1);
    room.app = clustered().app;
    assert_eq!(room.join(2), ["ask positions"]);
    assert_eq!(room.publish("held"), [""; 0]);
    let positions = vec![id(7, 3), id(2, 9)];
    room.hear(FromPeers::Opened(Opening { subscriptions: 0, members: Vec::new(), cached: None, positions }));
    let replayed = room.replayed().concat();
    assert!(replayed.contains(&"answer subscription_succeeded".to_owned()), "{replayed:?}");
    assert_eq!(room.joined(3, None), ["id:200000-9,700000-3,subscription_succeeded,data:"]);
    assert_eq!(room.served(), ["1 hears held", "2 hears held"]);
}

#[test]
fn a_client_event_of_this_node_that_comes_back_when_the_rule_is_gone_is_not_announced_again() {
    let mut room = clustered();
    room.joined(1, None);
    room.app = App::new("app", AppSettings::new("key", "secret"));
    let mut event = room.event("client-e");
    event.origin = crate::event::Origin::Client;
    assert_eq!(room.hear_numbered(event, 1, (11, 0)), [""; 0]);
}
