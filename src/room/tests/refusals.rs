//! What a room refuses is counted, and the session learns of a join that failed.

use super::*;
use crate::{outbox::RefusedJoin, protocol::presence::MemberClaim};

struct Door {
    stage: Stage,
    outbox: Arc<Outbox>,
}

/// A presence channel for one member, and a socket.
fn door() -> Door {
    let settings = AppSettings { max_presence_members: 1, ..AppSettings::new("key", "secret") };
    let channel = ChannelName::parse("presence-a", 200).unwrap();
    let stage = Stage { app: App::new("app", settings), channel, ..stage(1) };
    Door { stage, outbox: Outbox::new(usize::MAX) }
}

impl Door {
    async fn join(&self, id: u64, user: &str, attempt: u32) -> Vec<String> {
        let subscriber =
            Subscriber { id: SocketId::from_bits(id), outbox: self.outbox.clone(), dialect: Dialect::Pusher };
        let claim = Some(JoinAs::Member(MemberClaim { id: user.to_owned(), info: "{}".to_owned() }));
        self.stage.rooms.join(
            &self.stage.app,
            self.stage.channel.clone(),
            Join { subscriber, claim, since: None, page: None, attempt },
        );
        self.answer().await
    }

    async fn publish_client_event(&self, id: u64, data: &str) -> Vec<String> {
        let sender = Subscriber { id: SocketId::from_bits(id), outbox: self.outbox.clone(), dialect: Dialect::Pusher };
        let client_event = ClientEvent { sender, name: "client-e".to_owned(), data: data.to_owned() };
        self.stage.rooms.publish_client_event(&self.stage.app, self.stage.channel.clone(), client_event).unwrap();
        self.answer().await
    }

    /// What the room answers, whose second part may come a moment after its first.
    async fn answer(&self) -> Vec<String> {
        let mut answer = Vec::new();
        while answer.is_empty() || answer == REFUSED[..1] {
            answer.extend(names(&self.outbox).await);
            tokio::task::yield_now().await;
        }
        answer
    }

    fn refused(&self, reason: &str) -> u64 {
        self.stage.app.counters.outcomes.refusals.get(reason)
    }
}

const REFUSED: [&str; 2] = ["pusher:subscription_error", "pusher:error"];

#[actix::test]
async fn a_join_that_finds_the_channel_full_is_counted_and_its_session_learns_of_it() {
    let door = door();
    assert_eq!(door.join(1, "ada", 1).await, [SUCCESS]);
    assert_eq!(door.join(2, "bob", 7).await, REFUSED);
    assert_eq!(door.outbox.take_refused(), [RefusedJoin { channel: door.stage.channel.clone(), attempt: 7 }]);
    assert_eq!(door.outbox.take_refused(), []);
    assert_eq!(door.refused("subscription"), 1);
}

#[actix::test]
async fn a_socket_that_is_in_the_channel_stays_in_it_when_another_user_is_refused() {
    let door = door();
    assert_eq!(door.join(1, "ada", 1).await, [SUCCESS]);
    assert_eq!(door.join(1, "bob", 2).await, REFUSED);
    assert_eq!(door.outbox.take_refused(), []);
    assert_eq!(door.refused("subscription"), 1);
}

#[actix::test]
async fn a_client_event_of_a_socket_that_is_not_subscribed_is_counted() {
    let door = door();
    assert_eq!(door.publish_client_event(1, "{}").await, ["pusher:error"]);
    assert_eq!(door.join(1, "ada", 1).await, [SUCCESS]);
    assert_eq!(door.publish_client_event(2, "{}").await, ["pusher:error"]);
    assert_eq!(door.refused("client_event"), 2);
}

#[actix::test]
async fn client_events_wait_in_the_backlog_like_all_others() {
    let door = door();
    let rooms = Rooms { backlog: Backlog::new(Limits { events: 0, bytes: 0 }), ..door.stage.rooms.clone() };
    let sender = Subscriber { id: SocketId::from_bits(1), outbox: door.outbox.clone(), dialect: Dialect::Pusher };
    let client_event = ClientEvent { sender, name: "client-e".to_owned(), data: "{}".to_owned() };
    let refused = rooms.publish_client_event(&door.stage.app, door.stage.channel.clone(), client_event);
    assert_eq!(refused, Err(Unpublished::RoomsFull { limit: 0 }));
}

#[actix::test]
async fn events_of_too_many_bytes_wait_no_more() {
    let stage = stage(1);
    let rooms = Rooms { backlog: Backlog::new(Limits { events: 100, bytes: 1_000 }), ..stage.rooms.clone() };
    let _outbox = stage.join(1);
    stage.answered(1).await;
    let _waiting = rooms.backlog.reserve(&stage.app.tenants().get("1").usage.waiting, 1, 990).unwrap();
    let event = Event::from_back_end(stage.channel.clone(), Words::new("e", "{}"), None, event::now());
    assert_eq!(rooms.publish(&stage.app, vec![event]), Err(Unpublished::RoomsFullOfBytes { limit: 1_000 }));
}
